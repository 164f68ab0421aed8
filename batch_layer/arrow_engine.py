"""The engine of small runs: Arrow, in the command's own process, because Spark takes longer to start.

It has the same cubes and the same fold of drone days, over the same files; tests compare the answers. Spark computes
what reads more than MOST_BYTES, and everything on a cluster or under spark-submit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_layer.engine import Engine, StartEngine
from batch_layer.ranges import hours_of_day
from batch_layer.views import day_views, drone_days, identities
from fleet.figures.cube import Cube
from fleet.reports.landed import BATTERY_BITS
from infra.delta import Snapshot

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of Parquet, some 1.6 million reports: about a second here, where Spark starts and answers in 8 to 14 (docs/batch.md).

Beyond it memory would grow, too: duplicates are looked for in all of a day's ids at once.
"""
NAME: Final = "Arrow"


class SmallFirst:
    """batch_layer.engine.Engine: Arrow for what reads at most `most` bytes, else what `start` starts."""

    def __init__(self, start: StartEngine, running: ExitStack, most: int = MOST_BYTES) -> None:
        """An engine that is started ends with `running`."""
        self._start, self._running, self._most = start, running, most
        self._large: Engine | None = None
        self._answered = False

    @property
    def name(self) -> str:
        """The engines that have answered."""
        large = self._large.name if self._large is not None else ""
        return ", ".join(name for name in (NAME if self._answered else "", large) if name)

    def cells(self, cube: Cube, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        (found,) = self.cells_of([cube], snapshot, hours)
        return found

    def cells_of(self, cubes: Sequence[Cube], snapshot: Snapshot, hours: Sequence[int]) -> list[pa.Table]:
        if not self._is_small(snapshot, hours):
            return self._started().cells_of(cubes, snapshot, hours)
        parts: list[list[pa.Table]] = [[] for _ in cubes]
        wanted = list(dict.fromkeys(name for cube in cubes for name in day_views.landed_columns(cube)))
        for path in _files(snapshot, hours):
            rows = _with_derived(snapshot.rows([path], wanted))
            for cube, folded in zip(cubes, parts, strict=True):
                folded.append(cube.fold(rows))
        return [cube.merge(folded) for cube, folded in zip(cubes, parts, strict=True)]

    def drone_days(self, snapshot: Snapshot, day: date) -> pa.Table:
        hours = hours_of_day(day)
        if not self._is_small(snapshot, hours):
            return self._started().drone_days(snapshot, day)
        folded = drone_days.Fold(day)
        for hour in sorted(set(hours) & snapshot.hours.keys()):
            rows = snapshot.rows(_files(snapshot, [hour]), list(drone_days.COLUMNS))
            folded.add([hour], _fold_drones(rows, hour))
        for hour in folded.position_hours():
            rows = snapshot.rows(_files(snapshot, [hour]), list(drone_days.POSITION_COLUMNS))
            rows = rows.append_column("place", pa.array(drone_days.places(rows)))
            folded.add_positions(rows.join(folded.wanted([hour]), ["drone_id", "place"], join_type="inner"))
        return folded.table()

    def repeats(self, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        if not self._is_small(snapshot, hours):
            return self._started().repeats(snapshot, hours)
        counted = [(hour, *_repeats(snapshot, _files(snapshot, [hour]))) for hour in sorted(hours)]
        rows = [dict(zip(identities.REPEATS.names, each, strict=True)) for each in counted if any(each[1:])]
        return pa.Table.from_pylist(rows, schema=identities.REPEATS)

    def _is_small(self, snapshot: Snapshot, hours: Sequence[int]) -> bool:
        """Whether Arrow answers, which is remembered for `name`."""
        small = snapshot.size(hours) <= self._most
        self._answered |= small
        return small

    def _started(self) -> Engine:
        if self._large is None:
            self._large = self._running.enter_context(self._start())
        return self._large


@contextmanager
def small_first(start: StartEngine) -> Iterator[SmallFirst]:
    """Calls `start` when a question is too large for Arrow, and ends that engine with the block."""
    with ExitStack() as running:
        yield SmallFirst(start, running)


def _files(snapshot: Snapshot, hours: Sequence[int]) -> list[str]:
    return [file.path for hour in hours for file in snapshot.hours.get(hour, ())]


def _fold_drones(rows: pa.Table, hour: int) -> pa.Table:
    """drone_days.fold_expressions([hour]) of the landed `rows` of that hour, a row a drone."""
    drones = rows["drone_id"].combine_chunks().dictionary_encode()
    of, many = drones.indices.to_numpy(), len(drones.dictionary)
    alerts = np.zeros(many, np.int64)
    np.add.at(alerts, of, rows["alert_count"].to_numpy())
    places = drone_days.places(rows)
    folded: dict[str, Any] = {
        "drone_id": drones.dictionary,
        "reports": np.bincount(of, minlength=many),
        "alerts": alerts,
        "lowest_battery": _least(of, drone_days.batteries(rows), many),
        "first_place": _least(of, places, many),
        "last_place": -_least(of, -places, many),
        drone_days.spoke(hour): _minutes(of, rows["last_state"].to_numpy(), many),
    }
    return pa.table(folded)


def _least(of: Any, values: Any, many: int) -> Any:
    found = np.full(many, np.iinfo(np.int64).max)
    np.minimum.at(found, of, values)
    return found


def _minutes(of: Any, last_state: Any, many: int) -> Any:
    found = np.zeros(many, np.int64)
    np.bitwise_or.at(found, of, np.int64(1) << drone_days.minutes(last_state))
    return found


def _repeats(snapshot: Snapshot, files: Sequence[str]) -> tuple[int, int]:
    """(duplicates, conflicts) of an hour's files: batch_layer.views.identities.REPEATS."""
    ids = snapshot.rows(files, list(identities.IDENTITY))
    names = ["drone_id", "report_id", "ms"]
    ids = pa.table([*ids.columns[:2], pa.array(ids["last_state"].to_numpy() >> BATTERY_BITS)], names=names)
    ids = ids.append_column("row", pa.array(np.arange(ids.num_rows)))
    counted = ids.group_by(names).aggregate([([], "count_all")])
    chosen = ids.join(counted.filter(pc.greater(counted["count_all"], 1)), names, join_type="inner")
    if not chosen.num_rows:
        return 0, 0
    said = snapshot.rows(files, list(identities.CONTENT)).take(chosen["row"])
    contents: dict[tuple[str, str, int], set[str]] = {}
    for *identity, content in zip(*(chosen[name].to_pylist() for name in names), said.to_pylist(), strict=True):
        contents.setdefault(tuple(identity), set()).add(_content(content))
    different = sum(map(len, contents.values()))
    return chosen.num_rows - different, different - len(contents)


def _content(row: dict[str, Any]) -> str:
    """A report's content as a text: two reports with the same content have the same text."""
    place = (row.pop("reported_country") or row.pop("country"), row.pop("reported_city") or row.pop("city"))
    numbers = [row.pop(name) + 0.0 for name in ("latitude", "longitude", "battery")]  # zero has two signs
    return repr((place, numbers, [row[name] for name in ("reported_at", "citizens", "message", "alert")]))


def _with_derived(rows: pa.Table) -> pa.Table:
    """`rows` with those of batch_layer.views.day_views.DERIVED whose landed columns they have."""
    for name, derive in _DERIVED.items():
        if set(day_views.DERIVED[name][0]) <= set(rows.column_names):
            rows = rows.append_column(name, derive(rows))
    return rows


def _cell(rows: pa.Table, name: str) -> pa.Array:
    return pc.cast(pc.floor(pc.divide(rows[name], day_views.CELL_DEGREES)), pa.int32())


def _delay_bucket(rows: pa.Table) -> pa.Array:
    received, reported = (rows[name].cast(pa.int64()).to_numpy() for name in ("received_at", "reported_at"))
    ends = np.asarray(day_views.DELAY_BUCKETS) * 1_000_000
    return pa.array(np.searchsorted(ends, received - reported, side="right"), pa.int32())


_DERIVED: Final[Mapping[str, Callable[[pa.Table], pa.Array]]] = {
    "latitude_cell": lambda rows: _cell(rows, "latitude"),
    "longitude_cell": lambda rows: _cell(rows, "longitude"),
    "delay_bucket": _delay_bucket,
}
"""The keys of day_views.DERIVED, by Arrow."""
