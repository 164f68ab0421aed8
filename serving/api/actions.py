"""What operators do about incidents, and the list of all they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import ConfigDict, Field
from pymongo.errors import PyMongoError
from werkzeug.exceptions import NotFound

from fleet.notifications.actions import Target
from serving.api import PREFIX, SECURITY, answers, with_example
from serving.api.incidents import IncidentPath
from serving.api.models import Query
from serving.http.model import Model
from serving.http.paging import CURSOR, MAX_PAGE, page
from serving.operators.audit import Says, row
from serving.services import Services

Document = dict[str, Any]


class Body(Model):
    """A request's body; a field that is not named here is refused."""

    model_config = ConfigDict(extra="forbid")

    by: str = Field(
        "operator",
        min_length=1,
        max_length=80,
        description="the operator's name, shown with the action; ignored after a sign-in by name",
    )
    note: str = Field("", max_length=500)


class TargetRow(Model):
    """What an action is about."""

    incident_id: str = ""
    kind: str | None = None
    country: str = ""
    city: str = ""
    drone_id: str = ""


class ActionRow(Model):
    """An action. `note` and `by` are text from operators."""

    id: str
    action: str = Field(description="acknowledge, resolve, silence or unsilence")
    target: TargetRow
    by: str
    at: datetime
    note: str
    until: datetime | None = Field(description="when a silence ends")


class Done(Model):
    """The action has been sent to the notifier."""

    action: ActionRow


class Actions(Model):
    """A page of the audit list."""

    actions: list[ActionRow]
    next: str | None


class ActionsQuery(Query):
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, pattern=CURSOR)


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/incidents/…/acknowledge`, `…/resolve` and `/api/v1/actions`."""
    api = APIBlueprint("actions", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="operators")], abp_security=SECURITY)
    done = done_or_refused(404)

    def incident(incident_id: str) -> Target:
        try:
            is_known = services.database.incidents.find_one({"_id": incident_id}, {"_id": True}) is not None
        except PyMongoError:
            is_known = True  # the notifier knows whether; it needs no MongoDB
        if not is_known:
            raise NotFound("there is no such incident")
        return Target(incident_id=incident_id)

    @api.post("/incidents/<id:incident_id>/acknowledge", summary="Acknowledge an incident", responses=done)
    def acknowledge(path: IncidentPath, body: Body) -> tuple[Document, int]:
        who = services.access.require(request, "operator")
        says = Says(who.named(body.by), body.note)
        return accepted(services.audit.act(who.name, "acknowledge", incident(path.incident_id), says))

    @api.post("/incidents/<id:incident_id>/resolve", summary="Resolve an incident", responses=done)
    def resolve(path: IncidentPath, body: Body) -> tuple[Document, int]:
        who = services.access.require(request, "operator")
        says = Says(who.named(body.by), body.note)
        return accepted(services.audit.act(who.name, "resolve", incident(path.incident_id), says))

    @api.get("/actions", summary="The audit list, newest first", responses=answers(Actions, 401))
    def actions(query: ActionsQuery) -> Document:
        documents, following = page(services.database.actions, {}, "at", query.limit, query.cursor)
        return {"actions": [row(document) for document in documents], "next": following}

    return api


def done_or_refused(*more: int) -> dict[str | int, Any]:
    """The documented answers of an action."""
    refused = answers(None, 401, 403, *more)
    return {202: with_example(Done), **refused}


def accepted(action: Document) -> tuple[Document, int]:
    """202: the notifier applies the action within seconds."""
    return {"action": action}, 202
