"""Security headers of every answer: what a browser may do with it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import Flask, Response, request

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

DOCS_POLICY: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI sets styles of its own; no text of a drone is shown there."""


SECURE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Headers of every answer, errors too."""


TO_THE_PROVIDER: Final = "sign_in.begin"
"""The endpoint whose redirect leads to another host, that of the settings."""


def register(app: Flask) -> None:
    """Adds the headers to every response of `app`."""

    @app.after_request
    def add(response: Response) -> Response:
        secure(response, request.path)
        location = response.headers.get("Location")
        if location and request.endpoint != TO_THE_PROVIDER:
            response.headers["Location"] = _without_host(location)
        if request.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def _without_host(location: str) -> str:
    """A redirect within this server, without the host, which the request may have invented."""
    parts = urlsplit(location)
    path = f"/{parts.path.lstrip('/')}"
    return f"{path}?{parts.query}" if parts.query else path


def secure(response: Response, path: str) -> Response:
    """`response` to a request for `path`, with its security headers."""
    is_docs = path.startswith("/openapi")
    response.headers.setdefault("Content-Security-Policy", DOCS_POLICY if is_docs else POLICY)
    response.headers.setdefault("X-Frame-Options", "DENY")  # a nightly report may be framed by our own page
    for name, value in SECURE.items():
        response.headers[name] = value
    return response
