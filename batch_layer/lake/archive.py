"""The documents of sealed days, kept in the lake: without the reports they cannot be computed again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any, Final

from pymongo.client_session import ClientSession

from batch_layer.lake import documents as lake_documents
from batch_layer.lake import sealed
from batch_layer.ranges import hours_of_day
from fleet.reports.landed import hour_name
from infra.delta import Snapshot
from infra.mongo import view_parts
from infra.mongo.client import Documents

FOLDER: Final = "_sealed"
_DAY: Final = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_BY_DAY: Final = ("city_days", "place_days", "delay_days", "copies", "completeness")
"""Views with a document a day. `drones_by_day` is not one: it is counted from all days' drones when one changes."""


def collect(database: Documents, day: date, session: ClientSession) -> list[dict[str, Any]]:
    """The day's documents, {view, document} each, as `session` sees them."""
    name, hours = day.isoformat(), [hour_name(hour) for hour in hours_of_day(day)]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("hours", {"_id": {"$in": hours}}),
        ("drone_days", {"day": name}),
        *((view, {"_id": name}) for view in _BY_DAY),
    ]
    return [each for view, wanted in asked for each in _collect(database, view, wanted, session)]


def _collect(
    database: Documents, view: str, wanted: dict[str, Any], session: ClientSession
) -> Iterator[dict[str, Any]]:
    for document in database[view].find(wanted, session=session).sort("_id"):
        yield {"view": view, "document": document}
        _, *others = view_parts.contents(database, view, document, session, view_parts.EVERYTHING)
        yield from ({"view": view_parts.NAME, "document": part} for part in others)


def write(snapshot: Snapshot, day: date, documents: list[dict[str, Any]]) -> int:
    """Writes the day's file. Returns its bytes. Raises ServiceUnavailable."""
    return lake_documents.write(snapshot, _path(day), documents)


def restore(database: Documents, snapshot: Snapshot) -> int:
    """Restores the documents of sealed days that the database does not have as sealed. Returns how many days.

    A day's documents and its mark are one transaction: both are dropped together. Raises ServiceUnavailable.
    """
    if snapshot.sealed_through is None:
        return 0
    being_sealed = sealed.with_files(snapshot, snapshot.sealed_through)
    missing = sorted(_days(snapshot) - sealed.marked(database) - set(being_sealed))
    for day in missing:
        mark = {"view": "sealed", "document": {"_id": day.isoformat(), "version": snapshot.version}}
        put(database, [*lake_documents.read(snapshot, _path(day)), mark])
    return len(missing)


def put(database: Documents, documents: list[dict[str, Any]]) -> None:
    def commit(session: ClientSession) -> None:
        for each in documents:
            document = each["document"]
            database[each["view"]].replace_one({"_id": document["_id"]}, document, upsert=True, session=session)

    with database.client.start_session() as session:
        session.with_transaction(commit)


def _days(snapshot: Snapshot) -> set[date]:
    return {date.fromisoformat(name) for name in lake_documents.names(snapshot, FOLDER, _DAY)}


def _path(day: date) -> str:
    return lake_documents.path(FOLDER, day.isoformat())
