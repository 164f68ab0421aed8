"""How much one client may ask for: requests by token or address, and answers made smaller on the way."""

from __future__ import annotations

import threading
from typing import Any, Final

from flask import Flask, Response, request
from flask_compress import Compress
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from limits.storage import MemoryStorage

from serving import problems
from serving.access import fingerprint
from serving.config import Config

COMPRESSED: Final = ["application/json", "application/problem+json", "application/geo+json", "text/csv", "text/html"]
COMPRESSED_STATIC: Final = ["text/css", "text/javascript", "image/svg+xml"]
SMALLEST: Final = 1000
"""Bytes; what fits one packet anyway is not worth the time."""

FORGET_SECONDS: Final = 5.0
"""A count is looked at with its time, so one that is kept too long costs memory only."""

UNLIMITED: Final = ("/healthz", "/readyz", "/static/")


class CalmStorage(MemoryStorage):
    """Counts in memory. Forgets old counts every few seconds; limits' own starts a thread for that at every request."""

    STORAGE_SCHEME = ["calm-memory"]  # noqa: RUF012 - declared so where it is overridden

    def _MemoryStorage__schedule_expiry(self) -> None:
        if not self.timer.is_alive():
            self.timer = threading.Timer(FORGET_SECONDS, self._MemoryStorage__expire_events)  # type: ignore[attr-defined]
            self.timer.daemon = True
            self.timer.start()


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
        storage_uri="calm-memory://",
        on_breach=_too_many,
        headers_enabled=True,
    )
    limiter.request_filter(lambda: request.path.startswith(UNLIMITED))


def _client() -> str:
    token: Any = request.authorization.token if request.authorization else None
    return f"token {fingerprint(token)}" if token else f"address {get_remote_address()}"


def _too_many(breached: RequestLimit) -> Response:
    return problems.answer(429, "Too Many Requests", f"more than {breached.limit} from one client", retry_after=1)
