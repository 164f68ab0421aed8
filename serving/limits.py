"""How much one client may ask for: requests by token or address, and answers made smaller on the way."""

from __future__ import annotations

from typing import Any, Final

from flask import Flask, Response, request
from flask_compress import Compress
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address

from serving import problems
from serving.access import fingerprint
from serving.config import Config

COMPRESSED: Final = ["application/json", "application/problem+json", "application/geo+json", "text/csv", "text/html"]
COMPRESSED_STATIC: Final = ["text/css", "text/javascript", "image/svg+xml"]
SMALLEST: Final = 1000
"""Bytes; what fits one packet anyway is not worth the time."""

UNLIMITED: Final = ("/healthz", "/readyz", "/static/")


def register(app: Flask, config: Config) -> None:
    """Limits and compresses what `app` answers. Event streams are not compressed: each event must go at once."""
    app.config["COMPRESS_MIMETYPES"] = [*COMPRESSED, *COMPRESSED_STATIC]
    app.config["COMPRESS_ALGORITHM"] = ["zstd", "br", "gzip"]
    app.config["COMPRESS_MIN_SIZE"] = SMALLEST
    app.config["COMPRESS_BR_LEVEL"] = 4
    app.config["COMPRESS_STREAMS"] = False
    Compress(app)
    limiter = Limiter(
        _client,
        app=app,
        application_limits=[config.rate_limit],
        storage_uri="memory://",
        on_breach=_too_many,
        headers_enabled=True,
    )
    limiter.request_filter(lambda: request.path.startswith(UNLIMITED))


def _client() -> str:
    token: Any = request.authorization.token if request.authorization else None
    return f"token {fingerprint(token)}" if token else f"address {get_remote_address()}"


def _too_many(breached: RequestLimit) -> Response:
    return problems.answer(429, "Too Many Requests", f"more than {breached.limit} from one client", retry_after=1)
