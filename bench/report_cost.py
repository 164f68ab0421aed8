"""What do landing and alerting do with one report, and what did they do at an earlier commit?

    script/bench report_cost [REVISION] [TURNS]

Processor time in microseconds a report, between the Kafka client and Parquet, and between the client and the topic
`alerts`. Processes of both versions take turns, so that a busy machine slows both; the median and the best are printed.
Revisions from 428ea46 on (the first with today's rooms) are understood.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from kafka.consumer.fetcher import ConsumerRecord

from bench.machine import machine
from fleet.alerts import absence, rules
from fleet.figures.cube import HOURS
from fleet.reports import report as reports
from speed_layer.landing import deduplication
from speed_layer.landing.decoding import Decoded

REPORTS: Final = 50_000
CHUNK: Final = 5_000
DRONES: Final = 5_400
ROUNDS: Final = 3
"""Rounds of a turn; each drone reports in each, so that the rules have something to remember."""

START: Final = datetime(2026, 11, 24, 8, tzinfo=UTC)
PLACES: Final = (("France", "Paris"), ("Germany", "Hamburg"), ("Japan", "東京"), ("Chad", "N'Djamena"))
ROOT: Final = Path(__file__).parents[1]


def main() -> None:
    if sys.argv[1:2] == ["--turn"]:
        print(json.dumps(turn()))
        return
    revision = sys.argv[1] if sys.argv[1:] else "HEAD"
    turns = int(sys.argv[2]) if sys.argv[2:] else 15
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder, "earlier")
        git("worktree", "add", "--detach", str(earlier), revision)
        try:
            trees = {revision: earlier, "this tree": ROOT}
            measured: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
            for _ in range(turns):
                for name, tree in trees.items():
                    measured[name].append(ask(tree))
        finally:
            git("worktree", "remove", "--force", str(earlier))
    steps = list(measured["this tree"][0])
    print("| | " + " | ".join(steps) + " |")
    print("|---" * (1 + len(steps)) + "|")
    for name, results in measured.items():
        cells = [f"{median(results, step):.2f}, {min(each[step] for each in results):.2f}" for step in steps]
        print(f"| {name} | " + " | ".join(cells) + " |")
    for step in ("landing", "alerting"):
        print(f"{step}: {median(measured['this tree'], step) / median(measured[revision], step):.2f} times {revision}")


def git(*words: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *words], check=True, capture_output=True)


def ask(tree: Path) -> dict[str, float]:
    """One turn in a process of its own, with the modules of `tree`."""
    command = [sys.executable, __file__, "--turn"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tree, env=environment)
    result: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return result


def median(results: list[dict[str, float]], step: str) -> float:
    return statistics.median(each[step] for each in results)


def turn() -> dict[str, float]:
    records = made()
    gc.collect()
    gc.freeze()
    landing = min((landed(records) for _ in range(ROUNDS)), key=lambda steps: steps["landing"])
    return {**landing, "alerting": min(alerted(records) for _ in range(ROUNDS))}


def made() -> list[Any]:
    """Messages of 258 bytes, as kafka-python gives them out."""
    names = getattr(ConsumerRecord, "_fields", None) or ConsumerRecord.__slots__
    records = []
    for number in range(REPORTS):
        country, city = PLACES[number % len(PLACES)]
        at = START + timedelta(milliseconds=7 * number)
        report = {
            "report_id": f"r{number}",
            "drone_id": f"drone-{number % DRONES:06}",
            "reported_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "latitude": round(-60 + 120 * (number * 0.618 % 1), 5),
            "longitude": round(-180 + 360 * (number * 0.382 % 1), 5),
            "battery": round(40 + number * 0.1 % 60, 1),
            "citizens": [{"name": f"Zoe {number % 977}", "peace_score": 1 + number % 10}][: number % 2],
            "message": "calm",
            "alert": number % 100 == 0,
            "country": country,
            "city": city,
        }
        value = json.dumps(report, ensure_ascii=False).encode()
        stamp = int(at.timestamp() * 1000) + 500
        given = {"topic": "reports", "partition": 0, "offset": number, "timestamp": stamp, "key": b"k", "value": value}
        records.append(ConsumerRecord(**{**dict.fromkeys(names), **given}))
    return records


def nearest(_latitude: float, _longitude: float) -> None:
    return None


class Clock:
    """Microseconds a report of this thread's processor time, by step."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}

    def run(self, step: str, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        started = time.thread_time()
        result = work(*arguments, **named)
        self.steps[step] = self.steps.get(step, 0.0) + (time.thread_time() - started) * 1e6 / REPORTS
        return result


def landed(records: list[Any]) -> dict[str, float]:
    """The steps of landing: decode and deduplicate, columns, count places, fold into cells."""
    window = either(deduplication, "RecentReports", "Window")()
    clock, at = Clock(), 0
    count, make_rows = counted_places(), rows()
    while at < len(records):
        decoded = Decoded()
        part = records[at : at + CHUNK]
        clock.run("decoding", decoded.take, part, window, nearest)
        table = clock.run("columns", make_rows, decoded, "topic", 0)
        table = clock.run("places", count, table)
        clock.run("cells", HOURS.fold, table)
        at += CHUNK
        assert len(decoded.lines if hasattr(decoded, "lines") else table) == CHUNK
    return {**clock.steps, "landing": sum(clock.steps.values())}


def either(module: Any, name: str, former: str) -> Any:
    """What `module` calls by one of these names: an earlier version had the former."""
    return getattr(module, name) if hasattr(module, name) else getattr(module, former)


def rows() -> Callable[[Any, str, int], Any]:
    """How this version makes rows; before `landed_rows.py`, decoding did."""
    try:
        module = importlib.import_module("speed_layer.landing.landed_rows")
    except ModuleNotFoundError:
        module = importlib.import_module("speed_layer.landing.decoding")
    made: Callable[[Any, str, int], Any] = module.rows
    return made


def counted_places() -> Callable[[Any], Any]:
    """How this version counts places; before it did, nothing is done."""
    try:
        module = importlib.import_module("fleet.reports.counted_places")
    except ModuleNotFoundError:
        return lambda table: table
    count: Callable[[Any], Any] = module.CountedPlaces(module.KnownPlaces(), lambda _hour: ()).count
    return count


def alerted(records: list[Any]) -> float:
    """Alerting's steps: decode, look at the report, judge it by all the rules."""
    silent = either(absence, "AbsenceRule", "Silent")()
    unrest, low_battery = either(rules, "UnrestRule", "Unrest")(), either(rules, "LowBatteryRule", "LowBattery")()
    ruled = rules.Rules(unrest=unrest, low_battery=low_battery, silent=silent)
    sights = hasattr(rules, "sighting")  # before, the decoder looked at the clock
    memory, sighting, alerts = rules.Memory(), rules.sighting if sights else rules.Sighting, 0

    def judge() -> None:
        nonlocal alerts
        for record in records:
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            report = reports.parse(record.value) if sights else reports.decode(record.value, at)
            alerts += len(rules.judge(ruled, memory, sighting(report, at, nearest)))

    clock = Clock()
    clock.run("alerting", judge)
    assert alerts >= REPORTS // 100
    return clock.steps["alerting"]


if __name__ == "__main__":
    main()
