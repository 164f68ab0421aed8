"""How fast the API answers an honest client while others are idle, slow and greedy, and what they cost in memory.

    script/bench hostile_web [SECONDS] [IDLE] [SLOW]        20 s of each load, 10,000 idle and 1,000 slow connections

`peacewatch serve` over two days of hour documents. Honest requests come at a fixed rate from one address, timed from
when each was due; idle connections have answered one request each and are kept; slow ones send a byte every two
seconds and come back when they are cut. Attackers have addresses of their own: all of 127/8 is this machine.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from pymongo import MongoClient

from bench.background import background
from bench.machine import machine
from bench.serving import hour_cells, memory, process, show, wait_ready
from bench.serving_load import at_rate
from fleet.reports.landed import hour_name
from laptop import ports
from laptop.services import mongo

RATE, THREADS, HOURS = 50, 8, 48
FIRST = 500_000 // 24 * 24
PATHS = [
    *(f"/api/v1/statistics/{name}" for name in ("averages", "alerts-by-country", "alerts-by-weekday")),
    "/api/v1/alerts?limit=20",
    "/healthz",
]
KEPT = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
HALF = b"GET /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
SLOW_SECONDS = 2.0
A_SOURCE = 5000
"""Connections from one address; it has some 28,000 ports."""


def connect(url: str, number: int) -> socket.socket:
    at = urlsplit(url)
    source = f"127.9.0.{1 + number // A_SOURCE}"
    return socket.create_connection((at.hostname, at.port), timeout=60, source_address=(source, 0))


@contextmanager
def idle(url: str, count: int) -> Iterator[None]:
    """`count` connections that have been used and are kept."""
    held = [connect(url, number) for number in range(count)]
    for connection in held:
        connection.sendall(KEPT)
    for connection in held:
        connection.recv(4096)
    try:
        yield
    finally:
        for connection in held:
            connection.close()


@contextmanager
def slow(url: str, count: int) -> Iterator[None]:
    """`count` connections with half a head, a byte more every SLOW_SECONDS; a new one for each that is cut."""

    def run(ends: threading.Event) -> None:
        held = [connect(url, 90_000 + number) for number in range(count)]
        for connection in held:
            connection.sendall(HALF)
        while not ends.wait(SLOW_SECONDS):
            for number, connection in enumerate(held):
                try:
                    connection.sendall(b"a")
                except OSError:
                    connection.close()
                    with suppress(OSError):
                        held[number] = connect(url, 90_000 + number)
                        held[number].sendall(HALF)
        for connection in held:
            connection.close()

    with background(run):
        time.sleep(SLOW_SECONDS)
        yield


def main() -> None:
    arguments = [int(argument) for argument in sys.argv[1:]]
    seconds, idles, slows = arguments + [20, 10_000, 1_000][len(arguments) :]
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        home, port = Path(folder), ports.free_port()
        database = mongo.start(home, ports.free_port())
        try:
            with MongoClient[dict[str, Any]](database.uri) as client:
                for hour in range(FIRST, FIRST + HOURS):
                    document = {
                        "_id": hour_name(hour),
                        "event_hour": hour,
                        "version": 0,
                        "cells": hour_cells(hour, hour),
                    }
                    client.get_default_database().hours.insert_one(document | {"cells": hour_cells(hour, hour)})
            environment = os.environ | {
                "PEACEWATCH_MONGO_URI": database.uri,
                "PEACEWATCH_WEB_PORT": str(port),
                "PEACEWATCH_HOME": folder,
                "PEACEWATCH_KAFKA_BOOTSTRAP": "127.0.0.1:1",
            }
            with process(["serve"], environment, home / "serve.log") as server:
                measure(f"http://127.0.0.1:{port}", server, seconds, idles, slows)
        finally:
            database.kill()


def measure(url: str, server: psutil.Process, seconds: float, idles: int, slows: int) -> None:
    wait_ready(url)
    print("| meanwhile | answers | p50 ms | p99 ms | worst ms | processor ms each |\n|---|---|---|---|---|---|")
    steady = partial(at_rate, url, PATHS, RATE, seconds, THREADS)
    at_rate(url, PATHS, RATE, 3, THREADS)
    show("nobody", server, steady)
    before = memory(server)
    with idle(url, idles):
        kib = (memory(server) - before) * 1024 / idles
        show(f"{idles:,} idle connections", server, steady)
        with slow(url, slows):
            show(f"{idles:,} idle and {slows:,} slow connections", server, steady)
    with slow(url, slows):
        show(f"{slows:,} slow connections", server, steady)
    print(f"\nan idle connection costs {kib:.1f} KiB; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
