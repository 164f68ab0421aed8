"""Counts of drones by the day they were last seen on, so that a range's share of low drones needs no scan of drones.

For a range of days, each of its drones is in exactly one count: that of its last day within the range, which is the one
whose next day is beyond it. Adding those counts gives the drones of the range, and the low ones by their last report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from batch_layer.views import publish
from fleet.figures.cube import Cube, Measure
from fleet.reports.fields import LOW_MILLIPERCENT
from infra.mongo.view_parts import Divided

COUNTS: Final = Cube(
    "drones_by_day",
    (("next_day", pa.string()), ("country", pa.string())),
    (Measure("drones", "sum"), Measure("low", "sum")),
)
"""The cells of a day's document; no fold of landed columns. `next_day` "": the drone was not seen again."""


class Counts:
    """Adds up blocks; all days of one drone are in one block."""

    def __init__(self) -> None:
        self._drones: Counter[tuple[str, str, str]] = Counter()  # (day, next day or "", country)
        self._low: Counter[tuple[str, str, str]] = Counter()
        self._days: set[str] = set()

    def add(self, days: Sequence[tuple[str, pa.Table]]) -> None:
        """`days`: (day, rows of drone_id, last_battery, country) of one block, in the order of days."""
        self._days.update(day for day, _ in days)
        names = [day for day, _ in days]
        rows = pa.concat_tables([table for _, table in days]).combine_chunks() if days else None
        if rows is None or not rows.num_rows:
            return
        day = np.repeat(np.arange(len(days)), [table.num_rows for _, table in days])
        drone = rows["drone_id"].combine_chunks().dictionary_encode().indices.to_numpy()
        countries = rows["country"].combine_chunks().dictionary_encode()
        order = np.lexsort((day, drone))
        day, drone = day[order], drone[order]
        following = np.full(len(day), len(days))  # not seen again
        same = drone[1:] == drone[:-1]
        following[:-1][same] = day[1:][same]
        low = rows["last_battery"].to_numpy()[order] < LOW_MILLIPERCENT
        country = countries.indices.to_numpy()[order]
        keys = np.stack([day, following, country], axis=1)
        for chosen, counter in ((keys, self._drones), (keys[low], self._low)):
            for (a, b, c), many in zip(*np.unique(chosen, axis=0, return_counts=True), strict=True):
                counter[names[a], names[b] if b < len(names) else "", countries.dictionary[c].as_py()] += int(many)

    def documents(self, version: int) -> Iterator[Divided]:
        """One document a day, its cells sorted by next day and country."""
        by_day: dict[str, list[tuple[str, str]]] = {day: [] for day in sorted(self._days)}
        for day, following, country in sorted(self._drones):
            by_day[day].append((following, country))
        for day, keys in by_day.items():
            cells = {
                "next_day": [following for following, _ in keys],
                "country": [country for _, country in keys],
                "drones": [self._drones[day, *key] for key in keys],
                "low": [self._low[day, *key] for key in keys],
            }
            yield publish.of_cells(COUNTS, {"_id": day, "version": version}, pa.table(cells, schema=COUNTS.schema))
