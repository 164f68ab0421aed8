"""Cells of hours, rolled up: in the same form, with a key that is summed over being 0 or empty. Sums stay exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import pyarrow as pa

from fleet.figures.cube import HOURS

_DROPPED: Final[Mapping[str, object]] = {"event_hour": 0, "country": "", "worst_score": 0}
"""What a key is in cells that were rolled up over it."""

DayForm = Literal["by_hour", "by_country", "by_score", "by_country_and_hour", "by_country_and_score"]
"""A form in which statistics read a UTC day."""

DAY_FORMS: Final[Mapping[DayForm, Sequence[str]]] = {
    "by_hour": ("event_hour",),
    "by_country": ("country",),
    "by_score": ("worst_score",),
    "by_country_and_hour": ("event_hour", "country"),
    "by_country_and_score": ("country", "worst_score"),
}
"""The keys that are left in each form of a day."""


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
