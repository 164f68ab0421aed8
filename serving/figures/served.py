"""Figures at one version of the lake, held in memory. A value: what changes is a new one."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from fleet.figures.cube import HOURS
from serving.figures.days import Day, Hour, Keep, StoredDay


@dataclass(frozen=True)
class Served:
    """`version` -1 and no `as_of`: nothing has landed yet. Reports lie in event hours `first_hour` to `last_hour`."""

    version: int = -1
    as_of: datetime | None = None
    base: int = -1
    first_hour: int | None = None
    last_hour: int | None = None
    recent_hour: int | None = None  # the first within MAX_DAYS of the last: an outlier of 1980 begins no range
    hours: Mapping[int, pa.Table] = field(default_factory=dict)
    touched: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # event hour -> live versions after the base
    stored: Mapping[int, StoredDay] = field(default_factory=dict)  # by days since 1970, in place of a day's hours
    rolled: dict[int, Hour] = field(default_factory=dict)  # by event hour; a cache that readers fill, and so are days
    days: dict[int, Day] = field(default_factory=dict)  # by days since 1970

    def missing(self, wanted: Iterable[int], days: Container[int] = ()) -> list[int]:
        """Those of the event hours `wanted` that may have reports and are not held.

        Of the whole days `days` (since 1970) a stored roll-up will do.
        """
        first, last = self.first_hour, self.last_hour
        if first is None or last is None:
            return []
        lacking = [hour for hour in wanted if first <= hour <= last and hour not in self.hours]
        return [hour for hour in lacking if hour // 24 not in self.stored or hour // 24 not in days]

    def cells(self, first: int, end: int, keep: Keep = "", country: str | None = None) -> pa.Table:
        """Cells of the event hours from `first` to before `end`, with at least the key `keep`; of one country or all.

        Other keys may be rolled up (`fleet.figures.roll_up`); one cell may come in several parts.
        """
        parts = [HOURS.empty()]
        hour = first
        while hour < end:
            if hour % 24 == 0 and hour + 24 <= end:
                day = self.stored.get(hour // 24) or self._day(hour)
                parts.append(day.cells(keep, with_country=country is not None))
                hour += 24
            else:
                if hour in self.hours:
                    parts.append(self._hour(hour).cells(keep, with_country=country is not None))
                hour += 1
        cells = pa.concat_tables(parts)
        return cells if country is None else cells.filter(pc.equal(cells["country"], country))

    def without(self, hours: Iterable[int]) -> Served:
        """The same without holding `hours`, nor stored days that have any of them."""
        gone = set(hours)
        days = {hour // 24 for hour in gone}
        kept = {day: stored for day, stored in self.stored.items() if day not in days}
        return replace(self, stored=kept).with_changed({}, gone)

    def with_changed(self, changed: Mapping[int, pa.Table], dropped: Iterable[int] = ()) -> Served:
        """The same with the hours `changed` as given, and `dropped` no longer held."""
        gone = set(dropped)
        kept = {hour: cells for hour, cells in self.hours.items() if hour not in gone}
        stale = {*changed, *gone}
        days = {hour // 24 for hour in stale}
        return replace(
            self,
            hours={**kept, **changed},
            rolled={hour: held for hour, held in self.rolled.copy().items() if hour not in stale},
            days={day: held for day, held in self.days.copy().items() if day not in days},
        )

    def _hour(self, hour: int) -> Hour:
        rolled = self.rolled.get(hour)
        if rolled is None:
            rolled = self.rolled[hour] = Hour(self.hours[hour])
        return rolled

    def _day(self, hour: int) -> Day:
        day = self.days.get(hour // 24)
        if day is None:
            day = Day([self._hour(each) for each in range(hour, hour + 24) if each in self.hours])
            self.days[hour // 24] = day
        return day
