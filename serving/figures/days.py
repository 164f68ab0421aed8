"""Cells of an hour and of a UTC day, rolled up once in the forms that statistics read, so that a month is quick to sum.

A new live document changes an hour or two: only those are rolled up again, the other hours of the day are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import pyarrow as pa

from fleet.figures.cube import HOURS
from fleet.figures.day_form import (
    BY_COUNTRY,
    BY_HOUR,
    BY_SCORE,
    COUNTRIES_BY_HOUR,
    COUNTRIES_BY_SCORE,
    DayForm,
    part_of,
)
from fleet.figures.roll_up import in_form, roll_up

Keep = Literal["event_hour", "country", "worst_score", ""]


def form_of(keep: Keep, country: str | None) -> DayForm:
    """The form of a day that has the key `keep`, and the cells of `country` if the reader filters by it."""
    if keep == "country":
        return BY_COUNTRY
    if keep == "worst_score":
        return BY_SCORE if country is None else part_of(COUNTRIES_BY_SCORE, country)
    return BY_HOUR if country is None else part_of(COUNTRIES_BY_HOUR, country)


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

    def cells(self, form: DayForm) -> pa.Table:
        """The hour's cells, of all countries, with at least the keys of the form."""
        match form.keys:
            case ("country", "worst_score"):
                return self.whole
            case ("worst_score",):
                return self.by_score
            case ("event_hour",):
                return self.total
            case _:
                return self.by_country


class Day:
    """The hours of one UTC day, joined and rolled up in the forms that statistics read."""

    def __init__(self, hours: Sequence[Hour]) -> None:
        self._hours = hours
        self._cells: dict[DayForm, pa.Table] = {}

    def cells(self, form: DayForm) -> pa.Table:
        """The day's cells in the form `form`."""
        cells = self._cells.get(form)
        if cells is None:
            joined = pa.concat_tables([HOURS.empty(), *(hour.cells(form) for hour in self._hours)])
            cells = self._cells[form] = in_form(joined, form)
        return cells


class StoredForm:
    """A form of a UTC day at one version: what is stored (infra.mongo.day_roll_ups), and cells that came after it."""

    def __init__(self, form: DayForm, stored: pa.Table, later: pa.Table | None = None) -> None:
        """`later`: cells of HOURS, not rolled up, that are not in `stored`."""
        self._form = form
        self._stored = stored
        self._later = later

    def with_later(self, cells: pa.Table) -> StoredForm:
        """The same with more cells."""
        later = cells if self._later is None else HOURS.merge([self._later, cells])
        return StoredForm(self._form, self._stored, later)

    @cached_property
    def cells(self) -> pa.Table:
        """The day's cells."""
        if self._later is None:
            return self._stored
        return HOURS.merge([self._stored, in_form(self._later, self._form)])
