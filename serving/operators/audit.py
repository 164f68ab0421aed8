"""Actions of operators: to the notifier through Kafka, then into the audit list, the collection `actions`."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec
from pymongo.errors import PyMongoError
from structlog import get_logger

from fleet.notifications.actions import Action, Target
from serving.http.access import require
from serving.services import Services

Document = dict[str, Any]
What = Literal["acknowledge", "resolve", "silence", "unsilence"]

MAX_SILENCE: Final = timedelta(days=7)
"""Long enough for a known fault; nobody forgets a silence for ever."""

_NOTHING: Final = {"incident_id": "", "kind": None, "country": "", "city": "", "drone_id": ""}
_log = get_logger()


class Says(NamedTuple):
    """Who acts, and what they say of it."""

    by: str = "operator"
    note: str = ""


def act(services: Services, what: What, target: Target, says: Says, lasts: timedelta | None = None) -> Document:
    """Does it in the name of the request's token; the action as the API shows it.

    Raises Unauthorized or Forbidden without an operator's token, ServiceUnavailable when Kafka does not take it.
    """
    who = require(services.config, "operator")
    now = datetime.now(UTC)
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as MongoDB keeps it
    action = Action(f"{who}-{uuid.uuid4().hex}", what, target, says.by, at, says.note, at + lasts if lasts else None)
    services.desk.send(action)
    return _record(services, action)


def _record(services: Services, action: Action) -> Document:
    """Into the audit list at once; the recorder writes the same from Kafka, should MongoDB be away now."""
    document = {name: getattr(action, name) for name in ("action", "by", "at", "note", "until")}
    document["target"] = msgspec.to_builtins(action.target)
    try:
        services.database.actions.replace_one({"_id": action.id}, document, upsert=True)
    except PyMongoError as error:
        _log.warning("an action is not in the audit list yet", action=action.id, error=error)
    return row({"_id": action.id, **document})


def in_force(services: Services, now: datetime) -> list[Document]:
    found = services.database.actions.find(
        {
            "$or": [
                {"action": "silence", "until": {"$gt": now}},
                {"action": "unsilence", "at": {"$gt": now - MAX_SILENCE}},
            ]
        }
    ).sort([("at", 1), ("_id", 1)])
    by_target: dict[str, Document] = {}
    for document in found:
        target = str(sorted(document["target"].items()))
        if document["action"] == "silence":
            by_target[target] = document
        else:
            by_target.pop(target, None)
    return [row(document) for document in by_target.values()]


def row(document: Document) -> Document:
    fields = ("action", "by", "at", "note", "until")
    target = {**_NOTHING, **document["target"]}
    return {"id": document["_id"], **{name: document.get(name) for name in fields}, "target": target}
