"""Hands a whole request to a thread of the application, and its answer back to the connection.

The application is WSGI. A request holds a thread from when all of it has come until its answer is complete, however
slowly the client reads. Event streams have separate threads.
"""

from __future__ import annotations

import asyncio
import io
import threading
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from a2wsgi.wsgi import build_environ
from structlog import get_logger

from serving.front import answers, metrics
from serving.front.protocol import MAX_HEAD, MAX_TARGET
from serving.http.clients import client_key
from serving.limits import MAX_BODY

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

THREADS: Final = 64
"""Requests in progress at once."""

THREADS_A_CLIENT: Final = 32
"""Of those, requests of one client: half are left for others."""

MAX_PENDING_A_CLIENT: Final = 256
"""Requests of one client in progress or waiting for a thread; a browser opens six at a time."""

CHUNK: Final = 64 * 1024
"""Bytes given to the connection at once; the next ones when the client has read."""

STREAM: Final = "/api/v1/stream"
SPARE_STREAMS: Final = 8
"""Threads beyond the open streams, to answer those that are refused."""

_log = get_logger()


class Refused(Exception):
    """A request that the front refuses: status and detail of the problem."""

    def __init__(self, status: int, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


class Gone(Exception):
    """The client has left."""


class Client:
    """Requests of one client at this moment."""

    def __init__(self) -> None:
        self.pending = 0
        self.threads = asyncio.Semaphore(THREADS_A_CLIENT)


class Requests:
    """An ASGI application over the WSGI application `app`."""

    def __init__(self, app: WSGIApplication, streams: int) -> None:
        self._app = app
        self._threads = ThreadPoolExecutor(THREADS, "request")
        self._streams = ThreadPoolExecutor(streams + SPARE_STREAMS, "stream")
        self._clients: defaultdict[str, Client] = defaultdict(Client)

    async def __call__(self, scope: Message, receive: Receive, send_to_client: Send) -> None:
        async def send(message: Message) -> None:
            await _sent(send_to_client, message)

        try:
            if scope["path"] == "/healthz" and scope["method"] in ("GET", "HEAD"):
                await _answer(send, 200, *answers.plain({"status": "ok"}))
                return
            _check_head(scope)
            environ = await _environ(scope, receive)
            if scope["path"] == STREAM:
                await self._stream(environ, receive, send)
            else:
                await self._request(environ, client_key(environ.get("REMOTE_ADDR", "")), send)
        except Refused as refused:
            metrics.REFUSED.labels(str(refused.status)).inc()
            await _answer(send, refused.status, *answers.problem(refused.status, refused.detail, refused.retry_after))
        except Gone:
            pass

    def close(self) -> None:
        """Accepts no more requests; does not wait for those in progress."""
        for threads in (self._threads, self._streams):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _request(self, environ: dict[str, Any], key: str, send: Send) -> None:
        client = self._clients[key]
        if client.pending >= MAX_PENDING_A_CLIENT:
            raise Refused(429, f"more than {MAX_PENDING_A_CLIENT} requests of one client at once", retry_after=1)
        client.pending += 1
        metrics.PENDING.inc()
        began, status = time.perf_counter(), 500
        try:
            async with client.threads:
                loop = asyncio.get_running_loop()
                status, headers, body = await loop.run_in_executor(self._threads, _whole, self._app, environ)
        except Exception as error:  # noqa: BLE001 - the application answers every error of its own as a problem
            _log.error("a request failed before the application", exc_info=error)
            raise Refused(500, "the server failed; its log says why") from None
        finally:
            metrics.PENDING.dec()
            part = metrics.part_of(environ["PATH_INFO"])
            metrics.REQUEST_SECONDS.labels(part, str(status)).observe(time.perf_counter() - began)
            client.pending -= 1
            if not client.pending:
                del self._clients[key]
        await _answer(send, status, headers, body)

    async def _stream(self, environ: dict[str, Any], receive: Receive, send: Send) -> None:
        """Parts of the answer as they come, until the client leaves."""
        loop = asyncio.get_running_loop()
        gone = threading.Event()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()

        def deliver(message: Message) -> None:
            asyncio.run_coroutine_threadsafe(_sent(send, message), loop).result()

        watching = asyncio.create_task(watch())
        metrics.STREAMS.inc()
        try:
            await loop.run_in_executor(self._streams, _parts, self._app, environ, deliver, gone)
        finally:
            metrics.STREAMS.dec()
            gone.set()
            watching.cancel()


async def _sent(send: Send, message: Message) -> None:
    """Raises Gone if the connection is closed: uvloop says that by an error of no kind of its own."""
    try:
        await send(message)
    except RuntimeError as error:
        if "closed" in str(error):
            raise Gone from None
        raise


def _check_head(scope: Message) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET:
        raise Refused(414, f"the request's target is longer than {MAX_TARGET} bytes")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEAD:
        raise Refused(431, f"the request's head is larger than {MAX_HEAD} bytes")


async def _environ(scope: Message, receive: Receive) -> dict[str, Any]:
    """The request as WSGI's environment, with its body; `REQUEST_URI` is the target as it came."""
    body = await _body(scope, receive)
    environ: dict[str, Any] = dict(build_environ(scope, None))  # type: ignore[arg-type]
    target = scope["raw_path"].decode("ascii")
    query = environ["QUERY_STRING"]
    environ["REQUEST_URI"] = f"{target}?{query}" if query else target
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ["wsgi.input"] = io.BytesIO(body)
    environ["wsgi.multiprocess"] = False
    return environ


async def _body(scope: Message, receive: Receive) -> bytes:
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if len(announced) > 20 or int(announced) > MAX_BODY:
        raise Refused(413, f"the request's body is larger than {MAX_BODY} bytes")
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(413, f"the request's body is larger than {MAX_BODY} bytes")
        if not message.get("more_body", False):
            return bytes(body)


async def _answer(send: Send, status: int, headers: answers.Headers, body: bytes) -> None:
    if not any(name == b"content-length" for name, _ in headers) and status not in (204, 304):
        headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for start in range(0, len(body), CHUNK):
        await send({"type": "http.response.body", "body": body[start : start + CHUNK], "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Started:
    """WSGI's start_response, which keeps its arguments."""

    def __init__(self) -> None:
        self.status, self.headers = 500, answers.Headers()

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:  # noqa: ARG002
        self.status = int(status.split(" ", 1)[0])
        self.headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return _no_write


def _no_write(_: bytes) -> object:
    raise NotImplementedError("write() of WSGI's start_response is not offered")


def _whole(app: WSGIApplication, environ: dict[str, Any]) -> tuple[int, answers.Headers, bytes]:
    started = _Started()
    parts = app(environ, started)
    try:
        body = b"".join(parts)
    finally:
        _close(parts)
    return started.status, started.headers, body


def _parts(
    app: WSGIApplication, environ: dict[str, Any], deliver: Callable[[Message], None], gone: threading.Event
) -> None:
    started = _Started()
    parts = app(environ, started)
    try:
        deliver({"type": "http.response.start", "status": started.status, "headers": started.headers})
        for part in parts:
            if gone.is_set():
                return
            deliver({"type": "http.response.body", "body": part, "more_body": True})
        deliver({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        _close(parts)


def _close(parts: Iterable[bytes]) -> None:
    with suppress(AttributeError):
        parts.close()  # type: ignore[attr-defined]
