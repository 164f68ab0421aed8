"""The web application: everything of the process is wired here."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final

from flask.json.provider import DefaultJSONProvider
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from serving import pages
from serving.api import (
    actions,
    alert_kinds,
    alerts,
    cities,
    days,
    drone_days,
    drones,
    health,
    incidents,
    nightly,
    places,
    rejected,
    reports,
    session,
    sessions,
    silences,
    statistics,
    status,
    stream,
)
from serving.config import Config
from serving.http import caching, compression, headers, parameters, problems
from serving.http.gate import Gate
from serving.http.json import default
from serving.http.rate_limit import Limited
from serving.http.response_cache import ResponseCache
from serving.http.segments import ID, IdConverter, Segments
from serving.limits import MAX_BODY
from serving.services import Services, connect

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

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Raises ValueError for text that is not JSON, or is nested too deeply for Python's stack."""
        try:
            return super().loads(s, **kwargs)
        except RecursionError:
            raise ValueError("nested too deeply") from None


def create_app(config: Config, services: Services | None = None) -> OpenAPI:
    """The application for `config`, with `services` where a test has made them."""
    services = services or connect(config)
    app = OpenAPI(
        __package__,
        info=INFO,
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        validation_error_callback=problems.of_validation,
        validation_error_model=problems.Problem,
    )
    app.json = Json(app)
    app.url_map.converters[ID] = IdConverter
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.config["SWAGGER_HTML_STRING"] = '{% extends "api_docs.html" %}'
    app.extensions["peacewatch"] = services
    problems.register(app)
    parameters.register(app)
    headers.register(app)
    compression.register(app)
    caching.register(app)
    views = (statistics, alert_kinds, cities, alerts, incidents, drone_days, drones, reports, days, places, nightly)
    for resource in (*views, actions, silences, session, sessions, stream, status, rejected, health):
        app.register_api(resource.blueprint(services))
    pages.register(app, services)
    ready = ResponseCache(app.wsgi_app, partial(_stamp, services))
    gate = Gate(Segments(ready), config, services.access, app.request_context)
    app.wsgi_app = Limited(gate, config, services.access)  # type: ignore[method-assign]
    return app


def _stamp(services: Services) -> tuple[object, ...] | None:
    """The version and time of the newest figures; None if they have not been read for a while."""
    held = services.merge.held()
    return (held.version, held.as_of, held.base) if held else None
