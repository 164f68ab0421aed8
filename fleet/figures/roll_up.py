"""Cells of hours, rolled up: in the same form, with a key that is summed over being 0 or empty. Sums stay exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from fleet.figures.cube import HOURS
from fleet.figures.day_form import DayForm

_DROPPED: Final[Mapping[str, object]] = {"event_hour": 0, "country": "", "worst_score": 0}
"""What a key is in cells that were rolled up over it."""


def in_form(cells: pa.Table, form: DayForm) -> pa.Table:
    """Cells of HOURS in one form of a day."""
    if form.block is not None and cells.num_rows:
        countries = cells["country"].combine_chunks().dictionary_encode()
        chosen = [form.has(country) for country in countries.dictionary.to_pylist()]
        cells = cells.filter(pc.take(pa.array(chosen, pa.bool_()), countries.indices))
    return roll_up(cells, form.keys)


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
