"""Ninety alerts a second over 3,000 places against the strict stand-in: is anybody notified late, twice, or not at all?

    python -m bench.storm [--minutes 10] [--rate 90] [--places 3000]

Prints a table. Everything is read from the broker's topics and the stand-in's own log.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from tests.support.alert_stack import AlertStack, alert_stack, alerts_of, report

SCORES = [1, 2, *[3] * 3, *[4] * 3, *[6] * 12]
"""One alert in ten is critical, three in ten are high, the rest is moderate."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=90)
    parser.add_argument("--places", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, alert_stack(Path(home)) as stack:
        stack.start("alerting")
        stack.start("notify")
        stack.alarm(1)
        stack.wait(lambda: stack.notified == 1)
        feed(stack, options.rate, options.minutes * 60, options.places)
        ended = time.time()
        stack.wait(lambda: len(set(stack.delivered_ids())) >= stack.sent, 300)
        print(f"\n{options.rate} alerts/s over {options.places} places for {options.minutes:g} min")
        for name, figure in figures(stack, ended).items():
            print(f"| {name} | {figure} |")


def feed(stack: AlertStack, rate: int, seconds: float, places: int) -> None:
    chance, began, tick = random.Random(7), time.monotonic(), 0.1
    for step in range(int(seconds / tick)):
        time.sleep(max(0.0, began + step * tick - time.monotonic()))
        count = round(rate * tick)
        stack.send(
            report(stack.sent + n, places, chance.choice(SCORES), city=f"City {chance.randrange(places)}")
            for n in range(count)
        )
        stack.sent += count


def figures(stack: AlertStack, ended: float) -> dict[str, object]:
    alerts = {alert["alert_id"]: alert for alert in stack.read("alerts")}
    deliveries = stack.read("deliveries")
    late: dict[str, list[int]] = {"critical": [], "high": [], "moderate": []}
    notified: Counter[str] = Counter()
    for delivery in deliveries:
        for id_, ms in zip(delivery["alert_ids"], delivery.get("broker_ms", []), strict=True):
            notified[id_] += 1
            late[alerts[id_]["severity"]].append(ms)
    log = [entry for entry in stack.log() if entry["method"] in ("POST", "PATCH")]
    posts: Counter[int] = Counter(
        int(at(entry) // 60) for entry in log if entry["method"] == "POST" and entry["status"] == 200
    )
    in_digest = sum(len(d["alert_ids"]) for d in deliveries if d["digest"])
    twice = sum(times > 1 for times in notified.values())
    rows: dict[str, object] = {
        "alerts raised / notified / notified twice": f"{len(alerts)} / {len(notified)} / {twice}",
        "sum of `Alerts` over the channel": sum(alerts_of(message) for message in stack.messages()),
        "counted by a digest": f"{100 * in_digest / len(alerts):.0f} %",
        "requests / invalid answers": f"{len(log)} / {sum(e['status'] >= 400 for e in log)}",
        "new messages in the fullest minute": max(posts.values()),
        "last notification after the feed ended": f"{max(0.0, max(at(e) for e in log) - ended):.0f} s",
    }
    for severity, waits in late.items():
        waits.sort()
        if waits:
            rows[f"{severity}: notified after p50 / p99 / longest"] = " / ".join(
                f"{waits[min(len(waits) - 1, int(len(waits) * share))] / 1000:.1f} s" for share in (0.5, 0.99, 1)
            )
    return rows


def at(entry: dict[str, object]) -> float:
    value = entry["at"]
    return float(value) if isinstance(value, int | float) else datetime.fromisoformat(str(value)).timestamp()


if __name__ == "__main__":
    main()
