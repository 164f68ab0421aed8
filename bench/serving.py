"""How fast the API answers over a month of 200 countries while a feed runs, and an event reaches 200 open pages.

    script/bench serving [SECONDS]        30 s of each load

Thirty days of hour documents and an hour of live documents, one more every five seconds while it is measured. Then (1)
the six statistics over the month, a country's, a week by hour and the alerts at 200 requests a second, timed from when
each was due; (2) as many as it takes; (3) as (1) with 200 event streams open; (4) alerts into Kafka, recorded by
`peacewatch record`, timed until each of the streams has them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from pymongo import MongoClient

from bench.machine import machine
from bench.serving_load import Feed, Streams, at_full_speed, at_rate
from bench.views import CELLS, cells
from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert
from fleet.reports.landed import hour_name
from infra.kafka import clients
from laptop import ports
from laptop.services import kafka, mongo

DAYS, LIVE_DOCUMENTS, STREAMS, RATE, THREADS = 30, 720, 200, 200, 16
START = datetime(2026, 10, 26, tzinfo=UTC)
FIRST = int(START.timestamp()) // 3600
NOW_HOUR = FIRST + DAYS * 24 - 1
MONTH = f"from={START:%Y-%m-%d}&to={START + timedelta(days=DAYS - 1):%Y-%m-%d}"
PATHS = [
    *(f"/api/v1/statistics/{name}?{MONTH}" for name in ("alerts-by-part-of-day", "alerts-by-country", "averages")),
    *(f"/api/v1/statistics/{name}?{MONTH}" for name in ("alerts-by-weekday", "low-battery", "alerts-by-peace-score")),
    f"/api/v1/statistics/alerts-by-part-of-day?{MONTH}&country=Country%20007",
    "/api/v1/statistics/series?group=hour&from=2026-11-18&to=2026-11-24&tz=Europe/Paris",
    "/api/v1/alerts?limit=20",
]


def hour_cells(hour: int, seed: int) -> dict[str, list[Any]]:
    """Cells of one hour."""
    return cells(hour, np.random.default_rng(seed).integers(50, 500, CELLS))


def fill(database: Any) -> None:
    """A month that batch has computed, and an hour of live documents after it."""
    for hour in range(FIRST, NOW_HOUR + 1):
        document = {"_id": hour_name(hour), "event_hour": hour, "version": 0, "cells": hour_cells(hour, hour)}
        database.hours.insert_one(document)
    database.runs.insert_one({"kind": "hours", "state": "complete", "version": 0, "started_at": datetime.now(UTC)})
    for version in range(1, LIVE_DOCUMENTS + 1):
        live = {"committed_at": datetime.now(UTC), "cells": hour_cells(NOW_HOUR, version)}
        database.live.insert_one({"_id": version, **live})


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[psutil.Process]:
    """A process of the product's own, ended afterwards."""
    with log.open("wb") as file:
        started = subprocess.Popen([sys.executable, "-m", "cli", *command], env=environment, stdout=file, stderr=file)
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            started.wait(20)


def wait_ready(url: str) -> float:
    """Seconds until the first whole answer of the month."""
    began = time.perf_counter()
    while time.perf_counter() - began < 400:
        try:
            if httpx.get(f"{url}{PATHS[0]}", timeout=300).status_code == 200:
                return time.perf_counter() - began
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def memory(server: psutil.Process) -> float:
    """MiB of the server and its worker."""
    return sum(process.memory_info().rss for process in (server, *server.children(recursive=True))) / 2**20


def processor(server: psutil.Process) -> float:
    """Seconds of processor that the server and its worker have used."""
    return sum(sum(process.cpu_times()[:2]) for process in (server, *server.children(recursive=True)))


def show(name: str, server: psutil.Process, load: Callable[[], list[float]]) -> int:
    """Runs the load and prints its row; how many answers there were."""
    before = processor(server)
    seconds = load()
    cost = (processor(server) - before) / len(seconds) * 1000
    p50, p99, worst = np.percentile(np.array(seconds) * 1000, [50, 99, 100])
    print(f"| {name} | {len(seconds):,} | {p50:.1f} | {p99:.1f} | {worst:.0f} | {cost:.2f} |", flush=True)
    return len(seconds)


def alerts(bootstrap: str, count: int) -> Iterator[str]:
    """Sends `count` alerts, twenty a second; yields the id of each as it goes."""
    producer = clients.producer(bootstrap, linger_ms=0)
    for number in range(count):
        now = datetime.now(UTC)
        name = f"unrest/bench/{number}"
        sent = Alert(name, "unrest", "high", "unrest/France/Lyon", str(number), "bench", now, now, "France", "Lyon")
        producer.send(topics.ALERTS, wire.encode(sent)).get(10)
        yield name
        time.sleep(0.05)
    producer.close()


def measure(url: str, server: psutil.Process, bootstrap: str, seconds: float) -> None:
    print("| what | answers | p50 ms | p99 ms | worst ms | processor ms each |\n|---|---|---|---|---|---|")
    at_rate(url, PATHS, 50, 5, THREADS)  # every answer once before it counts
    steady = partial(at_rate, url, PATHS, RATE, seconds, THREADS)
    show(f"{RATE} requests/s", server, steady)
    count = show("as many as it takes", server, partial(at_full_speed, url, PATHS, seconds, THREADS))
    before = memory(server)
    with Streams(url, STREAMS) as streams:
        kib = (memory(server) - before) * 1024 / STREAMS
        show(f"{RATE} requests/s with {STREAMS} event streams open", server, steady)
        late = partial(streams.times, alerts(bootstrap, int(seconds * 5)))
        show(f"alert in Kafka to event in {STREAMS} clients", server, late)
    print(
        f"\nhighest rate {count / seconds:.0f} requests/s from {THREADS} clients, load average {os.getloadavg()[0]:.1f}"
    )
    print(f"memory {before:.0f} MiB; one more viewer costs {kib:.0f} KiB")


def main() -> None:
    seconds = float(sys.argv[1]) if sys.argv[1:] else 30
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder), ports.free_port()
        database, broker = mongo.start(home, ports.free_port()), kafka.start(home, ports.free_port())
        kafka.create_topics(broker.address)
        environment = {**os.environ, "PEACEWATCH_MONGO_URI": database.uri, "PEACEWATCH_WEB_PORT": str(port)}
        environment |= {"PEACEWATCH_KAFKA_BOOTSTRAP": broker.address, "PEACEWATCH_API_RATE_LIMIT": "1000000 per second"}
        try:
            with MongoClient[dict[str, Any]](database.uri, tz_aware=True) as client:
                documents = client.get_default_database()
                fill(documents)
                with (
                    process(["serve"], environment, home / "serve.log") as server,
                    process(["record"], environment, home / "record.log"),
                ):
                    url = f"http://127.0.0.1:{port}"
                    print(f"cold start to the first answer over the month: {wait_ready(url):.1f} s\n")
                    with Feed(documents, NOW_HOUR, LIVE_DOCUMENTS + 1, hour_cells):
                        measure(url, server, broker.address, seconds)
        finally:
            database.kill()
            broker.kill()


if __name__ == "__main__":
    main()
