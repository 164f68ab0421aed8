"""Headers of every answer: what a browser may do with it, and nothing more."""

from __future__ import annotations

from typing import Final

from flask import Flask, Response, request

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

DOCS_POLICY: Final = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
"""Swagger UI sets styles of its own; no text of a drone is shown there."""


def register(app: Flask) -> None:
    """Adds the headers to every response of `app`."""

    @app.after_request
    def add(response: Response) -> Response:
        secure(response, request.path)
        if request.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response


def secure(response: Response, path: str) -> Response:
    """`response` to a request for `path`, with what it lets a browser do."""
    is_docs = path.startswith("/openapi")
    response.headers.setdefault("Content-Security-Policy", DOCS_POLICY if is_docs else POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers.setdefault("X-Frame-Options", "DENY")  # a nightly report may be framed by our own page
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    return response
