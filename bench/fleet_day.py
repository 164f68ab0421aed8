"""A fast generator of landed reports for benchmarks: straight into the lake's columns, as fast as Parquet goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from fleet.reports.landed import PARTITION_BY, SCHEMA

FILE_SCHEMA: Final = pa.schema([field for field in SCHEMA if field.name not in PARTITION_BY])
COUNTRIES: Final = 195
CITIES: Final = 2_000
ROWS_A_FILE: Final = 1_000_000
HEARD: Final = ["all is calm", "people are singing", "somebody is shouting", "a crowd gathers", "traffic and rain"]


def make(lake: Path, drones: int, minutes: int, start: datetime, every: int = 1) -> int:
    """A lake in which each drone reports every `every` minutes for `minutes`; reports in all. One commit an hour."""
    table = DeltaTable.create(lake / "reports", SCHEMA, partition_by=list(PARTITION_BY))
    made = 0
    for first in range(0, minutes, 60):
        files: list[AddAction] = []
        for rows in hour(drones, start + timedelta(minutes=first), min(60, minutes - first), every):
            files.append(write(lake / "reports", start + timedelta(minutes=first), rows, len(files)))
            made += rows.num_rows
        table.create_write_transaction([*files], "append", table.schema(), list(PARTITION_BY))
        table.update_incremental()
    return made


def hour(drones: int, start: datetime, minutes: int, every: int) -> Iterator[pa.Table]:
    """The reports of `minutes` from `start`, ROWS_A_FILE or so a table; each drone reports every `every` minutes."""
    base = int(start.timestamp() * 1000)
    for begin in range(0, minutes * drones, ROWS_A_FILE * every):
        slots = np.arange(begin, min(begin + ROWS_A_FILE * every, minutes * drones), dtype=np.int64)
        drone, minute = slots % drones, slots // drones
        chosen = (drone + minute) % every == 0
        yield _reports(base, drone[chosen], minute[chosen], slots[chosen])


def _reports(base: int, drone: np.ndarray, minute: np.ndarray, number: np.ndarray) -> pa.Table:
    random = np.random.default_rng(int(number[0]) + base)
    many = len(drone)
    at = base + minute * 60_000 + drone * 7919 % 60_000
    milli = (50_000 + 50_000 * np.sin((drone + minute) / 90)).astype(np.int32).clip(0, 100_000)
    score = random.integers(1, 11, many, dtype=np.int32)
    alert = random.random(many) < 0.01
    place = drone % CITIES
    ids = pa.array(number + base).cast(pa.string())
    columns = {
        "report_id": ids,
        "drone_id": pa.array(drone).cast(pa.string()),
        "reported_at": pa.array(at * 1000).cast(pa.timestamp("us", tz="UTC")),
        "latitude": place % 180 - 90 + random.random(many),
        "longitude": place % 360 - 180 + random.random(many),
        "battery": milli / 1000,
        "citizens": _citizens(score, place),
        "message": pa.DictionaryArray.from_arrays(pa.array(score % len(HEARD)), HEARD).cast(pa.string()),
        "alert": alert,
        "country": _names("Country", place % COUNTRIES, COUNTRIES),
        "city": _names("City", place, CITIES),
        "reported_country": pa.nulls(many, pa.string()),
        "reported_city": pa.nulls(many, pa.string()),
        "received_at": pa.array((at + 900) * 1000).cast(pa.timestamp("us", tz="UTC")),
        "topic_id": pa.repeat("topic", many),
        "kafka_partition": (drone % 6).astype(np.int32),
        "kafka_offset": number,
        "event_hour": np.full(many, base // 3_600_000, np.int32),
        "alert_count": alert.astype(np.int32),
        "battery_millipercent": milli,
        "low_battery_count": (milli < 20_000).astype(np.int32),
        "citizen_count": np.ones(many, np.int32),
        "peace_score_sum": score,
        "worst_score": score,
        "last_state": at << 17 | milli,
    }
    return pa.table({name: columns[name] for name in FILE_SCHEMA.names}, schema=FILE_SCHEMA)


def _names(word: str, index: np.ndarray, many: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(index), [f"{word} {n}" for n in range(many)]).cast(pa.string())


def _citizens(score: np.ndarray, place: np.ndarray) -> pa.Array:
    fields = FILE_SCHEMA.field("citizens").type.value_type
    each = pa.StructArray.from_arrays([_names("Citizen", place, CITIES), pa.array(score)], fields=list(fields))
    return pa.ListArray.from_arrays(pa.array(np.arange(len(score) + 1, dtype=np.int32)), each)


def write(root: Path, hour: datetime, rows: pa.Table, number: int) -> AddAction:
    """The file `number` of an hour, below the table's `root`."""
    day = hour.astimezone(UTC).date().isoformat()
    path = f"date={day}/hour={hour.hour}/part-{number:05}.zstd.parquet"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(rows, root / path, compression="zstd", compression_level=1)
    size = (root / path).stat().st_size
    values = {"date": day, "hour": str(hour.hour)}
    return AddAction(path, size, values, int(hour.timestamp() * 1000), data_change=True, stats="{}")
