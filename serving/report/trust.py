"""Can the day be believed: completeness, drones and the run behind the figures, from the batch layer's views.

These are batch views: by UTC day, true at the batch version that the report names (docs/batch.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pymongo import DESCENDING
from pymongo.database import Database

from fleet.statistics import drones_of_range
from serving.ranges import Range
from serving.report import facts
from serving.served import Served

Documents = Database[dict[str, Any]]
State = Literal["complete", "incomplete", "empty"]

NOT_WORKED_OUT = "nobody has worked out yet whether every report of it has been landed"


@dataclass(frozen=True)
class RunBehind:
    """The newest complete run of the batch layer; all None before the first."""

    id: str | None = None
    version: int | None = None
    seconds: float | None = None


def run_behind(database: Documents) -> RunBehind:
    """The run whose version is the base of the figures."""
    run = database.runs.find_one({"kind": "hours", "state": "complete"}, sort=[("version", DESCENDING)])
    if run is None:
        return RunBehind()
    started, finished = run.get("started_at"), run.get("finished_at")
    seconds = (finished - started).total_seconds() if started and finished else None
    return RunBehind(str(run["_id"]), run["version"], seconds)


def before_all_reports(served: Served, hours: Range) -> bool:
    """Whether nothing has ever landed of the day `hours` or of any day before it."""
    return served.first_hour is None or hours.end <= served.first_hour


def state(database: Documents, day: date, reports: int) -> tuple[State, list[str]]:
    """Whether the day is complete, and if not, what is missing."""
    document = completeness(database, day)
    if document is None:
        return "incomplete", [NOT_WORKED_OUT]
    if not document["complete"]:
        return "incomplete", [str(what) for what in document.get("missing", [])]
    return ("complete" if reports else "empty"), []


def completeness(database: Documents, day: date) -> dict[str, Any] | None:
    """The batch layer's completeness document of a UTC day."""
    return database.completeness.find_one({"_id": day.isoformat()})


def quality(database: Documents, day: date, received: int) -> facts.Quality:
    """Received against expected, late, rejected, copies; `received` is the cube's own count."""
    document = completeness(database, day) or {}
    return facts.Quality(
        received=received,
        expected=document.get("expected"),
        late=document.get("late"),
        copies=document.get("copies"),
        rejected={str(reason): int(number) for reason, number in sorted(document.get("rejected", {}).items())},
    )


def drones_low(database: Documents, day: date) -> int:
    """Drones whose last report of the UTC day was below the threshold."""
    return _drones(database, day)[0]


def drones_by_last_report(database: Documents, day: date) -> facts.Drones:
    """Drones of the day, and the ones to look at first."""
    low, seen = _drones(database, day)
    document = completeness(database, day) or {}
    return facts.Drones(
        seen=seen,
        low=low,
        silent=document.get("silent"),
        with_gaps=document.get("with_gaps"),
        worst_batteries=[_drone(row) for row in document.get("worst_batteries", [])],
        longest_gaps=[_drone(row) for row in document.get("longest_gaps", [])],
    )


def _drones(database: Documents, day: date) -> tuple[int, int]:
    return drones_of_range(database.drones_by_day.find({"_id": day.isoformat()}), day, day)


def _drone(row: dict[str, Any]) -> facts.Drone:
    last: datetime = row["last"]
    return facts.Drone(row["drone_id"], row["country"], row["battery"], row["reports"], row["gap_minutes"], last)
