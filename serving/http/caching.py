"""Caching by clients: an ETag on all figures, and a short lifetime for days that no longer change."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from flask import Flask, Response, request

CLOSED_AFTER: Final = timedelta(days=2)
"""Late reports usually come within two days; an answer about older days rarely changes, and then its ETag does."""

KEPT_SECONDS: Final = 60


def register(app: Flask) -> None:
    """Adds `ETag` and `Cache-Control` to figures, and answers 304 to a client that has them."""

    @app.after_request
    def tag(response: Response) -> Response:
        if (
            request.method not in ("GET", "HEAD")
            or response.status_code != 200
            or response.is_streamed
            or not _is_figures()
        ):
            return response
        lasting = f"private, max-age={KEPT_SECONDS}" if _is_closed(datetime.now(UTC)) else "private, no-cache"
        return tagged(response, lasting)


def tagged(response: Response, lasting: str) -> Response:
    """`response` with an ETag of its bytes and `Cache-Control: lasting`, 304 to a client that has it."""
    response.set_etag(hashlib.blake2b(response.get_data(), digest_size=12).hexdigest(), weak=True)
    response.headers["Cache-Control"] = lasting
    return response.make_conditional(request)  # type: ignore[return-value]


def _is_figures() -> bool:
    return request.path.startswith(("/api/v1/statistics/", "/api/v1/completeness", "/api/v1/places"))


def _is_closed(now: datetime) -> bool:
    """Whether both ends of the range are given and the last is CLOSED_AFTER ago."""
    last = request.args.get("to", "")
    return bool(request.args.get("from")) and bool(last) and last[:10] < (now - CLOSED_AFTER).date().isoformat()
