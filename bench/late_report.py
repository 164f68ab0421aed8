"""What does one more commit cost where the views of its day are stored already?

`script/bench late_report [--drones 5400] [--turns 5]`: a day of a fleet, its views computed once; then in turns one
more hour's commit, or one late report, is computed as a run does it, and the whole day as a rebuild does. Prints
the bytes of Parquet that the engine was asked to read, and medians of seconds, with Spark's start left out.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake
from pymongo import MongoClient

from batch_layer.engine import Engine
from batch_layer.job import Job
from batch_layer.ranges import hours_of_day
from batch_layer.spark import aggregate, comet, session
from batch_layer.views import drones
from bench import fleet_day
from bench.machine import machine
from fleet.figures.cube import Cube
from fleet.reports.landed import SCHEMA
from infra.delta import TABLE, Snapshot
from infra.java import java
from laptop import ports
from laptop.services import mongo

START = datetime(2026, 11, 23, tzinfo=UTC)
MEGABYTE = 1e6


class Counting:
    """An engine that adds up the bytes of the files that it is asked about."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.bytes = engine, 0

    @property
    def name(self) -> str:
        return self._engine.name

    def cells(self, cube: Cube, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        return self._engine.cells(cube, snapshot, hours)

    def cells_of(self, cubes: Sequence[Cube], snapshot: Snapshot, hours: Sequence[int]) -> list[pa.Table]:
        self.bytes += snapshot.size(hours)
        return self._engine.cells_of(cubes, snapshot, hours)

    def drone_days(self, snapshot: Snapshot, day: date) -> pa.Table:
        self.bytes += 2 * snapshot.size(hours_of_day(day))  # two passes
        return self._engine.drone_days(snapshot, day)

    def repeats(self, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        self.bytes += snapshot.size(hours)
        return self._engine.repeats(snapshot, hours)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drones", type=int, default=5400)
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        reports = fleet_day.make(home / "lake", options.drones, 23 * 60, START)
        server = mongo.start(home, ports.free_port())
        config = session.SparkConfig(java=java(), scratch=home / "spark", comet=comet.jar(comet.AUTO))
        try:
            with MongoClient[dict[str, Any]](server.uri, tz_aware=True) as client, aggregate.start(config) as engine:
                engine.spark(session.QUICK_BYTES)
                _measure(client.get_default_database(), home / "lake", engine, options)
        finally:
            server.kill()
        print(f"{reports} reports of {options.drones} drones in 23 hours; load average after: {os.getloadavg()[0]:.1f}")


def _measure(database: Any, lake: Path, engine: Engine, options: argparse.Namespace) -> None:
    counting = Counting(engine)
    job = Job(database, str(lake), lambda: nullcontext(counting))
    drones.run(job)
    runs: dict[str, list[tuple[float, float]]] = {}

    def timed(name: str, rebuild: bool = False) -> None:
        counting.bytes, began = 0, time.perf_counter()
        drones.run(job, rebuild=rebuild)
        runs.setdefault(name, []).append((time.perf_counter() - began, counting.bytes / MEGABYTE))

    for turn in range(options.turns):
        (rows, *_) = fleet_day.hour(options.drones, START + timedelta(hours=23, minutes=turn), 1, 1)
        rows = _landed(rows)
        write_deltalake(lake / TABLE, rows, mode="append")
        timed("a minute of all drones")
        write_deltalake(lake / TABLE, rows.slice(turn, 1), mode="append")
        timed("one report, a duplicate")
        timed("the whole day", rebuild=True)
    print(f"{'what is new':28} {'seconds':>9} {'MB read':>10}")
    for name, found in runs.items():
        seconds, megabytes = (median(each) for each in zip(*found, strict=True))
        print(f"{name:28} {seconds:9.1f} {megabytes:10.2f}")


def _landed(rows: pa.Table) -> pa.Table:
    """With the columns of the partition, 23 hours after START."""
    whole = rows.append_column("date", pa.repeat(START.date(), rows.num_rows))
    return whole.append_column("hour", pa.repeat(23, rows.num_rows)).select(SCHEMA.names).cast(SCHEMA)


if __name__ == "__main__":
    main()
