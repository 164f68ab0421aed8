"""Small lakes for tests of the batch layer: written with deltalake, not with the product's lander."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from batch_layer.ranges import hours_of_day
from batch_layer.views import day_views, drone_days, identities
from fleet.reports.landed import PARTITION_BY, SCHEMA, last_state

START = datetime(2026, 11, 24, 6, tzinfo=UTC)
COUNTRIES = ("Chad", "Côte d'Ivoire", "France", "日本", "unknown")


def row(number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    """A landed report that is right in itself; `changes` are of drone_id, country, battery, scores, alert, …"""
    scores = changes.pop("scores", [1 + number % 10])
    battery = changes.pop("battery", float(number * 7 % 101))
    alert = changes.pop("alert", number % 10 == 0)
    milli = round(battery * 1000)
    return {
        "date": at.date(),
        "hour": at.hour,
        "report_id": f"r{number}",
        "drone_id": f"drone-{number % 7}",
        "reported_at": at,
        "latitude": (number % 180) - 90.0,
        "longitude": (number % 360) - 180.0,
        "battery": battery,
        "citizens": [{"name": f"citizen {score}", "peace_score": score} for score in scores],
        "message": "all is calm",
        "alert": alert,
        "country": COUNTRIES[number % len(COUNTRIES)],
        "city": f"city {number % 3}",
        "received_at": at + timedelta(seconds=number % 400),
        "topic_id": "topic",
        "kafka_partition": number % 2,
        "kafka_offset": number,
        "event_hour": int(at.timestamp()) // 3600,
        "alert_count": int(alert),
        "battery_millipercent": milli,
        "low_battery_count": int(battery < 20),
        "citizen_count": len(scores),
        "peace_score_sum": sum(scores),
        "worst_score": min(scores, default=0),
        "last_state": last_state(int(at.timestamp() * 1000), milli),
        **changes,
    }


def repeated(start: datetime) -> list[dict[str, Any]]:
    """Reports of drone `again`: three that say one thing, two in conflict with them, and one with the id at another
    time; and in the next hour two in conflict that are counted under another name than they say.
    """
    first = {"drone_id": "again", "battery": 50.0, "citizens": [{"name": "Ada", "peace_score": 5}]}
    later = {**first, "country": "other", "reported_country": "Atlantis"}
    at, next_hour = start + timedelta(minutes=7), start + timedelta(minutes=67)
    says = [
        first,
        first,
        {**first, "battery": 50.001},
        {**first, "citizens": [{"name": "Eve", "peace_score": 5}]},
        first,
    ]
    rows = [row(5000, at, kafka_offset=9000 + n, **each) for n, each in enumerate(says)]
    rows.append(row(5000, start + timedelta(minutes=9), **first))
    rows.append(row(5001, next_hour, **later))
    rows.append(row(5001, next_hour, **{**first, "country": "Atlantis"}))  # says the same as the one before
    rows.append(row(5001, next_hour, **{**later, "reported_country": "Lemuria"}))
    return rows


def table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


def some_rows(
    count: int, seed: int = 0, hours: int = 3, start: datetime = START, first: int = 0
) -> list[dict[str, Any]]:
    """`count` reports spread over `hours` hours, the same for the same seed."""
    choose = random.Random(seed)
    return [
        row(
            first + number,
            start + timedelta(seconds=choose.randrange(hours * 3600)),
            scores=[choose.randint(1, 10) for _ in range(choose.randint(0, 3))],
            battery=choose.randint(0, 1000) / 10,
            alert=choose.random() < 0.1,
            drone_id=f"drone-{choose.randrange(20)}",
            country=choose.choice(COUNTRIES),
        )
        for number in range(count)
    ]


PARTITIONS = pa_dataset.partitioning(pa.schema([SCHEMA.field(name) for name in PARTITION_BY]), flavor="hive")


def make(lake: Path | str) -> DeltaTable:
    """An empty lake at version 0."""
    return DeltaTable.create(f"{lake}/reports", schema=SCHEMA, partition_by=list(PARTITION_BY))


def land(lake: Path | str, rows: Sequence[dict[str, Any]], metadata: dict[str, str] | None = None) -> int:
    """One commit with `rows`; the table's version after it."""
    offsets: dict[str, int] = {}
    for landed in rows:
        key = f"{landed['topic_id']}/{landed['kafka_partition']}"
        offsets[key] = max(offsets.get(key, 0), landed["kafka_offset"] + 1)
    properties = CommitProperties(
        custom_metadata=metadata or {}, app_transactions=[Transaction(*entry) for entry in offsets.items()]
    )
    write_deltalake(f"{lake}/reports", table(rows), mode="append", commit_properties=properties)
    return DeltaTable(f"{lake}/reports").version()


def land_table(lake: Path | str, rows: pa.Table) -> int:
    """One commit with many rows; the table's version after it. It sets no `txn` entry."""
    write_deltalake(f"{lake}/reports", rows.cast(SCHEMA), mode="append")
    return DeltaTable(f"{lake}/reports").version()


def everything(lake: Path | str, version: int | None = None) -> pa.Table:
    """All reports of the lake at `version`, by pyarrow over the snapshot's own file list.

    A lake of this machine is read by the names of its files: `to_pyarrow_table` asks for their statistics first, which
    takes four times as long where files are many.
    """
    at_version = DeltaTable(f"{lake}/reports", version=version)
    if "://" in str(lake):
        return at_version.to_pyarrow_table()
    files = pa_dataset.dataset(
        [unquote(uri) for uri in at_version.file_uris()],
        SCHEMA,
        partitioning=PARTITIONS,
        partition_base_dir=f"{lake}/reports",
    )
    return files.to_table()


def derived(rows: pa.Table) -> pa.Table:
    """`rows` with the columns that batch-only views derive, worked out in plain Python."""
    if "received_at" in rows.column_names:
        delays = [
            (received - reported).total_seconds()
            for received, reported in zip(rows["received_at"].to_pylist(), rows["reported_at"].to_pylist(), strict=True)
        ]
        buckets = [sum(delay >= end for end in day_views.DELAY_BUCKETS) for delay in delays]
        rows = rows.append_column("delay_bucket", pa.array(buckets, pa.int32()))
    for name in ("latitude", "longitude"):
        if name in rows.column_names:
            cells = [math.floor(value * 2) for value in rows[name].to_pylist()]
            rows = rows.append_column(f"{name}_cell", pa.array(cells, pa.int32()))
    return rows


class ArrowEngine:
    """Computes by pyarrow and plain Python, in place of Spark: what a run publishes and when does not depend on it."""

    name = "pyarrow"

    def cells(self, cube: Any, pinned: Any, hours: Sequence[int]) -> pa.Table:
        files = [file.path for hour in hours for file in pinned.hours.get(hour, ())]
        return cube.fold(derived(pinned.rows(files, day_views.landed_columns(cube))))

    def cells_of(self, cubes: Sequence[Any], pinned: Any, hours: Sequence[int]) -> list[pa.Table]:
        return [self.cells(cube, pinned, hours) for cube in cubes]

    def drone_days(self, pinned: Any, day: date) -> pa.Table:
        hours = hours_of_day(day)
        files = [file.path for hour in hours for file in pinned.hours.get(hour, ())]
        rows = pinned.rows(files, _DRONE_DAY).to_pylist()
        drones = sorted({each["drone_id"] for each in rows})
        return pa.Table.from_pylist(
            [_drone_day([each for each in rows if each["drone_id"] == drone]) for drone in drones],
            schema=drone_days.ROWS,
        )

    def repeats(self, pinned: Any, hours: Sequence[int]) -> pa.Table:
        counted = [
            _repeats(hour, pinned.rows([file.path for file in pinned.hours.get(hour, ())], _SAID)) for hour in hours
        ]
        rows = [each for each in counted if each["duplicates"] or each["conflicts"]]
        return pa.Table.from_pylist(rows, schema=identities.REPEATS)


def _repeats(hour: int, rows: pa.Table) -> dict[str, int]:
    said: dict[Any, list[Any]] = {}
    found = {"event_hour": hour, "duplicates": 0, "conflicts": 0}
    for each in rows.to_pylist():
        place = [each.pop(f"reported_{name}") or each[name] for name in ("country", "city")]
        content = [
            each[name] for name in identities.CONTENT if name in each and name not in ("country", "city")
        ] + place
        before = said.setdefault((each["drone_id"], each["report_id"], each["last_state"] >> 17), [])
        if before:
            found["duplicates" if content in before else "conflicts"] += 1
        before.append(content)
    return found


_SAID = [*identities.IDENTITY, *identities.CONTENT]
_DRONE_DAY = [*dict.fromkeys([*drone_days.COLUMNS, *drone_days.POSITION_COLUMNS, "battery_millipercent"])]


def _drone_day(rows: list[dict[str, Any]]) -> dict[str, Any]:
    rows = sorted(rows, key=lambda each: (each["last_state"], each["kafka_offset"]))
    minutes = sorted({(each["last_state"] >> 17) // 60_000 for each in rows})
    return {
        "drone_id": rows[0]["drone_id"],
        "reports": len(rows),
        "minutes": len(minutes),
        "expected": minutes[-1] - minutes[0] + 1,
        "gaps": sum(later - earlier > 1 for earlier, later in pairwise(minutes)),
        "alerts": sum(each["alert_count"] for each in rows),
        "lowest_battery": min(each["battery_millipercent"] for each in rows),
        "last_battery": rows[-1]["battery_millipercent"],
        "first_at": rows[0]["last_state"] >> 17,
        "last_at": rows[-1]["last_state"] >> 17,
        "first_latitude": rows[0]["latitude"],
        "first_longitude": rows[0]["longitude"],
        "last_latitude": rows[-1]["latitude"],
        "last_longitude": rows[-1]["longitude"],
        "country": rows[-1]["country"],
        "city": rows[-1]["city"],
        "first_place": _place(rows[0]),
        "last_place": _place(rows[-1]),
        **{
            f"spoke_{hour}": sum(1 << minute % 60 for minute in minutes if minute % 1440 // 60 == hour)
            for hour in range(24)
        },
    }


def _place(row: dict[str, Any]) -> int:
    """Milliseconds of the day, battery, and the low bits of the offset."""
    return int(
        (row["last_state"] >> 17) % 86_400_000 << 36 | (row["last_state"] & 0x1FFFF) << 19 | row["kafka_offset"] % 2**19
    )


@contextmanager
def engine_of(engine: ArrowEngine) -> Iterator[ArrowEngine]:
    yield engine


def arrow_engine() -> AbstractContextManager[ArrowEngine]:
    return engine_of(ArrowEngine())


@contextmanager
def no_engine() -> Iterator[Any]:
    """For a run that must compute nothing."""
    pytest.fail("nothing is to be computed")
    yield


def compact(lake: Path | str) -> int:
    """Compacts by deltalake's own means; the table's version after it."""
    DeltaTable(f"{lake}/reports").optimize.compact()
    return DeltaTable(f"{lake}/reports").version()
