"""What does a day of the fleet cost the batch layer, hour by hour, and how does it grow with the fleet?

`python -m bench.mission_day FOLDER [--every 10] [--hours 24]`: 540,000 drones that report every so many minutes (10: a
tenth of a mission day, 77.8 million reports; 100: a hundredth; 1: as they do), for so many hours. Steps, each kept in
FOLDER, so that an interrupted run continues: the files are made; hour by hour they are committed and `peacewatch
aggregate --views hours` is run, as Airflow does it, with its start; `--views drones` for the day; everything from
nothing; `peacewatch compact`; both again over compacted files, as the nightly run finds them. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psutil
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from bench import fleet_day
from bench.machine import machine
from fleet.reports.landed import PARTITION_BY, SCHEMA
from laptop import ports
from laptop.services import mongo

DRONES: Final = 540_000
START: Final = datetime(2026, 11, 23, tzinfo=UTC)


class Day:
    """The folder of one day: files, lake, MongoDB, and what was measured."""

    def __init__(self, folder: Path, every: int, hours: int) -> None:
        self.folder, self.every, self.hours = folder, every, hours
        self.lake = folder / "lake"
        self.notes = folder / "measured.json"
        self.measured: dict[str, Any] = json.loads(self.notes.read_text()) if self.notes.exists() else {}

    def note(self, step: str, **figures: Any) -> None:
        self.measured[step] = figures
        self.notes.write_text(json.dumps(self.measured))
        print(step, figures, flush=True)

    def make(self, hour: int) -> None:
        """The files of an hour; no commit names them yet."""
        if f"files {hour}" in self.measured:
            return
        (self.lake / "reports").mkdir(parents=True, exist_ok=True)
        start = START + timedelta(hours=hour)
        written = [
            (fleet_day.write(self.lake / "reports", start, rows, number), rows.num_rows)
            for number, rows in enumerate(fleet_day.hour(DRONES, start, 60, self.every))
        ]
        files = [(add.path, add.size, dict(add.partition_values)) for add, _ in written]
        self.note(f"files {hour}", files=files, rows=sum(rows for _, rows in written))

    def commit(self, hour: int) -> None:
        table = self._table()
        if table.version() > hour:
            return
        files = self.measured[f"files {hour}"]["files"]
        adds = [AddAction(path, size, values, 0, data_change=True, stats="{}") for path, size, values in files]
        table.create_write_transaction([*adds], "append", table.schema(), list(PARTITION_BY))

    def command(self, uri: str, step: str, *arguments: str) -> None:
        """Runs `peacewatch`, and notes its seconds, processor time, and the most memory that it and Java had."""
        if step in self.measured:
            return
        environ = {**os.environ, "PEACEWATCH_HOME": str(self.folder), "PEACEWATCH_MONGO_URI": uri}
        command = [sys.executable, "-m", "cli", *arguments]
        output = self.folder / "output.log"
        began = time.perf_counter()
        with (
            output.open("w") as log,
            subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT) as running,
        ):
            most, cpu = _watch(running)
        assert running.returncode == 0, output.read_text()
        self.note(step, seconds=round(time.perf_counter() - began, 1), cpu=round(cpu, 1), memory_mb=most >> 20)

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        server = mongo.start(self.folder / name, ports.free_port())
        try:
            yield server.uri
        finally:
            server.stop()

    def _table(self) -> DeltaTable:
        where = self.lake / "reports"
        if not (where / "_delta_log").exists():
            return DeltaTable.create(where, SCHEMA, partition_by=list(PARTITION_BY))
        return DeltaTable(where)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=10, help="minutes between a drone's reports")
    parser.add_argument("--hours", type=int, default=24, help="hours of the day")
    parser.add_argument("--runs", type=int, default=24, help="hourly runs; the rest of the day is one run")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no step after these; call again to continue")
    parser.add_argument("--files", action="store_true", help="only make the files")
    options = parser.parse_args()
    runs = min(options.runs, options.hours)
    day, until = Day(options.folder, options.every, options.hours), time.monotonic() + options.minutes * 60
    print(machine())
    for step in _files(day) if options.files else _steps(day, runs):
        if time.monotonic() > until:
            print("stopped; the same command continues")
            return
        step()
    if not options.files:
        _table(day, runs)


def _files(day: Day) -> Iterator[Any]:
    for hour in range(day.hours):
        yield lambda hour=hour: day.make(hour)


def _steps(day: Day, runs: int) -> Iterator[Any]:
    yield from _files(day)
    with day.database("mongo") as uri:
        for hour in range(runs):
            yield lambda hour=hour: day.commit(hour)
            yield lambda hour=hour: day.command(uri, f"hour {hour}", "aggregate", "--views", "hours")
        for hour in range(runs, day.hours):
            yield lambda hour=hour: day.commit(hour)
        yield lambda: day.command(uri, "drones", "aggregate", "--views", "drones")
    with day.database("mongo-2") as uri:
        yield lambda: day.command(uri, "hours from nothing", "aggregate", "--views", "hours")
        yield lambda: day.command(uri, "nothing to do", "aggregate", "--views", "hours")
    yield lambda: day.command("mongodb://nobody", "compact", "compact")
    with day.database("mongo-2") as uri:
        yield lambda: day.command(uri, "rebuild, compacted", "aggregate", "--views", "hours", "--rebuild")
        yield lambda: day.command(uri, "drones, compacted", "aggregate", "--views", "drones")


def _watch(running: subprocess.Popen[bytes]) -> tuple[int, float]:
    """(most bytes, seconds of processor time) of the process and what it started."""
    most, used, process = 0, dict[int, float](), psutil.Process(running.pid)
    while running.poll() is None:
        try:
            family = [process, *process.children(recursive=True)]
            most = max(most, sum(process.memory_info().rss for process in family))
            used |= {process.pid: sum(process.cpu_times()[:2]) for process in family}
        except psutil.NoSuchProcess:
            continue
        time.sleep(0.2)
    return most, sum(used.values())


def _table(day: Day, runs: int) -> None:
    measured = day.measured
    rows = sum(measured[f"files {hour}"]["rows"] for hour in range(day.hours))
    size = sum(each[1] for hour in range(day.hours) for each in measured[f"files {hour}"]["files"])
    hours = sorted((measured[f"hour {hour}"] for hour in range(runs)), key=lambda each: each["seconds"])
    print(f"\n{rows:,} reports, {size / 1e6:,.0f} MB of Parquet; {runs} hourly runs: {hours[0]} to {hours[-1]}")
    for step in ("drones", "hours from nothing", "nothing to do", "compact", "rebuild, compacted", "drones, compacted"):
        print(f"{step:25} {measured[step]}")


if __name__ == "__main__":
    main()
