"""What does the whole stack do on one machine at the mission's rate, and at the highest that it holds?

    script/bench mission [--seconds 600] [--rate 9000] [--only whole highest landers] [--reports 500000]
                         [--least-battery 25]

`whole`: Kafka, MongoDB, the stand-in, land, alerting, notify, record and serve at `--rate` for `--seconds`, with 20 API
requests a second all the time and an hourly run in the second half. It prints what was sent and landed, the lag, alert
latency (a new incident each ten seconds, from its report's sending to its message), API latency before and during the
hourly run, and CPU, memory and bytes written by process. `highest`: the same at the highest of the tried rates at which
the lag stays below LAG_SECONDS and the load generator, which has the same cores, keeps up. `landers`: how fast 1, 2 and
4 landing processes take `--reports` from as many partitions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psutil
from deltalake import DeltaTable
from kafka import TopicPartition

from bench import landing
from bench.background import quantiles
from bench.feed import LEAST_BATTERY
from bench.machine import machine
from bench.serving_load import at_rate
from fleet import topics
from infra.kafka import clients
from infra.kafka.topics import TOPICS, TopicSettings
from laptop import ports
from laptop.services import kafka, mongo
from tests.support.alert_stack import report
from tests.support.landing import unlanded
from tests.support.product import NOTHING, Product

COMMANDS: Final = ("land", "alerting", "notify", "record")
PROBE_SECONDS: Final = 10
SAMPLE_SECONDS: Final = 2
API_RATE: Final = 20
LAG_SECONDS: Final = 15
"""Landing commits each 5 s: a stack that holds its rate is 5 to 10 s behind, and more only for a moment."""

TRY_SECONDS: Final = 60.0
STEPS: Final = (1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""Times `--rate`: what is tried for the highest."""

KEPT_UP: Final = 0.97
"""The share of a rate that the load generator must send: below it the machine's cores are full."""

PATHS: Final = (
    "/api/v1/statistics/averages",
    "/api/v1/statistics/alerts-by-country",
    "/api/v1/statistics/alerts-by-part-of-day",
    "/api/v1/incidents",
)
SETTLE_SECONDS: Final = 300
MODES: Final = ("whole", "highest", "landers")


@dataclass
class Usage:
    """Of the processes, by name: most memory in MB, cores, bytes written. `lag`: seconds of reports not yet landed;
    `sent`: reports a second."""

    sent: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    lag: list[float] = field(default_factory=list)


class Stack:
    """The product and its services. `own`: variables of one command, by its name."""

    def __init__(self, home: Path, partitions: int = 6, own: Mapping[str, Mapping[str, str]] = NOTHING) -> None:
        self.broker = kafka.start(home, ports.free_port())
        settings = {**TOPICS, topics.REPORTS: TopicSettings(partitions, TOPICS[topics.REPORTS].config)}
        kafka.create_topics(self.broker.address, settings)
        self.database = mongo.start(home, ports.free_port())
        services = {"PEACEWATCH_KAFKA_BOOTSTRAP": self.broker.address, "PEACEWATCH_MONGO_URI": self.database.uri}
        self.home, self.product = home, Product(home, services, own)
        self.lake = home / "lake"

    def processes(self) -> dict[str, psutil.Process]:
        """By name."""
        children = {name: child.pid for name, child in self.product.running.items()}
        pids = {"Kafka": self.broker.pid, "MongoDB": self.database.pid, **children}
        return {name: psutil.Process(pid) for name, pid in pids.items()}

    def landed(self) -> int:
        location = str(self.lake / "reports")
        return DeltaTable(location).count() if DeltaTable.is_deltatable(location) else 0

    def close(self) -> None:
        self.product.close()
        self.broker.kill()
        self.database.kill()


@contextmanager
def running_stack(partitions: int = 6, own: Mapping[str, Mapping[str, str]] = NOTHING) -> Iterator[Stack]:
    with (
        tempfile.TemporaryDirectory(prefix="peacewatch-mission-") as home,
        closing(Stack(Path(home), partitions, own)) as stack,
    ):
        yield stack


def whole(rate: int, seconds: float, least_battery: float = LEAST_BATTERY, *, with_readers: bool = True) -> Usage:
    """Prints the tables. `with_readers`: the API's load and the hourly run, too."""
    with running_stack() as stack, ThreadPoolExecutor(2) as pool:
        product = stack.product
        product.start_standin()
        for command in COMMANDS:
            product.start(command)
        product.start_page()
        product.wait(lambda: "partitions assigned" in product.log("land").read_text(), 120, "the lander's start")
        cpu_before = {name: _cpu(process) for name, process in stack.processes().items()}
        written_before = {name: _written(process) for name, process in stack.processes().items()}
        line = [sys.executable, "-m", "bench.feed", stack.broker.address, str(rate), str(seconds), str(least_battery)]
        with subprocess.Popen(line, stdout=subprocess.PIPE) as feed:
            requests = pool.submit(_request, product.page, seconds) if with_readers else None
            hourly = pool.submit(_aggregate, product, seconds / 2) if with_readers else None
            usage, probes = _watch(stack, feed, rate)
            assert feed.stdout is not None
            fed = json.loads(feed.stdout.read())
        for name, process in stack.processes().items():
            usage.cores[name] = (_cpu(process) - cpu_before[name]) / fed["seconds"]
            usage.written[name] = _written(process) - written_before[name]
        usage.cores["load generator"] = fed["cpu"]
        usage.sent = fed["sent"] / fed["seconds"]
        fed_until = time.monotonic()
        while unlanded(stack.broker.address, topics.REPORTS, stack.lake):
            assert time.monotonic() - fed_until < SETTLE_SECONDS, product.tail()
            time.sleep(0.5)
        behind = time.monotonic() - fed_until
        print(f"\n### {usage.sent:,.0f} reports/s for {fed['seconds']:.0f} s ({rate:,}/s asked for)\n")
        print("| | p50 | p99 | longest |\n|---|---|---|---|")
        print(f"| lag of the lake while reports come | {quantiles(usage.lag, '{:.1f} s')} |")
        print(
            f"| alert, {len(probes)} of them, sent to message | {quantiles(_latencies(product, probes), '{:.1f} s')} |"
        )
        if requests is not None:
            for name, taken in zip(("before the hourly run", "during it"), requests.result(), strict=True):
                print(f"| API, {API_RATE} requests/s, {name} | {quantiles(taken, '{:.3f} s')} |")
        print(f"\nAll {fed['sent']:,} reports had landed {behind:.1f} s after the last was sent.")
        if hourly is not None:
            print("The hourly run took {:.1f} s ({}).".format(*hourly.result()))
        received, total = _received_bytes(stack.broker.address), sum(usage.written.values())
        print(
            f"{received / 1e6:,.0f} MB came, {total / 1e6:,.0f} MB were written: {total / received:.2f} bytes a byte."
        )
        _print_usage(usage)
    return usage


def _print_usage(usage: Usage) -> None:
    print("\n| process | CPU, cores | most memory, MB | written, MB |\n|---|---|---|---|")
    for name, cores in usage.cores.items():
        memory = f"{usage.memory[name]:,.0f}" if name in usage.memory else ""
        written = f"{usage.written[name] / 1e6:,.0f}" if name in usage.written else ""
        print(f"| {name} | {cores:.2f} | {memory} | {written} |")


def _watch(stack: Stack, feed: subprocess.Popen[bytes], rate: int) -> tuple[Usage, dict[str, datetime]]:
    """Until the feed ends: lag and memory, and when the first alert of each new place was sent."""
    usage, probes = Usage(), dict[str, datetime]()
    began = sample_at = time.monotonic()
    with (
        closing(clients.consumer(stack.broker.address, enable_auto_commit=False)) as consumer,
        closing(clients.producer(stack.broker.address, linger_ms=0)) as producer,
    ):
        partitions = [TopicPartition(topics.REPORTS, n) for n in consumer.partitions_for_topic(topics.REPORTS)]
        while feed.poll() is None:
            now = time.monotonic()
            if now >= began + PROBE_SECONDS * (len(probes) + 0.5):
                city = f"New place {len(probes)}"
                alarming = report(len(probes), city=city, report_id=f"new{len(probes)}", score=1)
                probes[city] = datetime.now(UTC)
                producer.send(topics.REPORTS, json.dumps(alarming).encode(), key=alarming["drone_id"].encode())
                producer.flush()
            if now >= sample_at:
                sample_at = now + SAMPLE_SECONDS
                unlanded_reports = sum(consumer.end_offsets(partitions).values()) - stack.landed()
                usage.lag.append(max(0, unlanded_reports) / rate)
                for name, process in stack.processes().items():
                    usage.memory[name] = max(usage.memory.get(name, 0.0), process.memory_info().rss / 1e6)
            time.sleep(0.05)
    return usage, probes


def _request(page: str, seconds: float) -> tuple[list[float], list[float]]:
    """Seconds of each answer in the first half, and in the second, in which the hourly run is."""
    first = at_rate(page, list(PATHS), API_RATE, seconds / 2, 4)
    return first, at_rate(page, list(PATHS), API_RATE, seconds / 2, 4)


def _aggregate(product: Product, after: float) -> tuple[float, str]:
    """Seconds that the run took, and its first line."""
    time.sleep(after)
    began = time.monotonic()
    done = product.run("aggregate", "--views", "hours", seconds=3600)
    return time.monotonic() - began, done.stdout.splitlines()[0]


def _latencies(product: Product, probes: dict[str, datetime]) -> list[float]:
    """Seconds from the sending of a new place's first alert to its message."""
    posted, until = dict[str, datetime](), time.monotonic() + SETTLE_SECONDS
    while probes.keys() - posted.keys():
        assert time.monotonic() < until, f"no message names {probes.keys() - posted.keys()}"
        for line in (product.home / "discord" / "log.jsonl").read_text(encoding="utf-8").splitlines():
            change = json.loads(line).get("change") or {}
            if change.get("kind") in ("post", "edit"):
                text, at = json.dumps(change["message"]), datetime.fromisoformat(change["at"])
                for city in probes:
                    if f"{city}," in text:
                        posted.setdefault(city, at)
        time.sleep(0.5)
    return [(posted[city] - sent).total_seconds() for city, sent in probes.items()]


def _received_bytes(bootstrap: str) -> int:
    """Keys and values of all reports: the mean of a sample of each partition's first, times their number."""
    with closing(clients.consumer(bootstrap, enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topics.REPORTS, n) for n in consumer.partitions_for_topic(topics.REPORTS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        count = sum(consumer.end_offsets(partitions).values())
        sample: list[Any] = []
        while not sample:
            sample = [record for records in consumer.poll(timeout_ms=5000).values() for record in records]
    return round(count * sum(len(record.value) + len(record.key) for record in sample) / len(sample))


def highest(rate: int, seconds: float) -> None:
    """Tries STEPS, TRY_SECONDS each, and measures the highest whose lag stays small for `seconds`."""
    held = rate
    for step in STEPS:
        usage = whole(round(rate * step), TRY_SECONDS, with_readers=False)
        if max(usage.lag) > LAG_SECONDS or usage.sent < KEPT_UP * rate * step:
            break
        held = round(rate * step)
    print(f"\nThe highest of the tried rates that is held: {held:,}/s")
    if held != rate:
        whole(held, seconds)


def landers(reports: int) -> None:
    """How fast so many landers take `reports` from as many partitions."""
    print("\n| landers and partitions | reports | seconds | reports/s |\n|---|---|---|---|")
    for count in (1, 2, 4):
        with running_stack(count) as stack:
            landing.fill(stack.broker.address, reports, 258)
            began = time.monotonic()
            names = [f"land:{number}" for number in range(count)]
            for name in names:
                stack.product.start("land", name)
            while stack.landed() < reports:
                assert time.monotonic() - began < 20 * 60, stack.product.tail()
                time.sleep(0.2)
            logs = "\n".join(stack.product.log(name).read_text() for name in names)
            starts, ends = landing.times(logs, "partitions assigned"), landing.times(logs, "event=committed")
            seconds = (max(ends) - min(starts)).total_seconds()
            print(f"| {count} | {reports:,} | {seconds:.1f} | {reports / seconds:,.0f} |", flush=True)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _written(process: psutil.Process) -> int:
    return int(process.io_counters().write_bytes)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=9000)
    parser.add_argument("--reports", type=int, default=500_000, help="for `landers`")
    parser.add_argument(
        "--least-battery", type=float, default=LEAST_BATTERY, help="5: 16 % of the drones are low, as on a first day"
    )
    parser.add_argument("--only", nargs="+", choices=MODES, default=MODES)
    options = parser.parse_args()
    print(machine())
    if "whole" in options.only:
        whole(options.rate, options.seconds, options.least_battery)
    if "highest" in options.only:
        highest(options.rate, options.seconds)
    if "landers" in options.only:
        landers(options.reports)


if __name__ == "__main__":
    main()
