"""Operators' actions: sent to the notifier through Kafka, then written to the audit list, the collection `actions`."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import msgspec
from pymongo.database import Database
from pymongo.errors import PyMongoError
from structlog import get_logger

from fleet.notifications.actions import Action, Target
from serving.operators.desk import Desk

Document = dict[str, Any]
What = Literal["acknowledge", "resolve", "silence", "unsilence"]

MAX_SILENCE: Final = timedelta(days=7)
"""Long enough for a known fault to be repaired; a forgotten silence ends after it."""

_NOTHING: Final = {"incident_id": "", "kind": None, "country": "", "city": "", "drone_id": ""}
_log = get_logger()


class Says(NamedTuple):
    """Who acts, their note, and the silence that the action ends."""

    by: str = "operator"
    note: str = ""
    ends: str = ""


@dataclass(frozen=True)
class Audit:
    """Sends actions to the notifier, and keeps and reads the list of them."""

    database: Database[Document]
    desk: Desk

    def act(self, who: str, what: What, target: Target, says: Says, lasts: timedelta | None = None) -> Document:
        """Sends the action in the name of `who`, a token's short name; returns it as the API shows it.

        Raises ServiceUnavailable when Kafka does not accept it.
        """
        now = datetime.now(UTC)
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as MongoDB keeps it
        until = at + lasts if lasts else None
        action = Action(f"{who}-{uuid.uuid4().hex}", what, target, says.by, at, says.note, until, says.ends)
        self.desk.send(action)
        return self._record(action)

    def in_force(self, now: datetime) -> list[Document]:
        """Silences that have not ended."""
        documents = self.database.actions.find(
            {
                "$or": [
                    {"action": "silence", "until": {"$gt": now}},
                    {"action": "unsilence", "at": {"$gt": now - MAX_SILENCE}},
                ]
            }
        ).sort([("at", 1), ("_id", 1)])
        silences: dict[str, Document] = {}  # a target may have several, as in the notifier
        for document in documents:
            if document["action"] == "silence":
                silences[document["_id"]] = document
                continue
            for id_, silence in list(silences.items()):
                if silence["target"] == document["target"] and document.get("ends", "") in ("", id_):
                    del silences[id_]
        return [row(document) for document in silences.values()]

    def _record(self, action: Action) -> Document:
        """Writes the action to the audit list now; the recorder writes the same from Kafka, in case MongoDB is away."""
        document = {name: getattr(action, name) for name in ("action", "by", "at", "note", "until", "ends")}
        document["target"] = msgspec.to_builtins(action.target)
        try:
            self.database.actions.replace_one({"_id": action.id}, document, upsert=True)
        except PyMongoError as error:
            _log.warning("action not in the audit list yet", action=action.id, error=error)
        return row({"_id": action.id, **document})


def row(document: Document) -> Document:
    """An action as the API shows it."""
    fields = ("action", "by", "at", "note", "until")
    target = {**_NOTHING, **document["target"]}
    return {"id": document["_id"], **{name: document.get(name) for name in fields}, "target": target}
