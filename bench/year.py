"""How fast does the API answer over a year of 200 countries, by roll-ups of its days?

`script/bench year [ROUNDS]`: makes the roll-ups of 366 days as a run of the batch layer would store them, and serves
them. Cold: the first answer of a process that has read nothing of the year. Warm: the same path for a
day or some less, so that no answer is given from the cache of answers.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from pymongo import MongoClient

from bench.machine import machine
from bench.serving import process, processor
from bench.views import CELLS, cells
from fleet.figures.cube import HOURS
from fleet.figures.day_form import DAY_FORMS
from fleet.figures.roll_up import in_form
from fleet.reports.landed import hour_name
from infra.mongo import day_roll_ups
from infra.mongo.packed import pack
from laptop import ports
from laptop.services import mongo

DAYS = 366
START = datetime(2025, 11, 24, tzinfo=UTC)
FIRST_DAY = int(START.timestamp()) // 86_400
NAMES = (
    *("alerts-by-country?", "alerts-by-part-of-day?", "averages?", "alerts-by-weekday?", "alerts-by-peace-score?"),
    *("series?group=month&", "alerts-by-part-of-day?country=Country%20007&"),
)


def fill(database: Any) -> None:
    """The roll-ups, and the hour documents of the first and the last hour, which bound what is known."""
    day_roll_ups.ensure_indexes(database)
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        random = np.random.default_rng(day)
        hours = [HOURS.from_document(cells(day * 24 + hour, random.integers(50, 500, CELLS))) for hour in range(24)]
        whole = HOURS.merge(hours)
        document: dict[str, Any] = {
            "_id": (START + timedelta(days=day - FIRST_DAY)).date().isoformat(),
            "day": day,
            "sources": "bench",
            "hours": list(range(day * 24, day * 24 + 24)),
            "versions": [0] * 24,
        }
        document.update(day_roll_ups.nested({form: pack(in_form(whole, form)) for form in DAY_FORMS}))
        database[day_roll_ups.NAME].insert_one(document)
    for hour in (FIRST_DAY * 24, (FIRST_DAY + DAYS) * 24 - 1):
        of_hour = cells(hour, np.full(CELLS, 50))
        database.hours.insert_one({"_id": hour_name(hour), "event_hour": hour, "version": 0, "cells": of_hour})
    database.runs.insert_one({"kind": "hours", "state": "complete", "version": 0, "started_at": datetime.now(UTC)})


def _range(days_less: int) -> str:
    """Each another one, so that no answer is given from the cache of answers."""
    return f"from={START:%Y-%m-%d}&to={START + timedelta(days=DAYS - 1 - days_less % 30):%Y-%m-%d}"


def timed(client: httpx.Client, path: str, server: psutil.Process) -> tuple[float, float]:
    """Milliseconds of one answer, and of the server's processor: a busy machine changes the second little."""
    began, before = time.perf_counter(), processor(server)
    client.get(path).raise_for_status()
    return (time.perf_counter() - began) * 1000, (processor(server) - before) * 1000


def ready(url: str) -> None:
    """Until it answers what needs no figures, and has read the newest days."""
    for _ in range(1200):
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/healthz", timeout=10).status_code == 200:
                time.sleep(3)
                return
        time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 5
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder), ports.free_port()
        database = mongo.start(home, ports.free_port())
        environment = {**os.environ, "PEACEWATCH_MONGO_URI": database.uri, "PEACEWATCH_WEB_PORT": str(port)}
        environment |= {"PEACEWATCH_KAFKA_BOOTSTRAP": "127.0.0.1:9", "PEACEWATCH_API_RATE_LIMIT": "1000000 per second"}
        url = f"http://127.0.0.1:{port}/api/v1/statistics"
        try:
            with MongoClient[dict[str, Any]](database.uri, tz_aware=True) as stored:
                documents = stored.get_default_database()
                fill(documents)
                size = documents.command("collstats", day_roll_ups.NAME)["size"]
                print(f"{DAYS} roll-ups, {size / 1e6:.0f} MB\n")
                print("| statistic | cold ms | of processor | warm ms | of processor |\n|---|---|---|---|---|")
                for name in NAMES:
                    cold, warm = [], []
                    for number in range(rounds):
                        with (
                            process(["serve"], environment, home / "serve.log") as server,
                            httpx.Client(timeout=300) as client,  # made before the clock starts: that takes 40 ms
                        ):
                            ready(url.removesuffix("/api/v1/statistics"))
                            first, *others = (f"{url}/{name}{_range(number * 9 + each)}" for each in range(8))
                            cold.append(timed(client, first, server))
                            warm += [timed(client, each, server) for each in others]
                    columns = [statistics.median(column) for each in (cold, warm) for column in zip(*each, strict=True)]
                    print(f"| {name} | {' | '.join(f'{column:.0f}' for column in columns)} |", flush=True)
        finally:
            database.kill()


if __name__ == "__main__":
    main()
