"""From `from`, `to` and `tz` of a request to event hours."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache, partial
from typing import Final

from fleet.errors import BadInput
from fleet.figures.statistics import dates_between, local_date
from infra.time_zones import whole_hour_zone

MAX_DAYS: Final = 400
"""The longest range: a year and some days, so that two requests compare a year with the one before."""

DAY_OR_HOUR: Final = r"^(19[7-9][0-9]|20[0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(T([01][0-9]|2[0-3]))?$"
"""`2026-11-24` or `2026-11-24T08`, from 1970 to 2099. `\\d` would take the digits of every script."""

DAY_OR_HOUR_FORM: Final = "give a day (2026-11-24) or an hour (2026-11-24T08) from 1970 to 2099"

SKIPPED_DAY: Final = 20
"""Hours that the clock of a zone went ahead in excess of those that passed, where it skipped a date; summer time makes
two at most."""

FURTHEST: Final = 27
"""Hours; no clock was ever further from UTC (Manila until 1844: 16)."""


@dataclass(frozen=True)
class Range:
    """Event hours from `first` to before `end`, on the clock of `zone`."""

    first: int
    end: int
    zone: tzinfo = UTC

    @property
    def hours(self) -> range:
        return range(self.first, self.end)

    @property
    def days(self) -> range:
        """The whole UTC days of the range, since 1970."""
        return range(-(-self.first // 24), self.end // 24)

    @property
    def hours_outside_days(self) -> Sequence[int]:
        """The hours of the range that are in none of its whole UTC days."""
        days = self.days
        return [*range(self.first, days.start * 24), *range(days.stop * 24, self.end)] if days else self.hours

    @property
    def dates(self) -> list[date]:
        """The dates of the zone that the range touches; empty for an empty range.

        Without a date that the zone skipped: Samoa moved over the date line on 2011-12-30.
        """
        if self.end <= self.first:
            return []
        local = self.local
        first, last = local(self.first), local(self.end - 1)
        if last - first < len(self.hours) + SKIPPED_DAY:
            return dates_between(local_date(first), local_date(last))
        return sorted({local_date(local(hour)) for hour in self.hours})

    @property
    def utc_dates(self) -> list[date]:
        """The UTC dates that the range touches."""
        return Range(self.first, self.end).dates

    @property
    def names(self) -> tuple[str | None, str | None]:
        """`from` and `to` as a request would give them; hours if the range does not start or end with a day."""
        if self.end <= self.first:
            return None, None
        first, last = self.local(self.first), self.local(self.end - 1)
        return (
            local_date(first).isoformat() + (f"T{first % 24:02}" if first % 24 else ""),
            local_date(last).isoformat() + (f"T{last % 24:02}" if last % 24 != 23 else ""),
        )

    @property
    def whole_days(self) -> bool:
        """Whether the range is whole UTC days."""
        return self.first % 24 == 0 and self.end % 24 == 0

    @property
    def local(self) -> Callable[[int], int]:
        """The clock of the zone: an event hour as the hours since 1970-01-01T00 that a clock there shows."""
        if self.zone is UTC:
            return lambda hour: hour
        return partial(local_hour, self.zone)


def parse(start: str | None, end: str | None, zone: tzinfo, known: tuple[int, int] | None) -> Range:
    """The range of a request. `known`, the first and last event hour with reports, replaces a missing `from` or `to`.

    Without `from` the range starts at most MAX_DAYS before its end. Raises BadInput with the field and the reason.
    """
    first = _local_hour("from", start) if start else None
    last = _local_hour("to", end, last=True) if end else None
    if first is not None and last is not None and last < first:
        raise BadInput("to", "the range ends before it starts")
    since = None if first is None else _begins(first, zone)
    until = None if last is None else _begins(last + 1, zone)
    local = Range(0, 0, zone).local
    if until is None:
        until = max(_begins(local(known[1]) // 24 * 24 + 24, zone) if known else 0, since or 0)
    if since is None:
        since = min(_begins(local(known[0]) // 24 * 24, zone) if known else until, until)
        since = max(since, until - MAX_DAYS * 24)
    if until - since > MAX_DAYS * 24 + 1:  # an hour more where clocks go back in between
        raise BadInput("from", f"the range is longer than {MAX_DAYS} days")
    return Range(since, until, zone)


def zone_of(name: str) -> tzinfo:
    """The zone of a request. Raises BadInput; see infra.time_zones.whole_hour_zone."""
    return whole_hour_zone("tz", name)


@lru_cache(maxsize=200_000)
def local_hour(zone: tzinfo, hour: int) -> int:
    """The hour since 1970-01-01T00 that clocks of `zone` show when an event hour starts."""
    ahead = datetime.fromtimestamp(hour * 3600, zone).utcoffset() or timedelta()
    return (hour * 3600 + int(ahead.total_seconds())) // 3600


def _begins(local: int, zone: tzinfo) -> int:
    """The first event hour that clocks of `zone` show as the hour `local` or a later one. So a range includes both
    event hours where clocks go back, and none for an hour that they skip.
    """
    if zone is UTC:
        return local
    near = range(local - FURTHEST, local + FURTHEST)
    return near[0] + bisect_left(near, local, key=lambda hour: local_hour(zone, hour))


def _local_hour(field: str, text: str, *, last: bool = False) -> int:
    """The local hour that `text` names; for a day its first hour, or its last one with `last`."""
    if not re.match(DAY_OR_HOUR, text):
        raise BadInput(field, DAY_OR_HOUR_FORM)
    is_hour = "T" in text
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H" if is_hour else "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadInput(field, f"there is no such day: {text}") from None
    return int(moment.timestamp()) // 3600 + (23 if last and not is_hour else 0)
