"""The event stream, for pages: what happens, as it happens (server-sent events)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, StringConstraints

from serving.api import PREFIX, SECURITY, answers
from serving.api.models import Query
from serving.events.events import NAMES
from serving.events.stream import Events
from serving.http.clients import client_key
from serving.http.problems import FORMS
from serving.services import Services

RETRY_MS = 1000
_ANY = "|".join(NAMES)
_NAMES = rf"^({_ANY})(,({_ANY}))*$"
Names = Annotated[str, StringConstraints(pattern=_NAMES)]
FORMS[_NAMES] = f"give names of events, comma between: {', '.join(NAMES)}"


class StreamQuery(Query):
    """Which events, and after which."""

    events: Names | None = Field(None, description="names of events, comma between; without it all")
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
        response = Response(_parts(events, names), mimetype="text/event-stream")
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Accel-Buffering"] = "no"  # nginx would keep events back
        response.call_on_close(events.close)
        return response

    return api


def _parts(events: Events, names: set[str]) -> Iterator[bytes]:
    yield f"retry: {RETRY_MS}\n\n".encode()
    for each in events:
        if isinstance(each, bytes):
            yield b": ping\n\n"
        elif each.name in names:
            yield each.text
