"""Figures at one version of the lake, held in memory. Immutable: a change makes a new value."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from fleet.figures.cube import HOURS
from fleet.figures.day_form import BY_HOUR, DayForm
from serving.figures.days import Day, Hour, Keep, StoredForm, form_of

DayAndForm = tuple[int, DayForm]
"""A UTC day since 1970, and a form of it."""

NO_DAYS: Final = range(0)


class Wanted(NamedTuple):
    """What a request needs: event hours, and whole UTC days (since 1970) for which a roll-up in one form is enough."""

    hours: Collection[int] = ()
    days: range = NO_DAYS
    form: DayForm = BY_HOUR


@dataclass(frozen=True)
class Served:
    """`version` -1 and no `as_of`: nothing has landed yet. Reports are in event hours `first_hour` to `last_hour`."""

    version: int = -1
    as_of: datetime | None = None
    base: int = -1
    first_hour: int | None = None
    last_hour: int | None = None
    recent_hour: int | None = None  # the first within MAX_DAYS of the last: no default range begins in 1980
    hours: Mapping[int, pa.Table] = field(default_factory=dict)
    touched: Mapping[int, tuple[int, ...]] = field(default_factory=dict)  # event hour -> live versions after the base
    stored: Mapping[DayAndForm, StoredForm] = field(default_factory=dict)  # in place of a day's hours
    rolled: dict[int, Hour] = field(default_factory=dict)  # by event hour; a cache that readers fill, as is `days`
    days: dict[int, Day] = field(default_factory=dict)  # by days since 1970

    def missing(self, wanted: Wanted) -> list[int]:
        """The event hours of `wanted` that may have reports and are not held."""
        first, last = self.first_hour, self.last_hour
        if first is None or last is None:
            return []
        days = [day for day in wanted.days if (day, wanted.form) not in self.stored]
        hours = chain(wanted.hours, *(range(day * 24, day * 24 + 24) for day in days))
        return [hour for hour in hours if first <= hour <= last and hour not in self.hours]

    def cells(self, first: int, end: int, keep: Keep = "", country: str | None = None) -> pa.Table:
        """Cells of the event hours from `first` to before `end`, with at least the key `keep`; of one country or all.

        Other keys may be rolled up (`fleet.figures.roll_up`); a cell may come in several rows to be summed. Raises
        LookupError if an hour is missing.
        """
        form = form_of(keep, country)
        parts = [HOURS.empty()]
        hour = first
        while hour < end:
            if hour % 24 == 0 and hour + 24 <= end:
                stored = self.stored.get((hour // 24, form))
                parts.append(stored.cells if stored else self._day(hour).cells(form))
                hour += 24
            else:
                parts += [each.cells(form) for each in self._known([hour])]
                hour += 1
        cells = pa.concat_tables(parts)
        return cells if country is None else cells.filter(pc.equal(cells["country"], country))

    def without(self, hours: Iterable[int]) -> Served:
        """The same without `hours`, and without stored days that include any of them."""
        gone = set(hours)
        days = {hour // 24 for hour in gone}
        kept = {key: stored for key, stored in self.stored.items() if key[0] not in days}
        return replace(self, stored=kept).with_changed({}, gone)

    def with_changed(self, changed: Mapping[int, pa.Table], dropped: Iterable[int] = ()) -> Served:
        """The same with the hours `changed` as given, and without `dropped`."""
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

    def _known(self, hours: Sequence[int]) -> list[Hour]:
        """The hours of `hours` that have reports. Raises LookupError if one is missing."""
        if missing := self.missing(Wanted(hours)):
            raise LookupError(f"the event hours {missing} were not asked for, nor their day in this form")
        return [self._hour(hour) for hour in hours if hour in self.hours]

    def _hour(self, hour: int) -> Hour:
        rolled = self.rolled.get(hour)
        if rolled is None:
            rolled = self.rolled[hour] = Hour(self.hours[hour])
        return rolled

    def _day(self, hour: int) -> Day:
        day = self.days.get(hour // 24)
        if day is None:
            day = self.days[hour // 24] = Day(self._known(range(hour, hour + 24)))
        return day
