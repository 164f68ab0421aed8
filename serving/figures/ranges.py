"""From `from`, `to` and `tz` of a request to event hours."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.errors import BadInput
from fleet.figures.statistics import dates_between, local_date

MAX_DAYS: Final = 400
"""The longest range: a year and some, so that a year can be seen against the one before in two requests."""

DAY_OR_HOUR: Final = r"^(19[7-9]\d|20\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]))?$"
"""`2026-11-24` or `2026-11-24T08`, from 1970 to 2099."""


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
    def dates(self) -> list[date]:
        """The dates of the zone that the range touches; none of an empty range."""
        if self.end <= self.first:
            return []
        local = self.local
        return dates_between(local_date(local(self.first)), local_date(local(self.end - 1)))

    @property
    def utc_dates(self) -> list[date]:
        """The UTC dates that the range touches."""
        return Range(self.first, self.end).dates

    @property
    def names(self) -> tuple[str | None, str | None]:
        """`from` and `to` as a request would give them; hours where the range does not start or end with a day."""
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
        return lambda hour: hour + offset(self.zone, hour)


def parse(start: str | None, end: str | None, zone: tzinfo, known: tuple[int, int] | None) -> Range:
    """The range of a request. `known`, the first and last event hour with reports, stands in for what is not given.

    Without `from` the range starts at most MAX_DAYS before its end. Raises BadInput with the field and the reason.
    """
    since = _hour("from", start, zone) if start else None
    until = _hour("to", end, zone, after=True) if end else None
    if since is not None and until is not None and until <= since:
        raise BadInput("to", "the range ends before it starts")
    if until is None:
        until = max(_day_around(known[1], zone)[1] if known else 0, since or 0)
    if since is None:
        since = min(_day_around(known[0], zone)[0] if known else until, until)
        since = max(since, until - MAX_DAYS * 24)
    return _checked(Range(since, until, zone))


def zone_of(name: str) -> tzinfo:
    """The IANA zone `name`. Raises BadInput for a zone that is not known."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput("tz", f"there is no time zone {name!r}; give an IANA name such as Europe/Paris") from None


@lru_cache(maxsize=200_000)
def offset(zone: tzinfo, hour: int) -> int:
    """Whole hours that clocks of `zone` are ahead of UTC in an event hour. Raises BadInput when they are not whole."""
    ahead = datetime.fromtimestamp(hour * 3600, zone).utcoffset() or timedelta()
    whole, rest = divmod(ahead, timedelta(hours=1))
    if rest:
        raise BadInput("tz", f"figures are kept by whole hours, and {zone} is {ahead} from UTC; take a whole-hour zone")
    return whole


def _checked(wanted: Range) -> Range:
    if wanted.end - wanted.first > MAX_DAYS * 24 + 1:  # an hour more where clocks go back in between
        raise BadInput("from", f"the range is longer than {MAX_DAYS} days")
    if wanted.end > wanted.first and wanted.zone is not UTC:
        for hour in (*range(wanted.first, wanted.end, 24), wanted.end - 1):
            offset(wanted.zone, hour)
    return wanted


def _hour(field: str, text: str, zone: tzinfo, *, after: bool = False) -> int:
    """The event hour where the day or hour `text` starts, or with `after` where it ends."""
    if not re.match(DAY_OR_HOUR, text):
        raise BadInput(field, f"{text!r} is no date (2026-11-24) or hour (2026-11-24T08) from 1970 to 2099")
    is_hour = "T" in text
    try:
        local = datetime.strptime(text, "%Y-%m-%dT%H" if is_hour else "%Y-%m-%d")
    except ValueError:
        raise BadInput(field, f"there is no such day: {text}") from None
    if after and not is_hour:
        local += timedelta(days=1)
    start = local.replace(tzinfo=zone)
    seconds = int(start.timestamp())
    if seconds % 3600:
        raise BadInput("tz", f"figures are kept by whole hours, and {zone} is not whole hours from UTC")
    return seconds // 3600 + (1 if after and is_hour else 0)


def _day_around(hour: int, zone: tzinfo) -> tuple[int, int]:
    """The event hours where the day of `zone` that holds `hour` starts and ends."""
    day = local_date(hour + offset(zone, hour)).isoformat()
    return _hour("from", day, zone), _hour("to", day, zone, after=True)
