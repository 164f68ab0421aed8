"""Whether the officers' day is complete, and which batch run its figures are from (docs/batch.md).

The views know UTC days. A day on another clock is complete when the UTC days that end within it are complete, when its
last hours have landed, and when nothing that may belong to it was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

from pymongo.database import Database

from fleet.figures.statistics import totals
from fleet.reports import losses
from fleet.reports.watermark import ALLOWED_LATENESS, behind
from infra.mongo import runs
from serving.figures.ranges import Range
from serving.figures.served import Served

Documents = Database[dict[str, Any]]
State = Literal["complete", "incomplete", "empty"]

NOT_COMPUTED: Final = "it has not been computed yet whether all its reports have landed"


@dataclass(frozen=True)
class RunBehind:
    """The newest complete run of the batch layer; all None before the first."""

    id: str | None = None
    version: int | None = None
    seconds: float | None = None


def run_behind(database: Documents) -> RunBehind:
    """The run whose version is the base of the figures."""
    run = runs.newest(database)
    if run is None:
        return RunBehind()
    started, finished = run.get("started_at"), run.get("finished_at")
    seconds = (finished - started).total_seconds() if started and finished else None
    return RunBehind(str(run["_id"]), run["version"], seconds)


def state(database: Documents, served: Served, hours: Range) -> tuple[State, list[str]]:
    """Whether the officers' day is complete, and if not, what is missing. `served` must hold `hours`.

    A day before the very first report waits for nothing, as in a new installation.
    """
    if served.first_hour is None or hours.end <= served.first_hour:
        return "empty", []
    missing = waits(database, served, hours)
    missing += [losses.sentence(loss) for loss in lost(database, hours) if loss["table"] == "reports"]
    if missing:
        return "incomplete", missing
    return ("complete" if _reports(served, hours) else "empty"), []


def waits(database: Documents, served: Served, hours: Range) -> list[str]:
    """What part of the officers' day may still arrive or be computed. `served` must hold `hours`."""
    if served.first_hour is None or hours.end <= served.first_hour:
        return []
    return list(dict.fromkeys(what for day in hours.utc_dates for what in _waits(database, served, day, hours)))


def lost(database: Documents, hours: Range) -> list[losses.Loss]:
    """What was lost before it landed and may have belonged to the officers' day."""
    start, end = (datetime.fromtimestamp(hour * 3600, UTC) for hour in (hours.first, hours.end))
    return [loss for loss in database.losses.find({}).sort("_id") if losses.may_be_of(loss, start, end)]


def document_of(database: Documents, day: date) -> dict[str, Any] | None:
    """The batch layer's completeness document of a UTC day; None: no commit has touched the day yet."""
    return database.completeness.find_one({"_id": day.isoformat()})


def is_settled(database: Documents, day: date) -> bool:
    """Whether nothing more of a UTC day is expected or has to be computed."""
    document = document_of(database, day)
    return bool(document and _settled(document))


def _settled(document: dict[str, Any]) -> bool:
    return bool(document.get("settled", document["complete"]))


def _waits(database: Documents, served: Served, day: date, hours: Range) -> list[str]:
    """What the part of the UTC day within the officers' day waits for."""
    document = document_of(database, day)
    end = min(_first_hour(day) + 24, hours.end)
    if document is not None and end == _first_hour(day) + 24:
        known = document.get("losses", [])
        missing = [str(what) for what in document["missing"] if what not in known]
        return [] if _settled(document) else missing or [NOT_COMPUTED]
    if document is None and _reports(served, Range(max(_first_hour(day), hours.first), end)):
        return [NOT_COMPUTED]
    return _not_landed(database, datetime.fromtimestamp(end * 3600, UTC) + ALLOWED_LATENESS)


def _not_landed(database: Documents, until: datetime) -> list[str]:
    through = (database.landing_facts.find_one({"_id": "through"}) or {}).get("partitions", {})
    return behind(through, until) if through else [NOT_COMPUTED]


def _reports(served: Served, hours: Range) -> int:
    return totals(served.cells(hours.first, hours.end), "reports")[0]


def _first_hour(day: date) -> int:
    return (day - date(1970, 1, 1)).days * 24
