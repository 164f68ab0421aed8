"""What the report of a day costs at the mission's size: 540,000 drones, 777.6 million reports, 7.8 million alerts.

    script/bench report_day [ALERTS]        7,776,000: ninety alerts a second

The views of four weeks as the batch layer writes them (200 countries, 11 scores, 25,000 cities), an hour of live
documents, 50,000 incidents, and the day's alerts as the recorder writes them, on a MongoDB with 0.25 GB of cache. Then
`peacewatch report build` as Airflow starts it: HTML, PDF, picture and JSON; and again, where nothing has changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pymongo import MongoClient

from bench.machine import machine
from bench.views import CELLS, COUNTRIES, cells
from fleet.reports.landed import hour_name
from infra.mongo.incidents import ensure_indexes
from laptop import ports
from laptop.services import mongo

DAY = date(2026, 11, 23)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
DRONES, CITIES, INCIDENTS, ALERTS = 540_000, 25_000, 50_000, 7_776_000
DAYS, LIVE_DOCUMENTS, CALLS, AT_ONCE = 29, 720, 43_200, 20_000
PLACE = {"kind": "unrest", "country": "Country 007", "city": "City 42", "latitude": 48.8, "longitude": 2.3}
REPORTS_OF_CELL = DRONES * 60 // CELLS


def hour_cells(hour: int, chance: np.random.Generator, share: float = 1.0) -> dict[str, list[Any]]:
    """Cells of an hour; `share` of an hour's reports."""
    return cells(hour, (chance.uniform(0.5, 1.5, CELLS) * REPORTS_OF_CELL * share).astype(int))


def fill_views(database: Any, chance: np.random.Generator) -> None:
    """What batch has computed of four weeks, and the live documents after it."""
    for ago in range(DAYS):
        day = DAY - timedelta(days=ago)
        first = (day - date(1970, 1, 1)).days * 24
        for hour in range(first, first + 24):
            document = {"event_hour": hour, "version": 0, "cells": hour_cells(hour, chance)}
            database.hours.insert_one({"_id": hour_name(hour), **document})
        next_days = ["", *((day + timedelta(days=n)).isoformat() for n in range(1, 8))]
        rows = [(next_day, f"Country {number:03}") for next_day in next_days for number in range(COUNTRIES)]
        drones = [DRONES // len(rows)] * len(rows)
        counts = {"next_day": [r[0] for r in rows], "country": [r[1] for r in rows], "drones": drones, "low": drones}
        database.drones_by_day.insert_one({"_id": day.isoformat(), "version": 0, "cells": counts})
        numbers = chance.integers(1, 60_000, CITIES).tolist()
        places = {"country": [f"Country {n % COUNTRIES:03}" for n in range(CITIES)]}
        places |= {
            "city": [f"City {n}" for n in range(CITIES)],
            "reports": numbers,
            "alerts": [n // 100 for n in numbers],
        }
        database.city_days.insert_one({"_id": day.isoformat(), "version": 0, "cells": places})
    run = {"kind": "hours", "state": "complete", "version": 0, "started_at": MIDNIGHT, "finished_at": MIDNIGHT}
    database.runs.insert_one({"_id": "r1", **run})
    complete = {"complete": True, "missing": [], "version": 0, "received": 0, "expected": DRONES * 1440}
    database.completeness.insert_one({"_id": DAY.isoformat(), **complete})
    last = (DAY - date(1970, 1, 1)).days * 24 + 24
    for version in range(1, LIVE_DOCUMENTS + 1):
        live = {"committed_at": MIDNIGHT + timedelta(days=1), "cells": hour_cells(last, chance, 1 / LIVE_DOCUMENTS)}
        database.live.insert_one({"_id": version, **live})


def fill_deliveries(database: Any, chance: np.random.Generator, alerts: int) -> None:
    """Incidents, alerts and deliveries of the day as the recorder writes them; most are in digests."""
    ensure_indexes(database)
    database.incidents.insert_many(
        {
            "_id": f"i{number}",
            **PLACE,
            "severity": ("critical", "high", "moderate")[number % 3],
            "state": "resolved",
            "alerts": 1 + number % 400,
            "since": MIDNIGHT + timedelta(seconds=number % 80_000),
            "last": MIDNIGHT + timedelta(seconds=number % 80_000 + 900),
            "worst_score": 1,
        }
        for number in range(INCIDENTS)
    )
    database.deliveries.insert_many(
        {"webhook": "alerts", "delivered_at": MIDNIGHT + timedelta(seconds=2 * number), "held": ""}
        for number in range(CALLS)
    )
    _fill_alerts(database, chance, alerts)


def _fill_alerts(database: Any, chance: np.random.Generator, alerts: int) -> None:
    heard = {"message": "they are shouting in the square before the station", "citizens": [["Zoë Nuñez", 1]] * 3}
    latencies = chance.lognormal(7, 1.5, alerts).astype(int).tolist()
    for start in range(0, alerts, AT_ONCE):
        database.alerts.insert_many(
            (
                {
                    "_id": f"unrest/drone-{number % DRONES}/{number}",
                    **PLACE,
                    **heard,
                    "raised_at": (raised := MIDNIGHT + timedelta(seconds=86_399 * number / alerts)),
                    "incident_id": f"i{number % INCIDENTS}",
                    "message_id": str(10**18 + number // 200),
                    "delivered_at": raised + timedelta(milliseconds=latencies[number]),
                    "latency_ms": latencies[number],
                    "severity": ("critical", "high", "moderate")[number % 3],
                    "webhook": "alerts",
                    "in_digest": number % 4 > 0,
                    "kept_back": "",
                }
                for number in range(start, min(start + AT_ONCE, alerts))
            ),
            ordered=False,
        )


def measure(name: str, environment: dict[str, str]) -> None:
    """Runs the command and prints its row: seconds, processor seconds, and the most memory it had."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "cli", "report", "build", "--day", DAY.isoformat()]
    process = subprocess.Popen(command, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    seconds, memory = time.perf_counter() - began, used.ru_maxrss / 1024
    print(f"| {name} | {seconds:.1f} | {used.ru_utime + used.ru_stime:.1f} | {memory:.0f} |", flush=True)


def main() -> None:
    alerts = int(sys.argv[1]) if sys.argv[1:] else ALERTS
    print(machine())
    chance = np.random.default_rng(7)
    with tempfile.TemporaryDirectory() as folder:
        database = mongo.start(Path(folder), ports.free_port())
        try:
            with MongoClient[dict[str, Any]](database.uri, tz_aware=True) as client:
                began = time.perf_counter()
                fill_views(client.get_default_database(), chance)
                fill_deliveries(client.get_default_database(), chance, alerts)
            print(f"{alerts:,} alerts; filled in {time.perf_counter() - began:.0f} s\n")
            print("| what | seconds | processor s | peak MB |\n|---|---|---|---|")
            environment = {**os.environ, "PEACEWATCH_MONGO_URI": database.uri, "PEACEWATCH_HOME": folder}
            measure("report of the day, made", environment)
            measure("again, nothing changed", environment)
        finally:
            database.kill()


if __name__ == "__main__":
    main()
