"""Ids in addresses: any text, a slash as `%2F`. WSGI gives a path decoded, where the drone `a/days` and the days of the
drone `a` look the same. Here an encoded slash stays distinct: `/drones/a%2Fdays` is a drone, `/drones/a/days` are the
days of another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.routing import Map, PathConverter

from fleet import identity

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ID: Final = "id"
"""The converter's name in rules: `/drones/<id:drone_id>`."""


class IdConverter(PathConverter):
    """An id. Slashes that were not encoded belong to it where no other rule matches.

    `<id(but="days|track"):drone_id>` ends with none of these segments: they are other resources, whatever the method.
    """

    def __init__(self, url_map: Map, but: str = "") -> None:
        super().__init__(url_map)
        others = rf"(?!.*/(?:{but})\Z)" if but else ""
        self.regex = rf"(?s:{others}[^/].*?)"  # `s`: an id may have a line break

    def to_python(self, value: str) -> str:
        return value.replace("%2F", "/").replace("%25", "%")


class Segments:
    """A WSGI application before `app` that joins the decoded segments of a path as `fleet.identity` joins parts."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        target: str = environ.get("REQUEST_URI", "")
        if "%" in target:
            path = urlsplit(target).path if target.startswith("http") else target.partition("?")[0]
            segments = (unquote_to_bytes(segment).decode("latin-1") for segment in path.split("/"))
            environ["PATH_INFO"] = identity.join(*segments)
        return self._app(environ, start_response)
