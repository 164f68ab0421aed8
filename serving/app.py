"""The web application: everything of the process is wired here."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from serving import caching, headers, limits, pages, problems
from serving.api import (
    actions,
    alerts,
    days,
    drones,
    health,
    incidents,
    nightly,
    reports,
    silences,
    statistics,
    status,
    stream,
)
from serving.config import Config
from serving.json import default
from serving.services import Services, connect

MAX_BODY: Final = 64 * 1024
"""Bytes of a request's body: the largest is a note of an operator."""

INFO: Final = Info(
    title="Peacewatch",
    version="1",
    description="Figures, alerts and drones of the fleet. Every figure names the version of the lake it is true at.",
)


class Json(DefaultJSONProvider):
    """Times as RFC 3339 in UTC; Flask's own form is that of HTTP headers."""

    sort_keys = False
    compact = True

    @staticmethod
    def default(value: Any) -> Any:
        return default(value) if isinstance(value, datetime) else DefaultJSONProvider.default(value)


def create_app(config: Config, services: Services | None = None) -> OpenAPI:
    """The application over `config`, or over `services` that a test made."""
    services = services or connect(config)
    app = OpenAPI(
        "serving",
        info=INFO,
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        validation_error_callback=problems.of_validation,
        validation_error_model=problems.Problem,
    )
    app.json = Json(app)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.extensions["peacewatch"] = services
    problems.register(app)
    headers.register(app)
    limits.register(app, config)
    caching.register(app)
    views = (statistics, alerts, incidents, drones, reports, days, nightly)
    for resource in (*views, actions, silences, stream, status, health):
        app.register_api(resource.blueprint(services))
    pages.register(app, services)
    return app
