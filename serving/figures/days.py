"""Cells of an hour and of a UTC day, rolled up once in the forms that statistics read, so that a month is quick to sum.

A new live document changes an hour or two: only those are rolled up again, the other hours of the day are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

import pyarrow as pa

from fleet.figures.cube import HOURS
from fleet.figures.roll_up import DAY_FORMS, roll_up
from infra.mongo.packed import unpack

Keep = Literal["event_hour", "country", "worst_score", ""]


class Hour:
    """The cells of one event hour at one version. Its roll-ups are computed when first needed."""

    def __init__(self, cells: pa.Table) -> None:
        self.whole = cells

    @cached_property
    def by_country(self) -> pa.Table:
        return roll_up(self.whole, ["event_hour", "country"])

    @cached_property
    def by_score(self) -> pa.Table:
        return roll_up(self.whole, ["event_hour", "worst_score"])

    @cached_property
    def total(self) -> pa.Table:
        return roll_up(self.by_score, ["event_hour"])

    def cells(self, keep: Keep, *, with_country: bool) -> pa.Table:
        """The hour's cells with the key `keep`, and also the country where the reader filters by it."""
        if keep == "worst_score":
            return self.whole if with_country else self.by_score
        return self.by_country if with_country or keep == "country" else self.total


class Day:
    """The hours of one UTC day, joined; rolled up where a statistic does not need single hours."""

    def __init__(self, hours: Sequence[Hour]) -> None:
        self._hours = hours

    def _joined(self, keep: Keep, *, with_country: bool = False) -> pa.Table:
        return pa.concat_tables([HOURS.empty(), *(hour.cells(keep, with_country=with_country) for hour in self._hours)])

    @cached_property
    def _countries_and_hours(self) -> pa.Table:
        return self._joined("event_hour", with_country=True).combine_chunks()  # many small parts are slow to filter

    @cached_property
    def _countries_and_scores(self) -> pa.Table:
        return roll_up(self._joined("worst_score", with_country=True), ["country", "worst_score"])

    @cached_property
    def _by_hour(self) -> pa.Table:
        return self._joined("event_hour").combine_chunks()

    @cached_property
    def _by_country(self) -> pa.Table:
        return roll_up(self._joined("country"), ["country"])

    @cached_property
    def _by_score(self) -> pa.Table:
        return roll_up(self._joined("worst_score"), ["worst_score"])

    def cells(self, keep: Keep, *, with_country: bool) -> pa.Table:
        """The day's cells with the key `keep`, and also the country where the reader filters by it."""
        if keep == "worst_score":
            return self._countries_and_scores if with_country else self._by_score
        if keep == "country":
            return self._by_country
        return self._countries_and_hours if with_country else self._by_hour


class StoredDay:
    """A UTC day at one version, from its stored roll-up (infra.mongo.day_roll_ups) and the cells that came after it.

    A form is unpacked when first asked for, and once for all versions of the day.
    """

    def __init__(self, packed: Mapping[str, bytes], later: pa.Table | None = None) -> None:
        """`packed`: by form of DAY_FORMS; `later`: cells of HOURS that are not in it."""
        self._packed = packed
        self._later = HOURS.empty() if later is None else later
        self._unpacked: dict[str, pa.Table] = {}  # as stored; shared with the versions after this one
        self._forms: dict[str, pa.Table] = {}  # with the later cells

    def with_later(self, cells: pa.Table) -> StoredDay:
        """The same with more cells."""
        day = StoredDay(self._packed, HOURS.merge([self._later, cells]))
        day._unpacked = self._unpacked
        return day

    def cells(self, keep: Keep, *, with_country: bool) -> pa.Table:
        """The day's cells with the key `keep`, and also the country where the reader filters by it."""
        if keep == "worst_score":
            return self._form("by_country_and_score" if with_country else "by_score")
        if keep == "country":
            return self._form("by_country")
        return self._form("by_country_and_hour" if with_country else "by_hour")

    def _form(self, name: str) -> pa.Table:
        form = self._forms.get(name)
        if form is None:
            form = self._unpacked.get(name)
            if form is None:
                form = self._unpacked[name] = unpack(self._packed[name])
            if self._later.num_rows:
                form = HOURS.merge([form, roll_up(self._later, DAY_FORMS[name])])
            self._forms[name] = form
        return form
