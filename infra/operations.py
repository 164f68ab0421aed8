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
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Lock, Thread, get_ident
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

STUCK_SECONDS: Final = 300.0
"""Longer than any call of a loop may last: a store that answers nothing holds a commit for three minutes."""

READ_SECONDS: Final = 5.0
"""A client that sends nothing for this long is disconnected."""

STARTING: Final = "is starting"

MOST_CONNECTIONS: Final = 32
"""Probes and a few Prometheus servers need three or four."""


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


def application(
    loops: Loops, probe: Probe | None = None
) -> Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]:
    """The WSGI application of the port. `probe` answers in place of loops if a process has none."""
    from prometheus_client import make_wsgi_app  # noqa: PLC0415 - only a process that is asked pays for it

    metrics = make_wsgi_app()

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            text: Iterable[bytes] = metrics(environ, start)
            return text
        if probe is not None and path in ("/healthz", "/readyz"):
            return _json(start, probe(path))
        if path == "/healthz":
            stuck = {name: f"no sign of life for {seconds:.0f} s" for name, seconds in loops.stuck().items()}
            return _json(start, stuck)
        if path == "/readyz":
            return _json(start, loops.unready())
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"/metrics, /healthz or /readyz\n"]

    return answer


def serve(port: int, host: str, loops: Loops = LOOPS, probe: Probe | None = None) -> WSGIServer:
    """Serves http://`host`:`port` in a separate thread until `shutdown()`. Raises OSError if the port is in use."""
    kind = _Server6 if ":" in host else _Server
    server = make_server(host, port, application(loops, probe), server_class=kind, handler_class=_Quiet)
    Thread(target=server.serve_forever, name="operations", daemon=True).start()
    return server


class _Quiet(WSGIRequestHandler):
    timeout = READ_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: there is a probe every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread per connection, MOST_CONNECTIONS at most: a further one is closed, so slow clients cost little."""

    daemon_threads = True

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._free = BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class _Server6(_Server):
    """For an address of IPv6; `::` takes connections of both kinds, where the system lets it."""

    address_family = socket.AF_INET6


def _json(start: StartResponse, wrong: dict[str, str]) -> list[bytes]:
    start("503 Service Unavailable" if wrong else "200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"status": "wrong" if wrong else "ok", **wrong}).encode() + b"\n"]
