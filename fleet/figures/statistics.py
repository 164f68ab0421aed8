"""The statistics: merged cells of `fleet.figures.cube.HOURS` in, plain answers out.

Each function reads only the keys that it names, so cells that were rolled up over the other keys give the same answer.
Ties are ordered by name. A range without reports has zeros, and null if there is nothing to divide by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from fleet.reports.fields import LOW_BATTERY

Answer = dict[str, Any]
LocalHour = Callable[[int], int]

PARTS_OF_DAY: Final = {"night": range(6), "morning": range(6, 12), "afternoon": range(12, 18), "evening": range(18, 24)}
SCORES: Final = range(1, 11)
WORKING_DAYS: Final = range(1, 6)
"""Monday to Friday, as ISO 8601 counts the days of a week."""


def utc(event_hour: int) -> int:
    """An hour as UTC clocks show it: the hours since 1970 themselves."""
    return event_hour


@lru_cache(maxsize=100_000)
def local_date(local_hour: int) -> date:
    """The date of an hour that is counted since 1970-01-01T00 on a local clock."""
    return datetime.fromtimestamp(local_hour * 3600, UTC).date()


def alerts_by_part_of_day(cells: pa.Table, local: LocalHour = utc) -> Answer:
    """Alerts in each of the day's four parts and 24 hours, on the clock `local`. Reads `event_hour`."""
    hours = [0] * 24
    for hour, alerts in _sums(cells, "event_hour", "alerts"):
        hours[local(hour) % 24] += alerts
    parts = {name: sum(hours[hour] for hour in part) for name, part in PARTS_OF_DAY.items()}
    return {"parts": parts, "hours": hours, "total": sum(hours)}


def alerts_by_country(cells: pa.Table, limit: int | None = 5) -> Answer:
    """The countries with the most alerts, at most `limit`. Reads `country`."""
    rows = sorted(_sums(cells, "country", "alerts", "reports"), key=lambda row: (-row[1], row[0]))
    return {
        "countries": [
            {"country": country, "alerts": alerts, "reports": reports} for country, alerts, reports in rows[:limit]
        ]
    }


def averages(cells: pa.Table) -> Answer:
    """Reports, their mean battery in percent and the mean peace score of the citizens they saw. Reads no key."""
    reports, battery, citizens, scores = totals(cells, "reports", "battery_sum", "citizens", "peace_score_sum")
    return {"reports": reports, "battery": _share(battery, 1000 * reports), "peace_score": _share(scores, citizens)}


def alerts_by_weekday(cells: pa.Table, dates: Sequence[date], local: LocalHour = utc) -> Answer:
    """Alerts by day of the week; `dates` are all days of the range, even those without a report. Reads `event_hour`."""
    alerts = dict.fromkeys(range(1, 8), 0)
    days = dict.fromkeys(range(1, 8), 0)
    for hour, count in _sums(cells, "event_hour", "alerts"):
        alerts[local_date(local(hour)).isoweekday()] += count
    for day in dates:
        days[day.isoweekday()] += 1
    return {
        "weekdays": [{"weekday": day, "alerts": alerts[day], "days": days[day]} for day in alerts],
        "working_days": _per_day(alerts, days, WORKING_DAYS),
        "weekend": _per_day(alerts, days, range(6, 8)),
    }


def low_battery(cells: pa.Table, drones_low: int, drones_total: int) -> Answer:
    """Reports below the threshold, and drones whose last report in the range is. Reads no key."""
    low, total = totals(cells, "low_battery", "reports")
    return {
        "threshold": LOW_BATTERY,
        "reports": {"low": low, "total": total, "share": _share(low, total)},
        "drones": {"low": drones_low, "total": drones_total, "share": _share(drones_low, drones_total)},
    }


def alerts_by_peace_score(cells: pa.Table) -> Answer:
    """Reports and alerts by the lowest score in a report, 1 to 10, without reports that saw nobody.

    Reads `worst_score`.
    """
    counts = {score: (reports, alerts) for score, reports, alerts in _sums(cells, "worst_score", "reports", "alerts")}
    rows = [(score, *counts.get(score, (0, 0))) for score in SCORES]
    return {"scores": [{"peace_score": score, "reports": reports, "alerts": alerts} for score, reports, alerts in rows]}


def alerts_by_kind(days: Mapping[str, pa.Table], dates: Sequence[date], country: str | None = None) -> Answer:
    """Alerts, those unverified and incidents that began, by kind, by severity and by day.

    `days` are cells of `fleet.figures.views.ALERTS` by date; `dates` are all days of the range.
    """
    measures = ("alerts", "unverified", "incidents")
    known = {day: cells if country is None else _of(cells, country) for day, cells in days.items()}
    whole = pa.concat_tables(known.values()) if known else None

    def by(key: str) -> list[Answer]:
        rows = sorted(_sums(whole, key, *measures), key=lambda row: (-row[1], row[0])) if whole else []
        return [dict(zip((key, *measures), row, strict=True)) for row in rows]

    by_day = {day: totals(cells, *measures) for day, cells in known.items()}
    rows = [(name, *by_day.get(name, [0] * len(measures))) for name in (each.isoformat() for each in dates)]
    return {
        "kinds": by("kind"),
        "severities": by("severity"),
        "days": [dict(zip(("date", *measures), row, strict=True)) for row in rows],
    }


def by_place(cells: pa.Table) -> list[Answer]:
    """The figures of each row of cells by country and city, most alerts first."""
    names = ("reports", "alerts", "battery_sum", "low_battery", "citizens", "peace_score_sum")
    rows = [
        {"country": row["country"], "city": row["city"], **_interval([row[name] for name in names])}
        for row in cells.to_pylist()
    ]
    return sorted(rows, key=lambda row: (-row["alerts"], row["country"], row["city"]))


def series(cells: pa.Table, starts: Sequence[int], local: LocalHour = utc) -> list[Answer]:
    """One row an interval: its figures. `starts` are the local hours where intervals start, ascending.

    An interval ends where the next starts. Reads `event_hour`.
    """
    names = ("reports", "alerts", "battery_sum", "low_battery", "citizens", "peace_score_sum")
    rows = [[0] * len(names) for _ in starts]
    hours = sorted((local(hour), figures) for hour, *figures in _sums(cells, "event_hour", *names))
    at = 0
    for hour, figures in hours:
        while at + 1 < len(starts) and starts[at + 1] <= hour:
            at += 1
        rows[at] = [old + new for old, new in zip(rows[at], figures, strict=True)]
    return [_interval(row) for row in rows]


def drones_of_range(days: Iterable[Answer], first: date, last: date, country: str | None = None) -> tuple[int, int]:
    """(low, total) drones by their last report between `first` and `last`, of documents of `drones_by_day`.

    A drone counts on the day after which it was not seen again within the range, so it counts once.
    """
    low = total = 0
    until = last.isoformat()
    for document in days:
        if not first.isoformat() <= document["_id"] <= until:
            continue
        cells = document["cells"]
        rows = zip(cells["next_day"], cells["country"], cells["low"], cells["drones"], strict=True)
        for next_day, where, drones_low, drones in rows:
            if (not next_day or next_day > until) and country in (None, where):
                low += drones_low
                total += drones
    return low, total


def dates_between(first: date, last: date) -> list[date]:
    """All dates from `first` to `last`, both in it."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def totals(cells: pa.Table, *measures: str) -> list[int]:
    """The sums of `measures` over all cells."""
    return [pc.sum(cells[name]).as_py() or 0 for name in measures]


def _of(cells: pa.Table, country: str) -> pa.Table:
    return cells.filter(pc.equal(cells["country"], country))


def _sums(cells: pa.Table, key: str, *measures: str) -> Iterable[tuple[Any, ...]]:
    cells = cells.select([key, *measures]).combine_chunks()  # a year comes in 366 parts, which are slow to group
    grouped = cells.group_by(key, use_threads=False).aggregate([(name, "sum") for name in measures])
    columns = [grouped[key], *(grouped[f"{name}_sum"] for name in measures)]
    return zip(*(column.to_pylist() for column in columns), strict=True)


def _interval(figures: Sequence[int]) -> Answer:
    reports, alerts, battery, low, citizens, scores = figures
    return {
        "reports": reports,
        "alerts": alerts,
        "low_battery": low,
        "battery": _share(battery, 1000 * reports),
        "peace_score": _share(scores, citizens),
    }


def _per_day(alerts: dict[int, int], days: dict[int, int], of: Iterable[int]) -> Answer:
    counted, passed = (sum(counts[day] for day in of) for counts in (alerts, days))
    return {"alerts": counted, "days": passed, "alerts_per_day": _share(counted, passed)}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
