"""What does `peacewatch aggregate --rebuild` of a month cost, by day, and what does one that was killed do again?

`script/bench rebuild FOLDER [--days 30] [--drones 5400]`: the lake of a fleet that reports once a minute (5,400 drones:
a hundredth of the mission, 7.8 million reports a day) is made and kept in FOLDER. The rebuild of hours and drone days
runs as the command does, with its start; it is killed with SIGKILL when half of the days are written, and given again.
The minutes at which hours and days are done are those of the run's document.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from pymongo import MongoClient

from bench import fleet_day
from bench.machine import machine
from infra.mongo.client import Documents
from laptop import ports
from laptop.services import mongo

START = datetime(2026, 10, 1, tzinfo=UTC)
LOOK_SECONDS = 0.1


@dataclass
class Done:
    """What a command has done of one kind of views: by the first event hour, when its run's document had it."""

    kind: str
    at: dict[int, float] = field(default_factory=dict)

    def look(self, database: Documents) -> None:
        run = database.runs.find_one({"kind": self.kind, "rebuild": {"$exists": True}}, sort=[("_id", -1)])
        now = time.monotonic()
        for hour in run.get("done", []) if run else []:
            self.at.setdefault(hour, now)

    @property
    def at_first(self) -> int:
        """How many were done when the first was seen: of a rebuild that goes on, those before it was killed."""
        first = min(self.at.values())
        return sum(at == first for at in self.at.values())


def command(folder: Path, uri: str, database: Documents, kill_at: int | None = None) -> tuple[Done, Done, float]:
    """Runs the rebuild, killed once so many days are written: hours, days, and the whole command's seconds."""
    environment = {**os.environ, "PEACEWATCH_HOME": str(folder), "PEACEWATCH_MONGO_URI": uri}
    words = [sys.executable, "-m", "cli", "aggregate", "--rebuild"]
    hours, days = Done("hours"), Done("drones")
    began = time.monotonic()
    with (folder / "rebuild.log").open("a") as log:
        running = subprocess.Popen(words, env=environment, stdout=log, stderr=log, start_new_session=True)
        while running.poll() is None:
            hours.look(database)
            days.look(database)
            if kill_at is not None and len(days.at) >= kill_at:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
                return hours, days, time.monotonic() - began
            time.sleep(LOOK_SECONDS)
    assert running.returncode == 0, (folder / "rebuild.log").read_text()
    hours.look(database)
    days.look(database)
    return hours, days, time.monotonic() - began


def steps(done: Done) -> list[float]:
    """Seconds between one day and the next."""
    at = sorted(done.at.values())
    return [later - earlier for earlier, later in pairwise(at)]


def by_thirds(seconds: list[float]) -> str:
    third = len(seconds) // 3
    parts = (seconds[:third], seconds[third : 2 * third], seconds[2 * third :])
    return " | ".join(f"{median(part):.1f}" for part in parts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--days", type=int, default=30, help="7 or more")
    parser.add_argument("--drones", type=int, default=5_400)
    options = parser.parse_args()
    print(machine())
    lake = options.folder / "lake"
    made = options.folder / "made"
    if not made.exists():
        fleet_day.make(lake, options.drones, options.days * 24 * 60, START)
        made.touch()
    size = sum(file.stat().st_size for file in lake.rglob("*.parquet"))
    print(f"{options.days} days of {options.drones:,} drones, {size / 1e9:.1f} GB of Parquet\n")
    server = mongo.start(options.folder / f"mongo-{os.getpid()}", ports.free_port())
    try:
        with MongoClient[dict[str, Any]](server.uri, tz_aware=True) as client:
            database = client.get_default_database()
            hours, days, whole = command(options.folder, server.uri, database)
            print("| | median seconds a day: first third | second | last |\n|---|---|---|---|")
            print(f"| drone days and the other views of a day | {by_thirds(steps(days))} |")
            chunks = sorted(set(hours.at.values()))
            each = (chunks[-1] - chunks[0]) / (len(hours.at) - hours.at_first) * 24
            print(f"\nhour views: {each:.2f} s a day; the whole command {whole:.0f} s")
            client.drop_database(database.name)
            _, before, _ = command(options.folder, server.uri, database, kill_at=options.days // 2)
            hours, days, rest = command(options.folder, server.uri, database)
            print(
                f"killed when {len(before.at)} days were done; the same command began with {hours.at_first} hours and "
                f"{days.at_first} days done, and took {rest:.0f} s for the other {len(days.at) - days.at_first} days"
            )
    finally:
        server.stop()


if __name__ == "__main__":
    main()
