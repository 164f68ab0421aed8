"""Third-party scripts, served from their wheels: nothing is loaded from other hosts."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, send_from_directory
from xstatic.pkg import leaflet


def blueprint() -> Blueprint:
    """`/static/leaflet/…`: Leaflet from its wheel."""
    pages = Blueprint("vendor", __name__)
    folder = Path(leaflet.BASE_DIR)

    @pages.get("/static/leaflet/<path:name>")
    def leaflet_file(name: str) -> Response:
        return send_from_directory(folder, name)

    return pages
