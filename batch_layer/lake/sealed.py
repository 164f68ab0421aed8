"""Sealed days as runs see them: their reports have left the lake, their documents stay as they are.

Only the lake shows which days are sealed: those up to `Snapshot.sealed_through` that have no files any more. A run
therefore computes nothing of them, and if the database has lost them, `batch_layer.lake.archive` puts them back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from batch_layer.ranges import day_of, hours_of_day
from fleet.errors import BadInput
from infra.delta import Snapshot
from infra.mongo.client import Documents


def marked(database: Documents) -> set[date]:
    """The sealed days whose documents the database has."""
    return {date.fromisoformat(document["_id"]) for document in database.sealed.find({}, {"_id": 1})}


def with_files(snapshot: Snapshot, through: date) -> list[date]:
    """The days up to `through` that have reports in the lake, in order."""
    return sorted({day for hour in snapshot.hours if (day := day_of(hour)) <= through})


def still_open(snapshot: Snapshot, days: Iterable[date]) -> set[date]:
    """Those that nobody has begun to seal."""
    return {day for day in days if snapshot.sealed_through is None or day > snapshot.sealed_through}


def refuse(snapshot: Snapshot, wanted: range) -> None:
    """Raises BadInput that names the first sealed day in the event hours `wanted`."""
    through = snapshot.sealed_through
    if through is None or not wanted:
        return
    there = set(with_files(snapshot, through))
    day = day_of(wanted.start)
    while day <= through and hours_of_day(day).start < wanted.stop:
        if day not in there:
            raise BadInput("--from/--to", f"{day} is sealed: its reports have left the lake, its figures stay")
        day += timedelta(days=1)
