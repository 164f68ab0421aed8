"""Sessions of single sign-on: one's own, and for admins everybody's; each can be ended."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from structlog import get_logger
from werkzeug.exceptions import NotFound

from serving.api import PREFIX, SECURITY, answers
from serving.api.models import Query, Text
from serving.config import Role
from serving.http.access import Identity
from serving.http.model import Model
from serving.services import Services
from serving.sign_in.sessions import Sessions

_log = get_logger()


class SessionRow(Model):
    """A session that has not ended."""

    id: str
    by: str = Field(description="the name of the account")
    role: Role
    started_at: datetime
    ends_at: datetime
    current: bool = Field(description="whether it is the session of this request")


class SessionList(Model):
    """Sessions, newest first."""

    sessions: list[SessionRow]


class SessionPath(Model):
    session_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/sessions`."""
    api = APIBlueprint("sessions", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="operators")], abp_security=SECURITY)

    @api.get("/sessions", summary="Your own sessions; for admins, all", responses=answers(SessionList, 401))
    def sessions(query: Query) -> dict[str, Any]:  # noqa: ARG001 - refuses parameters
        return {"sessions": rows(services.access.require(request, "viewer"))}

    @api.delete("/sessions/<session_id>", summary="End a session", responses=answers(SessionList, 401, 404))
    def end(path: SessionPath) -> dict[str, Any]:
        who = services.access.require(request, "viewer")
        store, is_admin = kept(), who.role == "admin"
        owner = who.session.owner if who.session else None
        may_end = store is not None and (is_admin or owner is not None)
        if not may_end or store is None or not store.end(path.session_id, None if is_admin else owner):
            raise NotFound("there is no such session of yours")
        _log.info("session ended", by=who.by or who.name, session=path.session_id)
        return {"sessions": rows(who)}

    def kept() -> Sessions | None:
        return services.access.single_sign_on.sessions if services.access.single_sign_on else None

    def rows(who: Identity) -> list[dict[str, Any]]:
        store = kept()
        if store is None or (who.session is None and who.role != "admin"):
            return []
        owner = None if who.role == "admin" or who.session is None else who.session.owner
        current = who.session.id if who.session else ""
        names = ("id", "by", "role", "started_at", "ends_at")
        return [
            {**{name: getattr(each, name) for name in names}, "current": each.id == current}
            for each in store.listed(owner)
        ]

    return api
