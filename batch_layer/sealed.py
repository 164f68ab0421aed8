"""Sealed days: their reports have left the lake, their documents stay as they are."""

from __future__ import annotations

from datetime import date

from batch_layer.database import Documents
from batch_layer.ranges import hours_of_day


def days(database: Documents) -> set[date]:
    """The sealed days."""
    return {date.fromisoformat(document["_id"]) for document in database.sealed.find({}, {"_id": 1})}


def hours(database: Documents) -> list[int]:
    """The event hours of the sealed days."""
    return [hour for day in sorted(days(database)) for hour in hours_of_day(day)]
