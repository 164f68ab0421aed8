"""Answers of the front itself, without the application: problems (RFC 9457) and `/healthz`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from serving.http.headers import SECURE
from serving.http.problems import MIME, Problem

Headers = list[tuple[bytes, bytes]]

_SECURE: Final[Headers] = [(name.lower().encode(), value.encode()) for name, value in SECURE.items()]


def problem(status: int, detail: str, retry_after: int | None = None) -> tuple[Headers, bytes]:
    """(headers, body) of a refusal. The connection is closed after it, since the rest of the request is not read."""
    body = Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    headers = [*_common(MIME), (b"connection", b"close")]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return headers, json.dumps(body.model_dump()).encode()


def plain(content: Mapping[str, Any]) -> tuple[Headers, bytes]:
    """(headers, body) of an answer in JSON."""
    return _common("application/json"), json.dumps(content, separators=(",", ":")).encode()


def raw(status: int, headers: Headers, body: bytes) -> bytes:
    """The bytes of a whole HTTP/1.1 response, for a connection that has no request yet."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in (*headers, (b"content-length", str(len(body)).encode()))]
    return b"\r\n".join([*lines, b"", body])


def _common(mime: str) -> Headers:
    return [(b"content-type", mime.encode()), (b"cache-control", b"no-store"), *_SECURE]
