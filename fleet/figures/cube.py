"""A statistic as data: keys, and measures that are associative folds over landed columns.

One definition, three engines: `fold` (pyarrow, a live commit), `batch_layer.spark.aggregate` (Spark, whole hours),
`merge` (two partial results). All measures are integers, so a sum is the same in any order and a merge is exact.
Means, shares and top lists are presented from merged cells at read time, never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import pyarrow as pa

Fold = Literal["count", "sum", "min", "max"]

_MERGED_BY: Final[Mapping[Fold, str]] = {"count": "sum", "sum": "sum", "min": "min", "max": "max"}
_ARROW_FOLD: Final[Mapping[Fold, str]] = {"count": "count_all", "sum": "sum", "min": "min", "max": "max"}


@dataclass(frozen=True)
class Measure:
    """`fold` over the landed integer column `column`; a count reads no column. Cells hold it as int64."""

    name: str
    fold: Fold
    column: str = ""


@dataclass(frozen=True)
class Cube:
    """Measures by keys.

    Its cells are an Arrow table: the key columns, then one int64 column a measure, sorted by keys.
    """

    name: str
    keys: tuple[tuple[str, pa.DataType], ...]
    measures: tuple[Measure, ...]

    @property
    def key_names(self) -> list[str]:
        return [name for name, _ in self.keys]

    @property
    def measure_names(self) -> list[str]:
        return [measure.name for measure in self.measures]

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([*self.keys, *((name, pa.int64()) for name in self.measure_names)])

    @property
    def columns(self) -> list[str]:
        """The landed columns that the cube reads, each once."""
        return list(dict.fromkeys([*self.key_names, *(m.column for m in self.measures if m.column)]))

    def fold(self, rows: pa.Table) -> pa.Table:
        """The cells of landed `rows`."""
        wanted: list[Any] = [
            ([], "count_all") if m.fold == "count" else (m.column, _ARROW_FOLD[m.fold]) for m in self.measures
        ]
        grouped = rows.group_by(self.key_names, use_threads=False).aggregate(wanted)
        names = ["count_all" if m.fold == "count" else f"{m.column}_{_ARROW_FOLD[m.fold]}" for m in self.measures]
        return self._cells(grouped, names)

    def merge(self, parts: Iterable[pa.Table]) -> pa.Table:
        """The cells of all rows of `parts` together. Associative, commutative, and `empty()` changes nothing."""
        cells = pa.concat_tables([self.empty(), *(part.select(self.schema.names) for part in parts)])
        if not cells.num_rows:
            return self.empty()  # many hours of a long range are empty, and grouping no cells takes as long as some
        wanted: list[Any] = [(m.name, _MERGED_BY[m.fold]) for m in self.measures]
        cells = cells.combine_chunks()  # parts of some rows each are slow to group
        grouped = cells.group_by(self.key_names, use_threads=False).aggregate(wanted)
        return self._cells(grouped, [f"{m.name}_{_MERGED_BY[m.fold]}" for m in self.measures])

    def empty(self) -> pa.Table:
        """The cells of no rows: one table for all who ask."""
        return self._empty

    @cached_property
    def _empty(self) -> pa.Table:
        return self.schema.empty_table()

    def to_document(self, cells: pa.Table) -> dict[str, list[Any]]:
        """Cells as they are stored: one list a column, all of one length, sorted by keys."""
        document: dict[str, list[Any]] = self._sorted(cells).to_pydict()
        return document

    def from_document(self, document: Mapping[str, Sequence[Any]]) -> pa.Table:
        return pa.table({name: document[name] for name in self.schema.names}, schema=self.schema)

    def _cells(self, grouped: pa.Table, measured: Sequence[str]) -> pa.Table:
        columns = [grouped[name] for name in self.key_names] + [grouped[name] for name in measured]
        return self._sorted(pa.table(columns, names=self.schema.names).cast(self.schema))

    def _sorted(self, cells: pa.Table) -> pa.Table:
        return cells.sort_by([(name, "ascending") for name in self.key_names]).combine_chunks()


HOURS: Final = Cube(
    name="hours",
    keys=(("event_hour", pa.int32()), ("country", pa.string()), ("worst_score", pa.int32())),
    measures=(
        Measure("reports", "count"),
        Measure("alerts", "sum", "alert_count"),
        Measure("battery_sum", "sum", "battery_millipercent"),
        Measure("low_battery", "sum", "low_battery_count"),
        Measure("citizens", "sum", "citizen_count"),
        Measure("peace_score_sum", "sum", "peace_score_sum"),
    ),
)
"""Every statistic that is a fold comes from this cube. `worst_score` 0: the drone saw nobody."""
