"""The event stream, for pages (server-sent events)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Annotated, Final

from flask import Request, Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, StringConstraints
from pymongo.errors import PyMongoError

from fleet.errors import ServiceUnavailable
from serving.api import PREFIX, SECURITY, answers
from serving.api.models import Query
from serving.events.events import NAMES
from serving.events.hub import Events
from serving.http.clients import client_key
from serving.http.problems import FORMS
from serving.services import Services

RETRY_MS = 1000
LOOK_SECONDS: Final = 5.0
"""How often a stream checks that its token or session is still valid; pings come as often."""

_ANY = "|".join(NAMES)
_NAMES = rf"^({_ANY})(,({_ANY}))*$"
Names = Annotated[str, StringConstraints(pattern=_NAMES)]
FORMS[_NAMES] = f"give names of events, comma-separated: {', '.join(NAMES)}"


class StreamQuery(Query):
    """Which events, and after which."""

    events: Names | None = Field(None, description="names of events, comma-separated; without it all")
    after: str | None = Field(
        None, max_length=600, description="id of the last event seen; a Last-Event-ID header wins"
    )


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/stream`."""
    api = APIBlueprint("stream", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="stream")], abp_security=SECURITY)
    documented = answers(None)
    documented[200] = {"description": "Events until the client leaves.", "content": {"text/event-stream": {}}}

    @api.get("/stream", summary="Events as they happen", responses=documented)
    def stream(query: StreamQuery) -> Response:
        names = set(query.events.split(",") if query.events else NAMES) | {"reset"}
        events = services.hub.listen(
            request.headers.get("Last-Event-ID") or query.after, client_key(request.remote_addr or "")
        )
        asked = request._get_current_object()  # type: ignore[attr-defined]
        response = Response(parts(events, names, lambda: _is_let_in(services, asked)), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # else nginx buffers events
        response.call_on_close(events.close)
        return response

    return api


def parts(
    events: Events, names: set[str], is_let_in: Callable[[], bool], clock: Callable[[], float] = time.monotonic
) -> Iterator[bytes]:
    """The text of `events` of these names. Ends when `is_let_in`, called every LOOK_SECONDS, is false."""
    yield f"retry: {RETRY_MS}\n\n".encode()
    looked_at = clock()
    for each in events:
        if clock() - looked_at >= LOOK_SECONDS:
            if not is_let_in():
                return
            looked_at = clock()
        if isinstance(each, bytes):
            yield b": ping\n\n"
        elif each.name in names:
            yield each.text


def _is_let_in(services: Services, asked: Request) -> bool:
    """Whether the stream's reader may still read: the token or session may have ended since."""
    try:
        return services.access.identify(asked) is not None
    except (PyMongoError, ServiceUnavailable):
        return True  # unknown without MongoDB, for which the stream waits as well
