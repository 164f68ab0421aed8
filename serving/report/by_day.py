"""What the batch layer keeps by UTC day: drones, cities, and the quality of a day's data (docs/batch.md).

Where the officers' day is not a UTC day, the report takes and names the UTC day that has most of its hours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from heapq import nsmallest
from typing import Any, Final

from pymongo.client_session import ClientSession
from pymongo.database import Database

from fleet.figures.statistics import drones_of_range
from fleet.reports import losses
from infra.mongo import view_parts
from infra.mongo.session import at_one_instant
from serving.figures.ranges import Range
from serving.report import completeness, facts

Documents = Database[dict[str, Any]]

MOST_CITIES: Final = 200
"""Cities kept in the facts, those with the most alerts; a fleet flies over tens of thousands."""


def utc_day(hours: Range) -> date:
    """The UTC day with most hours of the officers' day; of two with twelve each the earlier."""
    return datetime.fromtimestamp((hours.first + hours.end - 1) // 2 * 3600, UTC).date()


def quality(database: Documents, day: date, received: int | None, lost: Sequence[losses.Loss] = ()) -> facts.Quality:
    """Received against expected, late, lost, rejected, duplicates. `received`: the cube's count; None: the view's."""
    document = completeness.document_of(database, day) or {}
    return facts.Quality(
        received=document.get("received", 0) if received is None else received,
        expected=document.get("expected"),
        late=document.get("late"),
        duplicates=document.get("copies"),
        conflicts=document.get("conflicts"),
        lost=losses.messages(lost, "reports"),
        lost_alerts=losses.messages(lost, "alerts"),
        losses=[losses.sentence(loss) for loss in lost],
        rejected={str(reason): int(number) for reason, number in sorted(document.get("rejected", {}).items())},
    )


def cities(database: Documents, day: date) -> tuple[list[facts.PlaceCount], int]:
    """Reports and alerts by city, most alerts first, at most MOST_CITIES; and how many cities there are."""
    of_day = _documents_of(database, "city_days", day)
    if not of_day:
        return [], 0
    cells = of_day[0]["cells"]
    rows = list(zip(cells["country"], cells["reports"], cells["alerts"], cells["city"], strict=True))
    first = nsmallest(MOST_CITIES, rows, key=lambda row: (-row[2], row[0], row[3]))
    return [facts.PlaceCount(*row) for row in first], len(rows)


def drones_low(database: Documents, day: date) -> int:
    """Drones whose last report of the day was below the threshold."""
    return _drones(database, day)[0]


def drones(database: Documents, day: date) -> facts.DronesOfDay:
    """Drones of the day, and the ones to look at first."""
    low, seen = _drones(database, day)
    document = completeness.document_of(database, day) or {}
    return facts.DronesOfDay(
        seen=seen,
        low=low,
        silent=document.get("silent"),
        with_gaps=document.get("with_gaps"),
        worst_batteries=[_drone(row) for row in document.get("worst_batteries", [])],
        longest_gaps=[_drone(row) for row in document.get("longest_gaps", [])],
    )


def _drones(database: Documents, day: date) -> tuple[int, int]:
    return drones_of_range(_documents_of(database, "drones_by_day", day), day, day)


def _documents_of(database: Documents, view: str, day: date) -> list[dict[str, Any]]:
    def read(session: ClientSession) -> list[dict[str, Any]]:
        stored = database[view].find({"_id": day.isoformat()}, session=session)
        return list(view_parts.whole(database, view, stored, session))

    return at_one_instant(database, read)


def _drone(row: dict[str, Any]) -> facts.DroneOfDay:
    last: datetime = row["last"]
    return facts.DroneOfDay(row["drone_id"], row["country"], row["battery"], row["reports"], row["gap_minutes"], last)
