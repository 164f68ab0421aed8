"""A day of each drone, in Spark: batch-only, since live documents would need a row a drone (540,000 of them).

Two passes over the day's files. The first folds numbers alone, some hours at a time, every measure a long, so that the
engine runs natively and keeps the whole in one hash table: a fleet's day in one piece would be 24 longs a drone wider,
in each of its hundred tasks. Everything is made a fold of a column: a report's place in the drone's day is packed into
a long whose largest is the last report, and the minutes in which a drone reported are bits, one long an hour. The
hours' results are folded here. The second pass reads only positions and names of first and last reports, from the hours
that have one.

A row carries what it was folded from (STATE), so the days of two sets of reports merge to the day of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_layer.ranges import hours_of_day

SCHEMA: Final = pa.schema(
    [
        ("drone_id", pa.string()),
        ("reports", pa.int64()),
        ("minutes", pa.int64()),  # different minutes of the day with a report
        ("expected", pa.int64()),  # minutes from its first report to its last: one report each is due
        ("gaps", pa.int64()),  # runs of minutes between them without a report
        ("alerts", pa.int64()),
        ("lowest_battery", pa.int64()),  # millipercent
        ("last_battery", pa.int64()),  # millipercent, of the last report
        ("first_at", pa.int64()),  # ms since 1970
        ("last_at", pa.int64()),
        ("first_latitude", pa.float64()),
        ("first_longitude", pa.float64()),
        ("last_latitude", pa.float64()),
        ("last_longitude", pa.float64()),
        ("country", pa.string()),  # of the last report
        ("city", pa.string()),
    ]
)
"""Sorted by drone_id."""

_HOURS: Final = 24

STATE: Final = pa.schema(
    [
        ("first_place", pa.int64()),  # of the first report, _PLACE
        ("last_place", pa.int64()),
        *((f"spoke_{hour}", pa.int64()) for hour in range(_HOURS)),  # bit m: it reported in minute m of that hour
    ]
)
"""The columns by which a drone's days are merged."""
ROWS: Final = pa.schema([*SCHEMA, *STATE])

COLUMNS: Final = ("drone_id", "event_hour", "last_state", "alert_count", "kafka_offset")
"""Landed columns of the first pass."""
POSITION_COLUMNS: Final = ("drone_id", "last_state", "kafka_offset", "latitude", "longitude", "country", "city")
"""Landed columns of the second."""

_TIE_BITS: Final = 19
"""Of two reports in one millisecond with one battery, the later in the topic is the last, by 19 bits of its offset."""
_BATTERY_BITS: Final = 17
_MS_OF_DAY: Final = 86_400_000

_BATTERY: Final = f"(last_state & {(1 << _BATTERY_BITS) - 1})"
_PLACE: Final = (
    f"((((last_state >> {_BATTERY_BITS}) % {_MS_OF_DAY}) << {_BATTERY_BITS + _TIE_BITS})"
    f" | ({_BATTERY} << {_TIE_BITS}) | (kafka_offset & {(1 << _TIE_BITS) - 1}))"
)
"""A report's place in its drone's day, in Spark's SQL over landed columns. Two drones may share one."""


def fold_expressions(hours: Sequence[int]) -> list[str]:
    """The measures of the first pass, in Spark's SQL, over the landed columns of these event hours of one day."""
    minute = f"shiftleft(1L, CAST((last_state >> {_BATTERY_BITS}) % 3600000 DIV 60000 AS INT))"
    return [
        "count(1) AS reports",
        "sum(alert_count) AS alerts",
        f"min({_BATTERY}) AS lowest_battery",
        f"max({_PLACE}) AS last_place",
        f"min({_PLACE}) AS first_place",
        *(f"bit_or(IF(event_hour = {hour}, {minute}, 0L)) AS {spoke(hour)}" for hour in hours),
    ]


def batteries(rows: pa.Table) -> Any:
    """Millipercent of landed `rows`, from their last_state: (rows,)."""
    return rows["last_state"].to_numpy() & ((1 << _BATTERY_BITS) - 1)


def places(rows: pa.Table) -> Any:
    """What _PLACE is in Spark's SQL, of landed `rows`: (rows,)."""
    milliseconds = (rows["last_state"].to_numpy() >> _BATTERY_BITS) % _MS_OF_DAY
    ties = rows["kafka_offset"].to_numpy() & ((1 << _TIE_BITS) - 1)
    return milliseconds << (_BATTERY_BITS + _TIE_BITS) | batteries(rows) << _TIE_BITS | ties


def minutes(last_state: Any) -> Any:
    """The minute of its hour that each was sent in: (rows,)."""
    return (last_state >> _BATTERY_BITS) % 3_600_000 // 60_000


def position_expressions() -> list[str]:
    """The columns of POSITIONS, in Spark's SQL over POSITION_COLUMNS: a row a report."""
    return ["drone_id", f"{_PLACE} AS place", *POSITIONS.names[2:]]


POSITIONS: Final = pa.schema(
    [
        *(("drone_id", pa.string()), ("place", pa.int64()), ("latitude", pa.float64()), ("longitude", pa.float64())),
        *(("country", pa.string()), ("city", pa.string())),
    ]
)
"""The result of the second pass: where a report was sent from."""


class Fold:
    """Folds what Spark answered of some hours of a day into the day. Arrays are (drones,), spoke (drones, 24).

    First every hour once (`add`), then `add_positions` for each of `position_hours`.
    """

    def __init__(self, day: date) -> None:
        self._first_hour = hours_of_day(day).start
        self._ids = pa.array([], pa.string())
        self._columns: dict[str, Any] = {name: np.empty(0, np.int64) for name in _UNSEEN}
        self._spoke = np.empty((0, _HOURS), np.uint64)
        self._positions: list[pa.Table] = [POSITIONS.empty_table()]

    def add(self, hours: Sequence[int], folded: pa.Table) -> None:
        """`folded`: drone_id and fold_expressions(hours), a row a drone. Each hour is added once."""
        rows = self._rows_of(folded["drone_id"].combine_chunks())
        new = {name: folded[name].to_numpy() for name in _UNSEEN}
        mine = self._columns
        for name in ("reports", "alerts"):
            mine[name][rows] += new[name]
        for name in ("lowest_battery", "first_place"):
            mine[name][rows] = np.minimum(mine[name][rows], new[name])
        mine["last_place"][rows] = np.maximum(mine["last_place"][rows], new["last_place"])
        for hour in hours:
            self._spoke[rows, hour % _HOURS] = folded[spoke(hour)].to_numpy().astype(np.uint64)

    def position_hours(self) -> list[int]:
        """The event hours that hold any drone's first or last report, sorted."""
        found = {hour for name in _ENDS for hour in np.unique(_hour_of(self._columns[name])).tolist()}
        return sorted(self._first_hour + hour for hour in found)

    def wanted(self, hours: Sequence[int]) -> pa.Table:
        """The first and last places in these event hours: (drone_id, place), each once."""
        parts = [_WANTED.empty_table()]
        for name in _ENDS:
            places = self._columns[name]
            inside = np.isin(_hour_of(places), np.asarray(hours) - self._first_hour)
            if name == "last_place":  # a drone that reported once has one place
                inside &= places != self._columns["first_place"]
            parts.append(pa.table([self._ids.filter(pa.array(inside)), places[inside]], schema=_WANTED))
        return pa.concat_tables(parts).combine_chunks()

    def add_positions(self, found: pa.Table) -> None:
        """`found`: POSITIONS of what `wanted` names, at least a row each."""
        self._positions.append(found.select(POSITIONS.names).cast(POSITIONS))

    def table(self) -> pa.Table:
        """Rows of ROWS."""
        mine = self._columns
        first, last = (self._at(mine[name]) for name in _ENDS)
        positions = {
            **{f"first_{name}": first[name] for name in ("latitude", "longitude")},
            **{f"last_{name}": last[name] for name in ("latitude", "longitude")},
            "country": last["country"],
            "city": last["city"],
        }
        made = _rows(self._first_hour, {"drone_id": self._ids, **positions, **mine}, self._spoke)
        return made.take(pc.sort_indices(made["drone_id"])).combine_chunks()

    def _at(self, places: Any) -> pa.Table:
        """A row of POSITIONS a drone: of its report at its place, of several there the least in all columns."""
        found = pa.concat_tables(self._positions).combine_chunks()
        drone = pc.index_in(found["drone_id"].combine_chunks(), value_set=self._ids)
        found = found.append_column("drone", drone)
        found = found.filter(pa.array(found["place"].to_numpy() == places[drone.to_numpy()]))
        tied = found.num_rows > len(self._ids)
        found = found.sort_by([(name, "ascending") for name in ("drone", *(POSITIONS.names[2:] if tied else ()))])
        one_each = found.filter(pa.array(np.diff(found["drone"].to_numpy(), prepend=-1) != 0))
        if one_each.num_rows != len(self._ids):
            raise ValueError(f"{len(self._ids) - one_each.num_rows} drones have no position")
        return one_each

    def _rows_of(self, drones: pa.Array) -> Any:
        """The row of each drone; drones not seen before get new ones."""
        unknown = drones.filter(pc.invert(pc.is_in(drones, value_set=self._ids)))
        self._ids = pa.concat_arrays([self._ids, unknown])
        many = len(unknown)
        for name, nothing in _UNSEEN.items():
            self._columns[name] = np.concatenate([self._columns[name], np.full(many, nothing, np.int64)])
        self._spoke = np.concatenate([self._spoke, np.zeros((many, _HOURS), np.uint64)])
        return pc.index_in(drones, value_set=self._ids).to_numpy()


def merge(day: date, parts: Sequence[pa.Table]) -> pa.Table:
    """Rows of ROWS of the reports that the `parts`, rows of ROWS too, were computed of; no report is in two parts."""
    rows = pa.concat_tables([ROWS.empty_table(), *(part.select(ROWS.names).cast(ROWS) for part in parts)])
    if not rows.num_rows:
        return ROWS.empty_table()
    by_drone = rows.take(pc.sort_indices(rows["drone_id"])).combine_chunks()
    drone = by_drone["drone_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    starts = np.flatnonzero(np.diff(drone, prepend=-1))

    def folded(fold: Any, name: str) -> Any:
        return fold.reduceat(by_drone[name].to_numpy(), starts)

    columns: dict[str, Any] = {name: folded(fold, name) for name, fold in _FOLDED_BY.items()}
    minutes_spoken = np.stack([folded(np.bitwise_or, spoke(hour)) for hour in range(_HOURS)], axis=1).astype(np.uint64)
    first = _of_each(by_drone, drone, "ascending", [f"first_{name}" for name in ("place", "latitude", "longitude")])
    last_columns = [*(f"last_{name}" for name in ("place", "latitude", "longitude")), "country", "city"]
    last = _of_each(by_drone, drone, "descending", last_columns)
    columns |= {name: first[name] for name in first.column_names} | {name: last[name] for name in last.column_names}
    return _rows(
        hours_of_day(day).start, {"drone_id": by_drone["drone_id"].take(pa.array(starts)), **columns}, minutes_spoken
    )


def _of_each(rows: pa.Table, drone: Any, order: str, columns: Sequence[str]) -> pa.Table:
    """`columns` of the row of each drone that is first by the place, in `order`; of several, least in the others."""
    chosen = rows.select(list(columns)).append_column("drone", pa.array(drone))
    place, *others = columns
    chosen = chosen.sort_by([("drone", "ascending"), (place, order), *((name, "ascending") for name in others)])
    return chosen.filter(pa.array(np.diff(chosen["drone"].to_numpy(), prepend=-1) != 0)).drop_columns(["drone"])


def _rows(first_hour: int, folded: dict[str, Any], spoke_in: Any) -> pa.Table:
    """Rows of ROWS, with what derives from `folded` (_UNSEEN, positions) and the minutes, in the order of `folded`."""
    start = first_hour * 3_600_000
    times = {name: start + (np.asarray(folded[f"{name}_place"]) >> (_BATTERY_BITS + _TIE_BITS)) for name in _SIDES}
    columns: dict[str, Any] = {
        **folded,
        "minutes": np.bitwise_count(spoke_in).sum(axis=1),
        "expected": times["last"] // 60_000 - times["first"] // 60_000 + 1,
        "gaps": gaps(spoke_in),
        "last_battery": (np.asarray(folded["last_place"]) >> _TIE_BITS) & ((1 << _BATTERY_BITS) - 1),
        "first_at": times["first"],
        "last_at": times["last"],
        **{spoke(hour): spoke_in[:, hour].astype(np.int64) for hour in range(_HOURS)},
    }
    return pa.table({name: columns[name] for name in ROWS.names}).cast(ROWS)


_SIDES: Final = ("first", "last")
_FOLDED_BY: Final[dict[str, Any]] = {
    "reports": np.add,
    "alerts": np.add,
    "lowest_battery": np.minimum,
}
_GREATEST: Final = np.iinfo(np.int64).max
_UNSEEN: Final = {"reports": 0, "alerts": 0, "lowest_battery": _GREATEST, "first_place": _GREATEST, "last_place": -1}
"""The columns of fold_expressions but `spoke`, and what they are of a drone without reports."""
_ENDS: Final = ("first_place", "last_place")
_WANTED: Final = pa.schema(list(POSITIONS)[:2])


def _hour_of(places: Any) -> Any:
    """The hour of the day that each place is in."""
    return (places >> (_BATTERY_BITS + _TIE_BITS)) // 3_600_000


def spoke(hour: int) -> str:
    """The name of the column of minutes of an event hour."""
    return f"spoke_{hour % _HOURS}"


def gaps(spoke: Any) -> Any:
    """How often each drone sent nothing for a minute or more, and reported again later: (drones,).

    `spoke`: uint64 (drones, 24), whose bit m says that the drone spoke in minute m of the hour. A fleet's day is
    100 MB of bits, and would be a gigabyte of bytes.
    """
    one = np.uint64(1)
    before = spoke << one  # the minute before, of an hour's first minute the last of the hour before
    before[:, 1:] |= spoke[:, :-1] >> np.uint64(59) & one
    began = np.bitwise_count(spoke & ~before).sum(axis=1)
    return np.maximum(began.astype(np.int64) - 1, 0)
