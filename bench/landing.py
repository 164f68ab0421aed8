"""How many reports a second one landing process takes from the broker to committed table, and what the limit is.

    script/bench landing [REPORTS [BYTES ...]]        1,000,000 reports of 258 and of 1,024 bytes

The same topic, one after the other: a plain kafka-python loop that only counts; `peacewatch land` with validation,
deduplication, rejected messages and live views; Spark Structured Streaming's Kafka to Parquet. Each runs alone with
the broker and MongoDB. Rates are over the time from the first read to the last commit; the start has a column.
CPU is that of the process after its start, of Spark with its start; a busy machine changes it less.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
from deltalake import DeltaTable
from kafka import TopicPartition

from bench.machine import machine
from fleet import topics
from infra.kafka import clients
from laptop import ports
from laptop.services import kafka, mongo

SPARK_PACKAGE = "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
CITIES = [("Berlin", "Germany"), ("Paris", "France"), ("東京", "日本"), ("Lagos", "Nigeria"), ("Lima", "Peru")]


@dataclass
class Result:
    name: str
    reports: int
    start_seconds: float
    seconds: float
    cpu_seconds: float | None
    megabytes: float

    def line(self) -> str:
        rate = self.reports / self.seconds
        cpu = "" if self.cpu_seconds is None else f"{self.cpu_seconds / self.reports * 1e6:.1f}"
        return (
            f"| {self.name} | {self.reports:,} | {self.start_seconds:.1f} | {self.seconds:.1f} | {rate:,.0f} "
            f"| {cpu} | {self.megabytes:,.0f} |"
        )


def messages(count: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of reports of `size` bytes: 20,000 drones, one report a minute, 1 % alerts."""
    at = datetime.now(UTC) - timedelta(hours=1)
    for n in range(count):
        drone = f"d{n % 20_000}"
        city, country = CITIES[n % 20_000 % len(CITIES)]
        head = (
            f'{{"report_id":"{n}","drone_id":"{drone}","reported_at":"{(at + timedelta(milliseconds=n)).isoformat()}",'
            f'"latitude":{n % 90}.85,"longitude":2.35,"battery":{n % 100}.5,"citizens":[{{"name":"Ada Lovelace",'
            f'"peace_score":{1 + n % 10}}}],"alert":{"true" if n % 100 == 0 else "false"},"country":"{country}",'
            f'"city":"{city}","message":"'
        ).encode()
        words = f"voice {n % 977} was heard in the street " * 40
        yield drone.encode(), head + words[: max(0, size - len(head) - 2)].encode() + b'"}'


def fill(bootstrap: str, count: int, size: int) -> float:
    """Sends them; the mean size of a message in bytes."""
    total = 0
    producer = clients.producer(
        bootstrap, compression_type="lz4", batch_size=512 * 1024, linger_ms=50, **clients.IDEMPOTENT
    )
    with closing(producer):
        for key, value in messages(count, size):
            producer.send(topics.REPORTS, value, key=key)
            total += len(value)
        producer.flush()
    return total / count


def count(bootstrap: str) -> None:
    """The plain loop, in a process of its own: prints seconds from the first message to the last."""
    consumer = clients.consumer(
        bootstrap, enable_auto_commit=False, max_poll_records=5000, max_partition_fetch_bytes=4 << 20
    )
    partitions = [TopicPartition(topics.REPORTS, n) for n in consumer.partitions_for_topic(topics.REPORTS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    left = sum(consumer.end_offsets(partitions).values())
    began = cpu = 0.0
    while left:
        polled = consumer.poll(timeout_ms=500)
        if not began:
            began, cpu = time.perf_counter(), time.process_time()
        left -= sum(len(records) for records in polled.values())
    print(json.dumps({"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}))


@contextmanager
def watched(command: list[str], env: dict[str, str], log: Path) -> Iterator[tuple[psutil.Process, dict[str, float]]]:
    """A child, and its peak memory in MB and CPU seconds, its own children's with them, as `sample` last saw them."""
    with log.open("wb") as out:
        child = psutil.Popen(command, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT)
    peak = {"megabytes": 0.0, "cpu": 0.0}
    try:
        yield child, peak
    finally:
        with suppress(psutil.NoSuchProcess):
            for process in [*child.children(recursive=True), child]:
                process.kill()
        child.wait()


def sample(child: psutil.Process, peak: dict[str, float]) -> None:
    try:
        family = [child, *child.children(recursive=True)]
        peak["megabytes"] = max(peak["megabytes"], sum(one.memory_info().rss for one in family) / 1e6)
        peak["cpu"] = max(peak["cpu"], sum(sum(one.cputimes()[:2]) for one in family))
    except psutil.NoSuchProcess:
        return


def run_count(bootstrap: str, reports: int, folder: Path) -> Result:
    log, began = folder / "count.log", time.perf_counter()
    with watched([sys.executable, "-m", "bench.landing", "--count", bootstrap], {}, log) as (child, peak):
        while child.poll() is None:
            sample(child, peak)
            time.sleep(0.1)
    figures = json.loads(log.read_text().splitlines()[-1])
    start = time.perf_counter() - began - figures["seconds"]
    return Result("kafka-python, counts only", reports, start, figures["seconds"], figures["cpu"], peak["megabytes"])


def run_landing(bootstrap: str, mongo_uri: str, reports: int, folder: Path) -> Result:
    log, lake = folder / "land.log", folder / "lake"
    env = {
        "PEACEWATCH_KAFKA_BOOTSTRAP": bootstrap,
        "PEACEWATCH_LAKE": str(lake),
        "PEACEWATCH_MONGO_URI": mongo_uri,
    }
    began = datetime.now(UTC)
    with watched([sys.executable, "-m", "cli", "land"], env, log) as (child, peak):
        while _landed(log.read_text()) < reports:
            assert child.poll() is None, log.read_text()
            sample(child, peak)
            if "cpu at start" not in peak and "partitions assigned" in log.read_text():
                peak["cpu at start"] = peak["cpu"]
            time.sleep(0.1)
        sample(child, peak)
    text = log.read_text()
    first = times(text, "partitions assigned")[0]
    last = times(text, "event=committed")[-1]
    assert DeltaTable(lake / "reports").count() == reports
    return Result(
        "peacewatch land",
        reports,
        (first - began).total_seconds(),
        (last - first).total_seconds(),
        peak["cpu"] - peak["cpu at start"],
        peak["megabytes"],
    )


def _landed(text: str) -> int:
    return sum(int(found) for found in re.findall(r"event=committed.* reports=(\d+)", text))


def times(text: str, event: str) -> list[datetime]:
    return [datetime.fromisoformat(found) for found in re.findall(rf"timestamp=(\S+) .*{event}\b", text)]


def run_spark(bootstrap: str, reports: int, folder: Path) -> list[Result]:
    """All of it, and without its first batch; CPU and memory are those of all."""
    log, began = folder / "spark.log", time.perf_counter()
    command = [sys.executable, "-m", "bench.landing_spark", SPARK_PACKAGE, bootstrap, str(folder / "spark")]
    with watched(command, {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}, log) as (child, peak):
        while child.poll() is None:
            sample(child, peak)
            time.sleep(0.2)
        assert child.returncode == 0, log.read_text()[-3000:]
    figures: dict[str, Any] = json.loads(log.read_text().splitlines()[-1])
    assert figures["rows"] == reports, figures
    total = time.perf_counter() - began - figures["counting"]
    name, start = "Spark Structured Streaming", total - figures["seconds"]
    return [
        Result(name, reports, start, figures["seconds"], peak["cpu"], peak["megabytes"]),
        Result(
            f"{name}, without its first batch",
            figures["warm_rows"],
            start,
            figures["warm_seconds"],
            None,
            peak["megabytes"],
        ),
    ]


def measure(reports: int, size: int) -> None:
    with tempfile.TemporaryDirectory(prefix="peacewatch-bench-") as made:
        folder = Path(made)
        broker = kafka.start(folder, ports.free_port())
        database = mongo.start(folder, ports.free_port())
        try:
            kafka.create_topics(broker.address)
            mean = fill(broker.address, reports, size)
            print(f"\n{reports:,} reports of {mean:.0f} bytes, 6 partitions\n")
            print("| what | reports | start s | seconds | reports/s | CPU µs a report | peak MB |")
            print("|---|---|---|---|---|---|---|")
            print(run_count(broker.address, reports, folder).line(), flush=True)
            print(run_landing(broker.address, database.uri, reports, folder).line(), flush=True)
            if "--no-spark" not in sys.argv:
                for result in run_spark(broker.address, reports, folder):
                    print(result.line(), flush=True)
        finally:
            broker.kill()
            database.kill()


if __name__ == "__main__":
    if "--count" in sys.argv:
        count(sys.argv[-1])
    else:
        numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
        print(machine())
        for wanted in numbers[1:] or [258, 1024]:
            measure(numbers[0] if numbers else 1_000_000, wanted)
