"""How many requests one client may send: by token or address."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.wrappers import Request

from serving.config import Config
from serving.http import headers, problems
from serving.http.access import Access
from serving.http.clients import client_key

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

FORGET_SECONDS: Final = 5.0
"""Seconds; an outdated count is never used, so one that is kept too long costs memory only."""

UNLIMITED: Final = ("/healthz", "/readyz", "/static/")


class CalmStorage(MemoryStorage):
    """Counts in memory. Forgets old ones every few seconds; the library's own storage starts a thread at every
    request."""

    STORAGE_SCHEME = ["calm-memory"]  # noqa: RUF012 - declared so where it is overridden

    def _MemoryStorage__schedule_expiry(self) -> None:
        if not self.timer.is_alive():
            self.timer = threading.Timer(FORGET_SECONDS, self._MemoryStorage__expire_events)  # type: ignore[attr-defined]
            self.timer.daemon = True
            self.timer.start()


class Limited:
    """A WSGI application before `app` that refuses requests beyond the rate that the settings allow ("600 per second").

    A client is a known token, or an address: an invented token has no rate of its own.
    """

    def __init__(self, app: WSGIApplication, config: Config, access: Access) -> None:
        self._app = app
        self._config = config
        self._access = access
        self._most = parse(config.rate_limit)
        self._counts = FixedWindowRateLimiter(CalmStorage())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        is_free = environ.get("PATH_INFO", "").startswith(UNLIMITED)
        if is_free or self._counts.hit(self._most, self._client(environ)):
            return self._app(environ, start_response)
        said = f"more than {self._most} from one client"
        refusal = problems.answer(429, "Too Many Requests", said, retry_after=self._most.get_expiry())
        return headers.secure(refusal, environ["PATH_INFO"])(environ, start_response)

    def _client(self, environ: WSGIEnvironment) -> str:
        """Without a look-up in MongoDB: a session counts as its address."""
        name = self._access.known_name(Request(environ)) if self._config.tokens else None
        return f"token {name}" if name else f"address {client_key(environ.get('REMOTE_ADDR', ''))}"
