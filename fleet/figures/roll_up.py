"""Cells of hours, rolled up: in the same form, with a key that is summed over being 0 or empty. Sums stay exact."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from fleet.figures.cube import HOURS

_DROPPED: Final[Mapping[str, object]] = {"event_hour": 0, "country": "", "worst_score": 0}
"""What a key is in cells that were rolled up over it."""

BLOCKS: Final = 8
"""Parts into which forms by country are divided: a reader of one country reads an eighth of its days."""

DayForm = str
"""A form in which statistics read a UTC day. Of a divided form a part, `countries_by_hour.3`: some countries' cells."""


def _divided(name: str) -> list[DayForm]:
    return [f"{name}.{block}" for block in range(BLOCKS)]


DAY_FORMS: Final[Mapping[DayForm, Sequence[str]]] = {
    "by_hour": ("event_hour",),
    "by_country": ("country",),
    "by_score": ("worst_score",),
    **dict.fromkeys(_divided("countries_by_hour"), ("event_hour", "country")),
    **dict.fromkeys(_divided("countries_by_score"), ("country", "worst_score")),
}
"""The keys that are left in each form of a day."""


def part_of(name: str, country: str) -> DayForm:
    """The part of a divided form that has the cells of a country."""
    return f"{name}.{_block_of(country)}"


def in_form(cells: pa.Table, form: DayForm) -> pa.Table:
    """Cells of HOURS in one form of a day."""
    block = form.partition(".")[2]
    if block and cells.num_rows:
        countries = cells["country"].combine_chunks().dictionary_encode()
        chosen = [_block_of(country) == int(block) for country in countries.dictionary.to_pylist()]
        cells = cells.filter(pc.take(pa.array(chosen, pa.bool_()), countries.indices))
    return roll_up(cells, DAY_FORMS[form])


def _block_of(country: str) -> int:
    return zlib.crc32(country.encode()) % BLOCKS  # the same in every process


def roll_up(cells: pa.Table, keep: Sequence[str]) -> pa.Table:
    """Cells of HOURS summed over all keys but `keep`."""
    if not cells.num_rows:
        return cells
    columns = {
        field.name: pa.repeat(pa.scalar(_DROPPED[field.name], field.type), len(cells))
        if field.name in _DROPPED and field.name not in keep
        else cells[field.name]
        for field in HOURS.schema
    }
    return HOURS.merge([pa.table(columns, schema=HOURS.schema)])
