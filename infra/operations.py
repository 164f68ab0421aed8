"""The operations port of a process: `/metrics` for Prometheus, `/healthz` and `/readyz` for its supervisor.

Each long-running loop has a name here. It is *starting* until the first sign of life of its session, then *working*,
and *waiting* from the moment a service is away until the next sign of life. `/readyz` answers 200 when every loop
works, else 503 with the reasons. `/healthz` answers
503 only when a loop has given no sign of life for STUCK_SECONDS: then a restart helps, which it does not while a
service is away.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore, Lock, Thread, get_ident
from typing import TYPE_CHECKING, Any, Final, cast

from structlog import get_logger

from infra.redaction import redact

if TYPE_CHECKING:
    from io import BufferedIOBase

STUCK_SECONDS: Final = 300.0
"""Longer than any call of a loop may last: a store that answers nothing holds a commit for three minutes."""

READ_SECONDS: Final = 5.0
"""A client that sends nothing for this long is disconnected."""

STARTING: Final = "is starting"

MOST_CONNECTIONS: Final = 32
"""Probes and a few Prometheus servers need three or four."""

END_SECONDS: Final = 1.0
"""How long a new connection waits for the thread of the oldest, which was ended for it."""

LARGEST_HEAD: Final = 16 * 1024
"""Bytes of a request's first line and headers; Prometheus sends some 500."""

_log = get_logger()


@dataclass
class _Loop:
    at: float
    reason: str = ""


class Loops:
    """The current state of this process's loops. `clock`: seconds, monotonic.

    A loop is a name in a thread: two notifiers of one process are two loops. Each loop reports from its own thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._loops: dict[tuple[str, int], _Loop] = {}

    def starting(self, name: str) -> None:
        """A session of the loop `name` begins. Until it gives a sign of life, the loop waits: for what it waited for
        before, if it did."""
        with self._lock:
            loop = self._loops.get((name, get_ident()))
        self._enter(name, (loop and loop.reason) or STARTING)

    def waiting(self, name: str, reason: str) -> None:
        """A sign of life: the loop `name` pauses, since something that it needs is away."""
        self._enter(name, reason)

    def ended(self, name: str) -> None:
        """The loop `name` has ended, as requested."""
        with self._lock:
            self._loops.pop((name, get_ident()), None)

    def beat(self) -> None:
        """A sign of life of the loops of this thread: they work. Without any, nothing happens."""
        thread, now = get_ident(), self._clock()
        with self._lock:
            for (_, of), loop in self._loops.items():
                if of == thread:
                    loop.at, loop.reason = now, ""

    def stuck(self) -> dict[str, float]:
        """The loops without a sign of life for STUCK_SECONDS, with the seconds since their last one."""
        with self._lock:
            silent = [(name, self._clock() - loop.at) for (name, _), loop in self._loops.items()]
        return {
            name: seconds for name, seconds in sorted(silent, key=lambda named: named[1]) if seconds > STUCK_SECONDS
        }

    def unready(self) -> dict[str, str]:
        """The loops that wait, with the reason of each; without any loop the process itself."""
        with self._lock:
            if not self._loops:
                return {"process": "has not begun to work"}
            return {name: loop.reason for (name, _), loop in self._loops.items() if loop.reason}

    def _enter(self, name: str, reason: str) -> None:
        with self._lock:
            self._loops[name, get_ident()] = _Loop(self._clock(), reason)


LOOPS: Final = Loops()
"""Those of this process, as `prometheus_client.REGISTRY` has the metrics of this process."""


Probe = Callable[[str], dict[str, str]]
"""What is wrong by `/healthz` or `/readyz`, a sentence by its part; empty when all is well."""


class Answers:
    """What the port answers. `probe` answers in place of loops if a process has none."""

    def __init__(self, loops: Loops, probe: Probe | None = None) -> None:
        self._loops, self._probe = loops, probe
        self._one_at_a_time = Lock()

    def of(self, path: str, accepts: str) -> tuple[int, str, bytes]:
        """Status, content type and body; `accepts` is the header Accept."""
        if path == "/metrics":
            return 200, *self._metrics(accepts)
        if path in ("/healthz", "/readyz"):
            return _json(self._wrong(path))
        return 404, "text/plain", b"/metrics, /healthz or /readyz\n"

    def _wrong(self, path: str) -> dict[str, str]:
        if self._probe is not None:
            return self._probe(path)
        if path == "/readyz":
            return self._loops.unready()
        return {name: f"no sign of life for {seconds:.0f} s" for name, seconds in self._loops.stuck().items()}

    def _metrics(self, accepts: str) -> tuple[str, bytes]:
        """One at a time: however many ask at once, the process' own work has half of the interpreter."""
        from prometheus_client import REGISTRY  # noqa: PLC0415 - only a process that is asked pays for it
        from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

        try:
            encode, kind = choose_encoder(accepts)
        except (ValueError, TypeError):  # a version that is no number
            encode, kind = choose_encoder("")
        with self._one_at_a_time:
            return kind, encode(REGISTRY)


def serve(port: int, host: str, loops: Loops = LOOPS, probe: Probe | None = None) -> HTTPServer:
    """Serves http://`host`:`port` in a separate thread until `shutdown()`. Raises OSError if the port is in use."""
    server = (_Server6 if ":" in host else _Server)((host, port), Answers(loops, probe))
    Thread(target=server.serve_forever, name="operations", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    """One request a connection. Whatever the client does or leaves out, nothing is logged: there is a probe every few
    seconds, and strangers would fill the log."""

    timeout = READ_SECONDS
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.rfile = cast("BufferedIOBase", _Head(self.rfile))

    def do_GET(self) -> None:
        status, kind, body = self.server.answers.of(self.path.partition("?")[0], self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Head:
    """The first LARGEST_HEAD bytes of a request. Raises ConnectionAbortedError for more."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream, self._left = stream, LARGEST_HEAD

    def readline(self, most: int) -> bytes:
        line = self._stream.readline(min(most, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise ConnectionAbortedError("the head of a request is too large")
        return line

    def close(self) -> None:
        self._stream.close()


class _Server(ThreadingHTTPServer):
    """One thread per connection, MOST_CONNECTIONS at most: for a further one the oldest is ended, so slow clients
    cost little, and cannot keep a probe out."""

    request_queue_size = 2 * MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], answers: Answers) -> None:
        self.answers: Final = answers
        self._free = BoundedSemaphore(MOST_CONNECTIONS)
        self._open: dict[Any, None] = {}  # in their order
        self._lock = Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without the look for the host's name, which may wait for a name server."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self._end_oldest()
            if not self._free.acquire(timeout=END_SECONDS):
                self.shutdown_request(request)
                return
        with self._lock:
            self._open[request] = None
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.pop(request, None)
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as Python has it
        error = sys.exception()
        if not isinstance(error, OSError):  # a client that left
            _log.error("a request of the operations port failed", exc_info=error)

    def _end_oldest(self) -> None:
        with self._lock:
            oldest = next(iter(self._open), None)
            self._open.pop(oldest, None)
        if oldest is not None:
            with suppress(OSError):  # it has just ended
                oldest.shutdown(socket.SHUT_RDWR)


class _Server6(_Server):
    """For an address of IPv6; `::` takes connections of both kinds, where the system lets it."""

    address_family = socket.AF_INET6


def _json(wrong: dict[str, str]) -> tuple[int, str, bytes]:
    shown = {"status": "wrong" if wrong else "ok", **{name: redact(reason) for name, reason in wrong.items()}}
    return 503 if wrong else 200, "application/json", json.dumps(shown).encode() + b"\n"
