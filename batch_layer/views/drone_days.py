"""A day of each drone, in Spark: batch-only, since live documents would need a row a drone (540,000 of them).

Some hours at a time, and every column a long or a double, so that Spark keeps the whole in one hash table: a fleet's
day in one piece would be 24 longs a drone wider, in each of its hundred tasks. What is no fold of a landed column is
made one: a report's place in the drone's day is packed into a long whose largest is the last report, and the minutes in
which a drone spoke are bits, one long an hour. What the hours answer is folded here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

COLUMNS: Final = (
    *("drone_id", "event_hour", "last_state", "alert_count"),
    *("latitude", "longitude", "country", "city", "kafka_offset"),
)

_TIE_BITS: Final = 19
"""Of two reports in one millisecond with one battery, the later in the topic is the last, by 19 bits of its offset."""
_BATTERY_BITS: Final = 17
_MS_OF_DAY: Final = 86_400_000
_HOURS: Final = 24

Where = tuple[str, str]


def fold_expressions(hours: Sequence[int]) -> list[str]:
    """The measures, in Spark's SQL, over the landed columns of these event hours of one day."""
    battery = f"(last_state & {(1 << _BATTERY_BITS) - 1})"
    place = f"(((last_state >> {_BATTERY_BITS}) % {_MS_OF_DAY}) << {_BATTERY_BITS + _TIE_BITS}) "
    place += f"| ({battery} << {_TIE_BITS}) | (kafka_offset & {(1 << _TIE_BITS) - 1})"
    minute = f"shiftleft(1L, CAST((last_state >> {_BATTERY_BITS}) % 3600000 DIV 60000 AS INT))"
    return [
        "count(1) AS reports",
        "sum(alert_count) AS alerts",
        f"min({battery}) AS lowest_battery",
        f"max({place}) AS last_place",
        f"min({place}) AS first_place",
        *(f"min_by({name}, {place}) AS first_{name}" for name in ("latitude", "longitude")),
        *(f"max_by({name}, {place}) AS last_{name}" for name in ("latitude", "longitude")),
        f"max_by(xxhash64(country, city), {place}) AS where",
        *(f"bit_or(IF(event_hour = {hour}, {minute}, 0L)) AS {_spoke(hour)}" for hour in hours),
    ]


class Fold:
    """Folds what Spark answered of some hours of a day into the day. Arrays are (drones,), spoke (drones, 24)."""

    def __init__(self, day: date) -> None:
        self._day = day
        self._ids = pa.array([], pa.string())
        self._columns: dict[str, Any] = {name: np.empty(0, kind) for name, (kind, _) in _UNSEEN.items()}
        self._spoke = np.empty((0, _HOURS), np.uint64)
        self._places: dict[int, Where] = {}

    def add(self, hours: Sequence[int], folded: pa.Table, places: Callable[[], Mapping[int, Where]]) -> None:
        """`folded`: drone_id and fold_expressions(hours), a row a drone. Each hour is added once.

        `places` says which country and city each value of `where` stands for; asked only where one is new.
        """
        rows = self._rows_of(folded["drone_id"].combine_chunks())
        new = {name: folded[name].to_numpy() for name in _UNSEEN}
        mine = self._columns
        for name in ("reports", "alerts"):
            mine[name][rows] += new[name]
        mine["lowest_battery"][rows] = np.minimum(mine["lowest_battery"][rows], new["lowest_battery"])
        for which, is_nearer in (("first", np.less), ("last", np.greater)):
            better = is_nearer(new[f"{which}_place"], mine[f"{which}_place"][rows])
            for name in _SAID_BY[which]:
                mine[name][rows[better]] = new[name][better]
        for hour in hours:
            self._spoke[rows, hour % _HOURS] = folded[_spoke(hour)].to_numpy().astype(np.uint64)
        if not set(np.unique(new["where"]).tolist()) <= self._places.keys():
            self._places |= places()

    def table(self) -> pa.Table:
        """Rows of SCHEMA."""
        mine, start = self._columns, hours_of_day(self._day).start * 3_600_000
        times = {name: start + (mine[f"{name}_place"] >> (_BATTERY_BITS + _TIE_BITS)) for name in ("first", "last")}
        last_in = [self._places[value] for value in mine["where"].tolist()]
        columns: dict[str, Any] = {
            **{name: mine[name] for name in mine if name in SCHEMA.names},
            "drone_id": self._ids,
            "minutes": np.bitwise_count(self._spoke).sum(axis=1),
            "expected": times["last"] // 60_000 - times["first"] // 60_000 + 1,
            "gaps": gaps(self._spoke),
            "last_battery": (mine["last_place"] >> _TIE_BITS) & ((1 << _BATTERY_BITS) - 1),
            "first_at": times["first"],
            "last_at": times["last"],
            "country": pa.array([country for country, _ in last_in], pa.string()),
            "city": pa.array([city for _, city in last_in], pa.string()),
        }
        made = pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)
        return made.take(pc.sort_indices(made["drone_id"])).combine_chunks()

    def _rows_of(self, drones: pa.Array) -> Any:
        """The row of each drone; drones not seen before get new ones."""
        unknown = drones.filter(pc.invert(pc.is_in(drones, value_set=self._ids)))
        self._ids = pa.concat_arrays([self._ids, unknown])
        many = len(unknown)
        for name, (kind, nothing) in _UNSEEN.items():
            self._columns[name] = np.concatenate([self._columns[name], np.full(many, nothing, kind)])
        self._spoke = np.concatenate([self._spoke, np.zeros((many, _HOURS), np.uint64)])
        return pc.index_in(drones, value_set=self._ids).to_numpy()


_GREATEST: Final = np.iinfo(np.int64).max
_SAID_BY: Final = {
    "first": ("first_latitude", "first_longitude", "first_place"),
    "last": ("last_latitude", "last_longitude", "where", "last_place"),
}
"""What the first and the last report of a drone say."""
_UNSEEN: Final[dict[str, tuple[type, float]]] = {
    **{"reports": (np.int64, 0), "alerts": (np.int64, 0), "lowest_battery": (np.int64, _GREATEST)},
    **{"first_place": (np.int64, _GREATEST), "last_place": (np.int64, -1), "where": (np.int64, 0)},
    **{f"{which}_{name}": (np.float64, 0.0) for which in _SAID_BY for name in ("latitude", "longitude")},
}
"""The columns of fold_expressions but `spoke`: their type, and what they are of a drone without reports."""


def _spoke(hour: int) -> str:
    return f"spoke_{hour % _HOURS}"


def gaps(spoke: Any) -> Any:
    """How often each drone fell silent for a minute or more and spoke again later: (drones,).

    `spoke`: uint64 (drones, 24), whose bit m says that the drone spoke in minute m of the hour. A fleet's day is
    100 MB of bits, and would be a gigabyte of bytes.
    """
    one = np.uint64(1)
    before = spoke << one  # the minute before, of an hour's first minute the last of the hour before
    before[:, 1:] |= spoke[:, :-1] >> np.uint64(59) & one
    began = np.bitwise_count(spoke & ~before).sum(axis=1)
    return np.maximum(began.astype(np.int64) - 1, 0)
