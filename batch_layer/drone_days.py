"""A day of each drone, in Spark: batch-only, since live documents would need a row a drone (540,000 of them).

One pass, and every column a long or a double, so that Spark keeps the whole in one hash table. What is no fold of a
landed column is made one: a report's place in the drone's day is packed into a long whose largest is the last report,
and the minutes in which a drone spoke are bits, one long an hour.
"""

from __future__ import annotations

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
    *("drone_id", "event_hour", "last_state", "alert_count", "battery_millipercent"),
    *("latitude", "longitude", "country", "city", "kafka_offset"),
)

_TIE_BITS: Final = 19
"""Of two reports in one millisecond with one battery, the later in the topic is the last, by 19 bits of its offset."""
_BATTERY_BITS: Final = 17
_MS_OF_DAY: Final = 86_400_000
_HOURS: Final = range(24)


def fold_expressions(first_hour: int) -> list[str]:
    """The measures, in Spark's SQL, over the landed columns of the day whose first event hour is `first_hour`."""
    place = f"(((last_state >> {_BATTERY_BITS}) % {_MS_OF_DAY}) << {_BATTERY_BITS + _TIE_BITS}) "
    place += f"| ((last_state & {(1 << _BATTERY_BITS) - 1}) << {_TIE_BITS}) | (kafka_offset & {(1 << _TIE_BITS) - 1})"
    minute = f"shiftleft(1L, CAST((last_state >> {_BATTERY_BITS}) % 3600000 DIV 60000 AS INT))"
    spoke = [f"bit_or(IF(event_hour = {first_hour + hour}, {minute}, 0L)) AS spoke_{hour}" for hour in _HOURS]
    return [
        "count(1) AS reports",
        "sum(alert_count) AS alerts",
        "CAST(min(battery_millipercent) AS BIGINT) AS lowest_battery",
        f"max({place}) AS last_place",
        f"min({place}) AS first_place",
        *(f"min_by({name}, {place}) AS first_{name}" for name in ("latitude", "longitude")),
        *(f"max_by({name}, {place}) AS last_{name}" for name in ("latitude", "longitude")),
        f"max_by(xxhash64(country, city), {place}) AS where",
        *spoke,
    ]


def table(day: date, folded: pa.Table, where: dict[int, tuple[str, str]]) -> pa.Table:
    """Rows of SCHEMA out of what Spark folded; `where` names the places by the hash that stood for them."""
    first = {name: folded[f"{name}_place"].to_numpy() for name in ("first", "last")}
    start = hours_of_day(day).start * 3_600_000
    times = {name: start + (place >> (_BATTERY_BITS + _TIE_BITS)) for name, place in first.items()}
    spoke = np.stack([folded[f"spoke_{hour}"].to_numpy() for hour in _HOURS], axis=1).astype(np.uint64)
    places = [where[value] for value in folded["where"].to_pylist()]
    columns: dict[str, Any] = {
        **{name: folded[name] for name in folded.schema.names if name in SCHEMA.names},
        "minutes": np.bitwise_count(spoke).sum(axis=1),
        "expected": (times["last"] - start) // 60_000 - (times["first"] - start) // 60_000 + 1,
        "gaps": gaps(spoke),
        "last_battery": (first["last"] >> _TIE_BITS) & ((1 << _BATTERY_BITS) - 1),
        "first_at": times["first"],
        "last_at": times["last"],
        "country": [country for country, _ in places],
        "city": [city for _, city in places],
    }
    made = pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)
    return made.take(pc.sort_indices(made["drone_id"])).combine_chunks()


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
