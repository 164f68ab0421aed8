"""The response cache: an answer that was computed at a version is sent again as it is, without the web framework.

All open pages ask for the same figures at the moment when a version is new. One request computes the answer and the
others wait for it. It is kept by path, query and the headers that choose its form, as long as that version is the
newest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cachetools import TTLCache
from werkzeug.http import parse_etags
from werkzeug.wrappers import Response

from serving.http import metrics

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FIGURES: Final = "/api/v1/statistics/"

KEPT_SECONDS: Final = 2.0
"""How old the parts of an answer without a version may be: which days are complete, drones by day."""

KEPT_BYTES: Final = 32 * 2**20
"""Some thousand answers."""

_CHOOSING: Final = ("PATH_INFO", "QUERY_STRING", "HTTP_ACCEPT", "HTTP_ACCEPT_ENCODING")
_OF_A_BODY: Final = frozenset({"content-type", "content-length", "content-encoding"})

Key = tuple[str, ...]
Stamp = Hashable
"""What figures are true at: the same stamp, the same figures."""


@dataclass(frozen=True)
class Answer:
    """An answer as it is sent."""

    stamp: Stamp
    headers: list[tuple[str, str]]
    body: bytes
    etag: str


class Work:
    """An answer that is being computed by the holder of the lock. `refusal`: the error that it became."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.refusal: Response | None = None


class ResponseCache:
    """A WSGI application before `app`. `stamp` gives that of the newest figures; None if they must be read first."""

    def __init__(
        self, app: WSGIApplication, stamp: Callable[[], Stamp | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._stamp = stamp
        self._answers: TTLCache[Key, Answer] = TTLCache(KEPT_BYTES, KEPT_SECONDS, clock, _size)
        self._at_work: dict[Key, Work] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_figures = environ["REQUEST_METHOD"] == "GET" and environ.get("PATH_INFO", "").startswith(FIGURES)
        stamp = self._stamp() if is_figures else None
        if stamp is None:
            return self._app(environ, start_response)
        key = tuple(environ.get(name, "") for name in _CHOOSING)
        answer: Answer | Response | None = self._kept(key, stamp)
        if answer is None:
            held = environ.pop("HTTP_IF_NONE_MATCH", "")  # a 304 must not be kept
            answer = self._computed(key, stamp, environ)
        else:
            metrics.CACHED.labels("hit").inc()
            held = environ.get("HTTP_IF_NONE_MATCH", "")
        return answer(environ, start_response) if isinstance(answer, Response) else _send(answer, held, start_response)

    def _kept(self, key: Key, stamp: Stamp) -> Answer | None:
        with self._lock:
            answer: Answer | None = self._answers.get(key)
        return answer if answer and answer.stamp == stamp else None

    def _computed(self, key: Key, stamp: Stamp, environ: WSGIEnvironment) -> Answer | Response:
        """The answer, computed by this thread or by another one meanwhile. A Response is an error, which is not kept,
        but shared by all who waited: else each would wait for a MongoDB that is away.
        """
        with self._lock:
            work = self._at_work.setdefault(key, Work())
        try:
            with metrics.PENDING.track_inprogress(), work.lock:
                stamp = self._stamp() or stamp  # the version may have changed while this thread waited
                if shared := work.refusal or self._kept(key, stamp):
                    metrics.CACHED.labels("shared").inc()
                    return shared
                metrics.CACHED.labels("miss").inc()
                response = Response.from_app(self._app, environ, buffered=True)
                if response.status_code == 200:
                    return self._keep(key, stamp, response)
                work.refusal = response
                return response
        finally:
            with self._lock:
                if self._at_work.get(key) is work:  # a later request may compute again by now
                    del self._at_work[key]

    def _keep(self, key: Key, stamp: Stamp, response: Response) -> Answer:
        tag, _ = response.get_etag()
        answer = Answer(stamp, list(response.headers.items()), response.get_data(), tag or "")
        if _size(answer) <= KEPT_BYTES:
            with self._lock:
                self._answers[key] = answer
        return answer


def _send(answer: Answer, held: str, start_response: StartResponse) -> Iterable[bytes]:
    if held and parse_etags(held).contains_weak(answer.etag):
        headers = [(name, value) for name, value in answer.headers if name.lower() not in _OF_A_BODY]
        start_response("304 NOT MODIFIED", headers)
        return []
    start_response("200 OK", answer.headers)
    return [answer.body]


def _size(answer: Answer) -> int:
    """Bytes, about: the key is no longer than a request's line, and the headers are our own."""
    return len(answer.body) + 4096
