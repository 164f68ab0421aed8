"""The duty room at `/`. It asks the REST API for everything it shows."""

from __future__ import annotations

from flask import Blueprint, render_template

from serving.services import Services


def blueprint(services: Services) -> Blueprint:  # noqa: ARG001 - every page is made so
    """`/`."""
    pages = Blueprint("home", __name__)

    @pages.get("/")
    def home() -> str:
        return render_template("home.html")

    return pages
