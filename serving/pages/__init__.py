"""The pages, one file each. Their data comes from the REST API."""

from __future__ import annotations

from flask import Flask

from serving.pages import drone, health, home, nightly, sign_in, vendor
from serving.services import Services


def register(app: Flask, services: Services) -> None:
    """Adds every page to `app`, and the third-party scripts that they use."""
    for page in (home, drone, nightly, health, sign_in):
        app.register_blueprint(page.blueprint(services))
    app.register_blueprint(vendor.blueprint())
