"""`/health`: how far each layer is, with figures from `/api/v1/status`."""

from __future__ import annotations

from flask import Blueprint, render_template

from serving.services import Services


def blueprint(services: Services) -> Blueprint:  # noqa: ARG001 - every page is made so
    """`/health`."""
    pages = Blueprint("health_page", __name__)

    @pages.get("/health")
    def health() -> str:
        return render_template("health.html")

    return pages
