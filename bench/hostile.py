"""Honest alerts and landing, alone and during each flood that one sender can make with the right to write to `reports`.

    script/bench hostile [--seconds 60] [--only NAME]

Each row has services of its own: the commands alerting, notify and land on a real Kafka, and the stand-in with
Discord's limits. The fleet has known the honest drones for long. One of them raises a critical alert in a new city
every HONEST_SECONDS; its latency is from sending the report to Discord's answer for a message that shows or counts it.
`named`: how many of these cities people can read in the channel. The landing rate is that of a backlog of honest
reports, sent when the flood begins. Prints a table.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from bench.background import background, quantiles
from bench.machine import machine
from infra.kafka import clients
from tests.support.alert_stack import AlertStack, alert_stack, report
from tests.support.landing import landed

HONEST_SECONDS: Final = 6.0
"""Ten alerts a minute: the notifier itself posts twelve new messages in any minute."""

BACKLOG: Final = 60_000
WAIT_SECONDS: Final = 180.0
FLOODED: Final = 0
"""The partition that floods are on, where the table of attacks says one partition."""

Message = dict[str, Any]


@dataclass(frozen=True)
class Flood:
    """`messages` makes those of the step of a number; a step begins every `every` seconds."""

    messages: Callable[[int], list[Message]] = lambda _step: []
    every: float = 1.0
    partition: int | None = FLOODED
    producer: dict[str, Any] = field(default_factory=dict)


def control_text(chance: random.Random, length: int) -> str:
    return "".join(chance.choice("\x01\x02\x03\x04\x05\x06\x07\x0e\x0f") for _ in range(length))


def control_characters(step: int) -> list[Message]:
    """Fifteen alerts a second whose texts are six bytes of JSON a character."""
    chance = random.Random(step)
    names = [{"name": f"{control_text(chance, 99)}{n}", "peace_score": 1} for n in range(3)]
    return [
        report(
            number,
            report_id=f"{number:04}{control_text(chance, 196)}",
            drone_id="\x01" * 200,
            message=control_text(chance, 1000),
            citizens=names,
            city=f"{number:04}{control_text(chance, 196)}",
            country=control_text(chance, 200),
        )
        for number in range(15 * step, 15 * step + 15)
    ]


def quiet(number: int, **changes: Any) -> Message:
    return report(number, **{"alert": False, "drone_id": "flood", "report_id": f"flood-{number}", **changes})


def low_drones(step: int) -> list[Message]:
    """Fifteen invented drones a second with an empty battery and ids of 200 control characters."""
    chance = random.Random(step)
    return [
        quiet(n, battery=1.0, drone_id=f"{n:04}{control_text(chance, 196)}") for n in range(15 * step, 15 * step + 15)
    ]


def long_countries(step: int) -> list[Message]:
    """A thousand country names of 800 bytes a second from one drone."""
    first = 1000 * step
    return [quiet(n, country=f"{n:06}" + chr(0x1F300 + n % 500) * 194, city="x") for n in range(first, first + 1000)]


def large_batch(step: int) -> list[Message]:
    """A batch of 300 messages of a megabyte, 30 kB on the wire."""
    return [quiet(300 * step + n, message="x" * 1_000_000) for n in range(300)]


def distinct_hours(step: int) -> list[Message]:
    """Twenty-five reports a second, each of an hour of its own."""
    start, first = datetime(2020, 1, 1, tzinfo=UTC), 25 * step
    return [quiet(n, reported_at=(start + timedelta(hours=n)).isoformat()) for n in range(first, first + 25)]


def silent_drones(step: int) -> list[Message]:
    """Fifty-one drones at once that speak once and fall silent, and five more each second."""
    first = 0 if step == 0 else 51 + 5 * step
    now = datetime.now(UTC).isoformat()
    return [quiet(n, drone_id=f"silent-{n}", reported_at=now) for n in range(first, first + (51 if step == 0 else 5))]


def critical_alerts(step: int) -> list[Message]:
    """Two critical alerts a second from one drone, each in an invented city."""
    return [report(n, score=1, drone_id="flooder", city=f"Invented {n}") for n in (2 * step, 2 * step + 1)]


def invented_drones(step: int) -> list[Message]:
    """Two hundred alerts a second, each of an invented drone in an invented place: more than alerting raises of them
    would show how fast it is, not who goes first."""
    first = 200 * step
    return [report(n, score=1, drone_id=f"invented-{n}", city=f"Invented {n}") for n in range(first, first + 200)]


FLOODS: Final[dict[str, Flood]] = {
    "nobody": Flood(),
    "alerts of control characters, 15/s": Flood(control_characters),
    "invented low drones, 15/s": Flood(low_drones),
    "country names of 800 bytes, 1,000/s": Flood(long_countries, producer={"batch_size": 900_000}),
    "zstd batches of 300 MB, one in 20 s": Flood(
        large_batch,
        every=20.0,
        producer={
            "compression_type": "zstd",
            "batch_size": 400_000_000,
            "max_request_size": 400_000_000,
            "linger_ms": 3000,
        },
    ),
    "reports of distinct hours, 25/s": Flood(distinct_hours),
    "drones that speak once, 51 and 5/s": Flood(silent_drones),
    "critical alerts of one drone, 2/s": Flood(critical_alerts, partition=None),
    "invented drones in invented places, 200/s": Flood(invented_drones, partition=None),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--only", choices=[*FLOODS], action="append")
    options = parser.parse_args()
    print(machine())
    print("\n| flood | honest alerts | named | p50 | p99 | longest | landed, reports/s |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in options.only or FLOODS:
        with tempfile.TemporaryDirectory() as folder:
            print(f"| {name} | {measure(Path(folder), FLOODS[name], options.seconds)} |", flush=True)


def measure(home: Path, flood: Flood, seconds: float) -> str:
    lake = home / "lake"
    environ = {
        "PEACEWATCH_LAKE": str(lake),
        "PEACEWATCH_MONGO_URI": "mongodb://127.0.0.1:1/peacewatch?serverSelectionTimeoutMS=500",
    }
    with alert_stack(home, **environ) as stack:
        stack.remember(f"honest-{number}" for number in range(int(seconds / HONEST_SECONDS) + 1))
        for command in ("alerting", "notify", "land"):
            stack.start(command)
        stack.alarm(1)
        stack.wait(lambda: stack.notified == 1, 120)
        with running(stack, flood):
            began = time.monotonic()
            backlog(stack)
            counter = Landed(lake, began)
            sent = honest_alerts(stack, seconds)
            rate = counter.rate()
            latencies = notified_after(stack, sent)
        messages = str(stack.messages())
    named = sum(f"{city}," in messages for city in sent)
    return f"{len(latencies)} of {len(sent)} | {named} | {quantiles(latencies, '{:.2f} s')} | {rate}"


def running(stack: AlertStack, flood: Flood) -> AbstractContextManager[None]:
    """The flood, from a thread of its own."""

    def run(ends: threading.Event) -> None:
        settings = {"max_request_size": 8_000_000, **flood.producer}
        with closing(clients.producer(stack.broker.address, **settings)) as producer:
            step, began = 0, time.monotonic()
            while not ends.wait(max(0.0, began + step * flood.every - time.monotonic())):
                for message in flood.messages(step):
                    value = json.dumps(message).encode()
                    producer.send("reports", value, key=message["drone_id"].encode(), partition=flood.partition)
                producer.flush()
                step += 1

    return background(run)


def backlog(stack: AlertStack) -> None:
    """Honest reports on all partitions."""
    with closing(clients.producer(stack.broker.address, batch_size=256_000, **clients.IDEMPOTENT)) as producer:
        for number in range(BACKLOG):
            drone = f"backlog-{number % 5000}"
            value = quiet(number, drone_id=drone, report_id=f"b{number}", city="Paris", country="France")
            producer.send("reports", json.dumps(value).encode(), key=drone.encode())
        producer.flush()


class Landed:
    """Watches, from a thread of its own, when the whole backlog is in the lake."""

    def __init__(self, lake: Path, began: float) -> None:
        self._lake, self._began, self._seconds = lake, began, float("nan")
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def rate(self) -> str:
        self._thread.join(WAIT_SECONDS)
        return f"{BACKLOG / self._seconds:,.0f}"

    def _watch(self) -> None:
        while time.monotonic() - self._began < WAIT_SECONDS:
            time.sleep(0.5)
            if not (self._lake / "reports" / "_delta_log").exists():
                continue
            if landed(self._lake, "count(*)", "where drone_id like 'backlog-%'") == [(BACKLOG,)]:
                self._seconds = time.monotonic() - self._began
                return


def honest_alerts(stack: AlertStack, seconds: float) -> dict[str, datetime]:
    """When the alert of each honest city was sent."""
    sent: dict[str, datetime] = {}
    began = time.monotonic()
    while (due := HONEST_SECONDS * (len(sent) + 0.5)) < seconds:
        time.sleep(max(0.0, began + due - time.monotonic()))
        number = len(sent)
        city = f"Honest {number} city"
        sent[city] = datetime.now(UTC)
        at = sent[city].isoformat()
        stack.send(
            [report(number, score=1, drone_id=f"honest-{number}", report_id=f"h{number}", city=city, reported_at=at)]
        )
    return sent


def notified_after(stack: AlertStack, sent: dict[str, datetime]) -> list[float]:
    """Seconds until Discord had taken a message that shows or counts each honest alert."""
    deadline = time.monotonic() + WAIT_SECONDS
    latencies: dict[str, float] = {}
    while latencies.keys() != sent.keys() and time.monotonic() < deadline:
        for delivery in stack.read("deliveries"):
            for index in set(delivery["alert_incidents"]):
                city = delivery["incidents"][index]["city"]
                if city in sent and city not in latencies:
                    taken = datetime.fromisoformat(delivery["delivered_at"]) - sent[city]
                    latencies[city] = taken.total_seconds()
        time.sleep(1.0)
    return list(latencies.values())


if __name__ == "__main__":
    main()
