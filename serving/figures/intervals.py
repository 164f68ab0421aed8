"""Hours, days, weeks and months of a range, on the clock of its zone."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

from fleet.errors import BadInput
from fleet.figures.statistics import local_date
from serving.figures.ranges import Range

Group = Literal["hour", "day", "week", "month"]

MAX_HOURS: Final = 24 * 31
"""Rows of a series by hour: a month. More would be slow to draw and too dense to read. A month in which clocks go back
has an event hour more, and the same rows."""

_EPOCH: Final = date(1970, 1, 1)


def starts(wanted: Range, group: Group) -> list[int]:
    """The local hours (since 1970-01-01T00) where the intervals of `wanted` start; the first may start before it.

    A week starts on Monday, as in ISO 8601. Raises BadInput for more hours than a series by hour has.
    """
    if wanted.end <= wanted.first:
        return []
    if group == "hour":
        shown = sorted({wanted.local(hour) for hour in wanted.hours})
        if len(shown) > MAX_HOURS:
            raise BadInput("group", f"a series by hour has at most {MAX_HOURS} hours; shorten the range or take days")
        return shown
    days = {_start(day, group) for day in wanted.dates}
    return [(day - _EPOCH).days * 24 for day in sorted(days)]


def name(start: int, group: Group) -> str:
    """`2026-11-24`, or `2026-11-24T08` for an hour."""
    day = local_date(start).isoformat()
    return f"{day}T{start % 24:02}" if group == "hour" else day


def _start(day: date, group: Group) -> date:
    if group == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if group == "month" else day
