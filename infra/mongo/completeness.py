"""The collection `completeness`: whether a UTC day is complete, and the quality of its data."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final, Required, TypedDict

from infra.mongo.client import Documents
from infra.mongo.collection import Collection


class ReceivedAt(TypedDict):
    """When a day was first known complete, and the reports it had."""

    at: datetime
    received: int


class CompletenessDocument(TypedDict, total=False):
    """A day; batch_layer.completeness says how each field is computed."""

    _id: Required[str]
    version: int
    complete: bool
    settled: bool  # nothing is waited for: what is lost never comes
    missing: list[str]
    waiting: bool  # some of it is not computed yet
    received: int
    late: int
    lost: int | None
    lost_alerts: int | None
    losses: list[str]
    copies: int  # duplicates: those that landing dropped on the day, and those in the lake
    conflicts: int  # with the identity of another report and other content: rejected on the day, or in the lake
    rejected: dict[str, int]  # by reason
    folded: list[str]
    first_complete: ReceivedAt | None
    expected: int
    silent: int
    unregistered: int
    with_gaps: int
    worst_batteries: list[dict[str, Any]]
    longest_gaps: list[dict[str, Any]]


COLLECTION: Final = Collection("completeness", 1, CompletenessDocument, "the UTC day: `2026-11-24`", "aggregate")


def open_days(database: Documents) -> set[date]:
    """The days that wait for something, and those of which late reports are not computed yet."""
    wanted = {"$or": [{"complete": False, "settled": {"$ne": True}}, {"waiting": True}]}
    return {date.fromisoformat(each["_id"]) for each in database.completeness.find(wanted, {"_id": 1})}


def of_day(database: Documents, day: date) -> dict[str, Any] | None:
    """None: no commit has touched the day yet."""
    return database.completeness.find_one({"_id": day.isoformat()})
