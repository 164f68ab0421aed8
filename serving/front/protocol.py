"""HTTP on a connection: uvicorn's protocol with deadlines, limits, and errors as problems.

uvicorn has a deadline for idle connections only. Here a request that has begun must be complete in time, else it is
answered with 408; and a client must read its answer in time, else it is cut off. A deadline costs a timer only.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.front import answers, metrics
from serving.front.connections import Connections
from serving.http.clients import client_key
from serving.limits import MAX_BODY

IDLE_SECONDS: Final = 75
"""How long a connection without a request is kept: browsers keep theirs for about a minute (nginx: 75 s)."""

HEAD_SECONDS: Final = 10
"""From a request's first byte to the end of its head. A slow phone needs one or two."""

BODY_SECONDS: Final = 10
"""From there to the end of its body, which is 64 KiB at most."""

UNREAD_SECONDS: Final = 30
"""How long a client's buffers (some 64 KiB) may stay full before the connection is cut."""

MAX_HEAD: Final = 32 * 1024
"""Bytes of a request's line and headers together; a cursor has 3,400 characters, a token less (nginx: 32 KiB)."""

MAX_SENT_BODY: Final = 8 * MAX_BODY
"""Bytes after the head: the body with what stands around its chunks. Extensions of chunks and trailers are not part
of the body and may be as long; nobody needs them."""

MAX_PIPELINED: Final = 16
"""Requests of a connection that wait for the answer to the one before. Browsers send none so; each is held with its
body, and uvicorn reads more of them with each answer."""

MAX_TARGET: Final = 8 * 1024
"""Bytes of a request's target (RFC 9112, 3: at least 8,000 should be taken)."""


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, *arguments: Any, connections: Connections, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.client_key = ""
        self._all = connections
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._head = 0  # bytes of the unfinished head
        self._in_head = self._in_body = False
        self._after_head = self._between = 0  # bytes after the head of this request, and between two requests
        self._is_known = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client_key = client_key(self.client[0] if self.client else "")
        self._is_known = self._all.opened(self)
        if self._is_known:
            self._arm(IDLE_SECONDS, transport.close)
        else:
            self.refuse(503, "every connection is in use", retry_after=5)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.resume_writing()
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        was_in_head = self._in_head
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head = (self._head if was_in_head else 0) + len(data)
            if len(self.url) > MAX_TARGET:
                self.refuse(414, f"the request's target is longer than {MAX_TARGET} bytes")
            elif self._head > MAX_HEAD:
                self.refuse(431, f"the request's head is larger than {MAX_HEAD} bytes")
        elif self._in_body:
            self._after_head += len(data)
            if self._after_head > MAX_SENT_BODY:
                self.refuse(413, f"the request has more than {MAX_SENT_BODY} bytes after its head")
        elif self.cycle is None or self.cycle.response_complete:
            self._wait_for_request(len(data))

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests wait for their turn")  # ends the parser: `send_400_response`
        super().on_message_begin()
        self._in_head = True
        self._arm(HEAD_SECONDS, self._too_slow)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a field behind the body must not pass for one of the head (RFC 9110, 6.5.1)
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._in_body = False, True
        self._after_head = self._between = 0
        self._arm(BODY_SECONDS, self._too_slow)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        self._disarm()
        self._all.works(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.pipeline and self.flow is not None:
            self.flow.pause_reading()
        if self._is_known and not self.pipeline and not self.transport.is_closing():
            self._all.waits(self)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(UNREAD_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        if self.flow is not None:
            super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what uvicorn says of it
        self.refuse(400, "this is not an HTTP request")

    def refuse(self, status: int, detail: str, retry_after: int | None = None) -> None:
        """Answers with a problem if no answer has begun, and closes."""
        self._disarm()
        metrics.REFUSED.labels(str(status)).inc()
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            headers, body = answers.problem(status, detail, retry_after)
            self.transport.write(answers.raw(status, headers, body))
        self.transport.close()

    def give_way(self) -> None:
        """Closes it for another client."""
        self._is_known = False
        self.transport.abort()

    def _wait_for_request(self, received: int) -> None:
        """Empty lines came where a request should begin: they extend no deadline, and their number is limited."""
        self._between += received
        if self._between > MAX_HEAD:
            self.refuse(400, "this is not an HTTP request")
        elif self._deadline is None:  # uvicorn forgets its own with any byte
            self._arm(IDLE_SECONDS, self.transport.close)

    def _too_slow(self) -> None:
        self.refuse(408, f"the request did not arrive within {HEAD_SECONDS} seconds")

    def _arm(self, seconds: float, then: Any) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, then)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _leave(self) -> None:
        if self._is_known:
            self._is_known = False
            self._all.closed(self)
