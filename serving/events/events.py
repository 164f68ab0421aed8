"""Changes in MongoDB as events for pages: an alert, an incident, new figures, drones that moved.

An event's id is the resume token of the change in MongoDB's change stream, so a client can continue after it at any
server, also one that was started since.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from serving.events.rows import alert_row, incident_row
from serving.http.json import dumps

Document = Mapping[str, Any]
Name = Literal["alert", "incident", "figures", "drones", "reset"]

NAMES: Final = ("alert", "incident", "figures", "drones")
TOKEN: Final = re.compile(r"[0-9A-F]{20,600}")
"""A resume token: hexadecimal digits that sort in the order of the changes."""

PIPELINE: Final[Sequence[Document]] = [
    {
        "$match": {
            "operationType": {"$in": ["insert", "update", "replace"]},
            "ns.coll": {"$in": ["alerts", "incidents", "live", "drone_blocks"]},
        }
    },
    # Cells and blocks are large and not needed here.
    {"$project": {"operationType": 1, "ns": 1, "documentKey": 1, "updateDescription.updatedFields.raised_at": 1,
                  "fullDocument": {"$cond": [{"$in": ["$ns.coll", ["alerts", "incidents"]]}, "$fullDocument",
                                             {"committed_at": "$fullDocument.committed_at"}]}}},
]  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One message of the stream, ready to send."""

    id: str
    name: Name
    text: bytes


def event(identifier: str, name: Name, data: Document) -> Event:
    """An event as text (HTML standard, 9.2.6); JSON has no line breaks, so `data` is one line."""
    text = f"id: {identifier}\nevent: {name}\ndata: {dumps(data)}\n\n"
    return Event(identifier, name, text.encode())


def of_change(change: Document) -> Event | None:
    """The event of a change; None for one without news."""
    identifier: str = change["_id"]["_data"]
    document = change.get("fullDocument")
    collection = change["ns"]["coll"]
    if document is None:  # deleted since
        return None
    if collection == "alerts":
        return event(identifier, "alert", alert_row(document)) if _is_new_alert(change, document) else None
    if collection == "incidents":
        return event(identifier, "incident", incident_row(document))
    if collection == "live":
        figures = {"version": change["documentKey"]["_id"], "as_of": document.get("committed_at")}
        return event(identifier, "figures", figures)
    return event(identifier, "drones", {})


def _is_new_alert(change: Document, document: Document) -> bool:
    """Whether the change made the alert known: its delivery may be recorded before it, or change it later."""
    if document.get("raised_at") is None:
        return False
    changed = change.get("updateDescription", {}).get("updatedFields", {})
    return change["operationType"] == "insert" or "raised_at" in changed
