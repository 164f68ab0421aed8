"""The checks before any work is done for a request: is it for this host, from our own page, by somebody known?

A WSGI application in front of the response cache, so that no answer gets past it.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pymongo.errors import PyMongoError
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, MisdirectedRequest
from werkzeug.wrappers import Request

from fleet.errors import ServiceUnavailable
from serving.config import Config
from serving.http import headers, problems
from serving.http.access import Access

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    Context = Callable[[WSGIEnvironment], AbstractContextManager[Any]]

NIGHTLY_REPORTS: Final = "/reports"
GUARDED: Final = ("/api/", NIGHTLY_REPORTS)
"""Prefixes of the paths that need a known sender. The other pages hold no data: they ask the API for it."""

FIGURES: Final = ("/api/v1/statistics/", "/api/v1/completeness", "/api/v1/places", "/api/v1/status")
"""Paths of counts and means, including the list of nightly reports: no names, no text from drones, no single report."""

SESSION: Final = "/api/v1/session"
"""Signing in needs no token."""

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FROM_HERE: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` of a request from our own page, or from an address that a person typed."""


class Gate:
    """Refuses requests for another host, from another site's page, or without a token that they need."""

    def __init__(
        self, app: WSGIApplication, config: Config, access: Access, context: Context = contextlib.nullcontext
    ) -> None:
        """`context`: makes the web framework's context of a request, needed to render a page about the refusal."""
        self._app = app
        self._context = context
        self._config = config
        self._access = access
        public = urlsplit(config.public_url)
        self._hosts = {"localhost", *(name.lower() for name in config.hosts), *filter(None, [public.hostname])}
        self._origins = {f"{public.scheme}://{public.netloc}".lower()} if public.netloc else set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            self._check_host(environ.get("HTTP_HOST", ""))
            if request.method not in SAFE:
                self._check_origin(request)
        except HTTPException as error:  # no page: the host may not be ours
            return headers.secure(problems.of_http(error), request.path)(environ, start_response)
        try:
            self._check_role(request)
        except (HTTPException, ServiceUnavailable, PyMongoError) as error:
            with self._context(environ):
                refusal = headers.secure(problems.of_any_known(error), request.path)
            return refusal(environ, start_response)
        return self._app(environ, start_response)

    def _check_host(self, host: str) -> None:
        """Else a page of another site could point its own name at this server and read from it (DNS rebinding)."""
        name = _host_name(host)
        if name is None:
            raise BadRequest("the Host header names no host")
        if name not in self._hosts and not _is_address(name):
            raise MisdirectedRequest(f"this server is not {name[:100]!r}; PEACEWATCH_WEB_HOSTS names what it is called")

    def _check_origin(self, request: Request) -> None:
        """Only our own pages may act, and programs, which send neither header."""
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None and site not in FROM_HERE:
            raise Forbidden("actions are taken from Peacewatch's own pages only")
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() not in self._origins | _own_origins(request):
            raise Forbidden("actions are taken from Peacewatch's own pages only")

    def _check_role(self, request: Request) -> None:
        path = request.path
        if not path.startswith(GUARDED) or path == SESSION:
            return
        is_figures = path == NIGHTLY_REPORTS or path.startswith(FIGURES)
        if not (is_figures and self._config.has_open_figures):
            self._access.require(request, "viewer")


def _host_name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    is_plain = bool(name) and parts.netloc == host and not (parts.username or parts.path or parts.query)
    return name if is_plain and port != 0 else None


def _is_address(name: str) -> bool:
    """Whether `name` is an IP address: nobody can point one at another host, so it needs no list."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_origins(request: Request) -> set[str]:
    host = request.environ.get("HTTP_HOST", "").lower()
    return {f"http://{host}", f"https://{host}"}
