"""A client that has gone leaves no trace in the log, however it went."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from serving.front.requests import Requests

Message = MutableMapping[str, Any]
SCOPE = {"type": "http", "method": "GET", "path": "/healthz", "raw_path": b"/healthz", "query_string": b""}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


def ask(error: Exception) -> None:
    async def send(_message: Message) -> None:
        raise error

    requests = Requests(lambda *_: [], 1)
    try:
        asyncio.run(requests(SCOPE, nothing, send))
    finally:
        requests.close()


def test_a_connection_that_is_closed_meanwhile_is_no_error() -> None:
    """uvloop says so by a RuntimeError; uvicorn logged a stack trace of 3 KB for each."""
    ask(RuntimeError("unable to perform operation on <TCPTransport closed=True reading=False>; the handler is closed"))


def test_any_other_error_is_one() -> None:
    with pytest.raises(RuntimeError, match="Content-Length"):
        ask(RuntimeError("Response content longer than Content-Length"))
