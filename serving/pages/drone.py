"""`/drones/PW-1`: one drone. An id may have any character, a slash too."""

from __future__ import annotations

from flask import Blueprint, render_template

from serving.services import Services


def blueprint(services: Services) -> Blueprint:  # noqa: ARG001 - every page is made so
    """`/drones/…`; the API knows whether the drone exists."""
    pages = Blueprint("drone", __name__)

    @pages.get("/drones/<id:drone_id>")
    def drone(drone_id: str) -> str:
        return render_template("drone.html", drone_id=drone_id)

    return pages
