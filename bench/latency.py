"""From a report's sending to its message in the Discord stand-in, at the mission's rate, with landing running too.

    python -m bench.latency [--seconds 90] [--rate 9000]

Six new incidents a minute, one each ten seconds; every other alert (1 % of all reports) folds into open ones. Measured
is the first message of each new incident. Prints a table; the stages come from the broker's times of report and alert,
which are whole milliseconds. Twenty minutes give 120 incidents; of so few the longest says more than any p99.9.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from bench.background import quantiles
from bench.feed import PLACES
from bench.machine import machine
from tests.support.alert_stack import AlertStack, alert_stack, report
from tests.support.kafka_messages import messages

EVERY_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--rate", type=int, default=9000)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as home, alert_stack(Path(home)) as stack:
        for command in ("alerting", "notify", "land"):
            stack.start(command)
        stack.alarm(PLACES, PLACES)
        stack.wait(lambda: stack.notified == PLACES)
        pids = {"broker": stack.broker.pid, **{name: child.pid for name, child in stack.running.items()}}
        before = {name: cpu(pid) for name, pid in pids.items()}
        rate_and_length = (str(options.rate), str(options.seconds))
        feed_command = [sys.executable, "-m", "bench.feed", stack.broker.address, *rate_and_length]
        with subprocess.Popen(feed_command, stdout=subprocess.PIPE) as feed:
            sent = probe(stack, feed)
            assert feed.stdout is not None
            fed = json.loads(feed.stdout.read())
        spent = {name: (cpu(pid) - before[name]) / fed["seconds"] for name, pid in pids.items()}
        spent["load generator"] = fed["cpu"]
        stack.wait(lambda: all(any(f"{city}," in str(m) for m in stack.messages()) for city in sent))
        print(f"\n{fed['sent'] / fed['seconds']:.0f} reports/s for {fed['seconds']:.0f} s, {len(sent)} new incidents")
        table(stack, sent)
        print("| CPU | " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in spent.items()) + " |")


def cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def probe(stack: AlertStack, feed: subprocess.Popen[bytes]) -> dict[str, datetime]:
    """When the first alert of each new place was sent, until the feed ends."""
    sent: dict[str, datetime] = {}
    began = time.monotonic()
    while feed.poll() is None:
        due = began + EVERY_SECONDS * (len(sent) + 0.5)
        if time.monotonic() < due:
            time.sleep(min(0.1, due - time.monotonic()))
            continue
        city = f"New place {len(sent)}"
        alarming = report(len(sent), city=city, report_id=f"new{len(sent)}", score=1)
        sent[city] = datetime.now(UTC)
        stack.send([alarming])
    return sent


def table(stack: AlertStack, sent: dict[str, datetime]) -> None:
    taken: list[float] = []
    stages: dict[str, list[float]] = {}
    for stage in ("report on the broker", "alert on the broker", "message in the channel"):
        stages[stage] = []
    appended = {**times(stack, "reports"), **times(stack, "alerts")}
    for city, began in sent.items():
        posted = min(datetime.fromisoformat(m["timestamp"]) for m in stack.messages() if f"{city}," in str(m))
        taken.append(ms(posted - began))
        report_at, alert_at = appended["reports", city], appended["alerts", city]
        stages["report on the broker"].append(ms(report_at - began))
        stages["alert on the broker"].append(ms(alert_at - report_at))
        stages["message in the channel"].append(ms(posted - alert_at))
    print("| | p50 | p99 | longest |")
    print("|---|---|---|---|")
    for name, values in {"report sent to message": taken, **stages}.items():
        print(f"| {name} | {quantiles(values, '{:.1f} ms')} |")


def ms(duration: timedelta) -> float:
    return duration.total_seconds() * 1000


def times(stack: AlertStack, topic: str) -> dict[tuple[str, str], datetime]:
    """The broker's time of the first message of each new place."""
    first_times: dict[tuple[str, str], datetime] = {}
    for record in messages(stack.broker.address, topic):
        if b"New place" in record.value:
            at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
            first_times.setdefault((topic, json.loads(record.value)["city"]), at)
    return first_times


if __name__ == "__main__":
    main()
