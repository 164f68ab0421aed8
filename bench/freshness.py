"""From a report's sending to its figure in the API, at the mission's rate.

    python -m bench.freshness [--seconds 90] [--rate 9000]

Every few seconds one report of a country that nobody has named before is sent; `alerts-by-country` of that country is
asked, ten times a second, until it counts the report. Alerting does not run: it is not on this way.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bench.background import quantiles
from bench.machine import machine
from laptop import ports
from laptop.services import mongo
from tests.support.alert_stack import AlertStack, report

EVERY_SECONDS = 1.7
"""No part of the 5 s between commits: the probes fall everywhere between two."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--rate", type=int, default=9000)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home:
        database, port = mongo.start(Path(home), ports.free_port()), ports.free_port()
        environ = {"PEACEWATCH_MONGO_URI": database.uri, "PEACEWATCH_WEB_PORT": str(port)}
        with closing(AlertStack(Path(home), **environ)) as stack, httpx.Client() as client:
            stack.start("land")
            stack.start("serve")
            address = f"http://127.0.0.1:{port}/api/v1/statistics/alerts-by-country"
            taken = measure(stack, client, address, options.rate, options.seconds)
        database.kill()
    row = quantiles(taken, "{:.1f} s")
    print(f"\n{options.rate} reports/s asked for, {len(taken)} probes\n\n| | p50 | p99 | longest |\n|---|---|---|---|")
    print(f"| report sent to figure in the API | {row} |")


def measure(stack: AlertStack, client: httpx.Client, address: str, rate: int, seconds: float) -> list[float]:
    """Seconds from the sending of each probe until the API counts it."""
    figure(stack, client, address, "First")  # everything runs
    command = [sys.executable, "-m", "bench.feed", stack.broker.address, str(rate), str(seconds)]
    taken: list[float] = []
    with subprocess.Popen(command) as feed:
        while feed.poll() is None:
            taken.append(figure(stack, client, address, f"New country {len(taken)}"))
            time.sleep(EVERY_SECONDS)
    return taken


def figure(stack: AlertStack, client: httpx.Client, address: str, country: str) -> float:
    began = time.monotonic()
    stack.send([report(0, country=country, report_id=f"{country} {datetime.now(UTC)}")])
    while not counts(client, address, country):
        assert time.monotonic() - began < 120, stack.tail()
        time.sleep(0.1)
    return time.monotonic() - began


def counts(client: httpx.Client, address: str, country: str) -> bool:
    try:
        answer = client.get(address, params={"country": country})
    except httpx.HTTPError:
        return False
    return answer.is_success and any(row["country"] == country for row in answer.json()["countries"])


if __name__ == "__main__":
    main()
