"""Silences: nobody is notified of their incidents for a while; these are still stored and counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from flask import request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, model_validator
from werkzeug.exceptions import NotFound

from fleet.notifications.actions import Target
from fleet.places import place_key
from fleet.reports.report import UNKNOWN
from serving.api import PREFIX, SECURITY, answers
from serving.api.actions import ActionRow, Body, accepted, done_or_refused
from serving.api.models import Text
from serving.events.rows import Kind
from serving.http.model import Model
from serving.operators.audit import MAX_SILENCE, Says
from serving.services import Services

Document = dict[str, Any]


class Silence(Body):
    """What to silence: incidents that match all the given fields."""

    kind: Kind | None = None
    country: Text | None = None
    city: Text | None = None
    drone: Text | None = Field(None, description="a drone's id")
    minutes: int = Field(60, ge=1, le=MAX_SILENCE // timedelta(minutes=1))

    @model_validator(mode="after")
    def _names_something(self) -> Silence:
        for text in (self.country, self.city):
            # A blank place has the key of the unknown place: it would silence every incident without a city.
            if text is not None and place_key(text, "") == place_key("", "") and UNKNOWN not in text.casefold():
                raise ValueError("a country or a city has a name; give one, or leave the field out")
        if not (self.kind or self.country or self.city or self.drone):
            raise ValueError("name a kind, a country, a city or a drone to silence")
        return self


class Silences(Model):
    """Silences in force."""

    silences: list[ActionRow]


class SilencePath(Model):
    silence_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/silences`."""
    api = APIBlueprint("silences", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="operators")], abp_security=SECURITY)

    @api.post("/silences", summary="Silence a kind, place or drone", responses=done_or_refused())
    def silence(body: Silence) -> tuple[Document, int]:
        who = services.access.require(request, "operator")
        target = Target(kind=body.kind, country=body.country or "", city=body.city or "", drone_id=body.drone or "")
        lasts = timedelta(minutes=body.minutes)
        return accepted(services.audit.act(who.name, "silence", target, Says(who.named(body.by), body.note), lasts))

    @api.delete("/silences/<silence_id>", summary="End a silence early", responses=done_or_refused(404))
    def unsilence(path: SilencePath) -> tuple[Document, int]:
        who = services.access.require(request, "operator")
        silence_document = services.database.actions.find_one({"_id": path.silence_id, "action": "silence"})
        if silence_document is None:
            raise NotFound("there is no such silence")
        target = msgspec.convert(silence_document["target"], Target)
        says = Says(who.named("operator"), ends=path.silence_id)
        return accepted(services.audit.act(who.name, "unsilence", target, says))

    @api.get("/silences", summary="Silences in force", responses=answers(Silences, 401))
    def silences() -> Document:
        return {"silences": services.audit.in_force(datetime.now(UTC))}

    return api
