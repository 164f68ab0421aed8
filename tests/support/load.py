"""The fleet's reports at a steady rate, by a process of its own that notes what the broker acknowledged.

    python -m tests.support.load BOOTSTRAP NOTES --rate R [--seconds S] [--first N] [--drones D] [--alerts 0.01]

One line of NOTES a report that a broker acknowledged: its number, partition and offset. A report's drone, id, time and
content follow from its number and from when the process began, so nothing else need be noted. It ends after `--seconds`
or at SIGTERM, when all that it sent is acknowledged or given up. Prints {"sent", "acknowledged", "failed", "seconds"}.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

from infra import stop_signals
from infra.kafka import clients
from laptop.supervision import processes

TICK: Final = 0.02
PLACES: Final = [
    ("Hamburg", "Germany", 53.55, 9.99),
    ("Paris", "France", 48.86, 2.35),
    ("東京", "日本", 35.68, 139.69),
    ("Lagos", "Nigeria", 6.45, 3.39),
    ("Lima", "Peru", -12.05, -77.04),
]


def report(number: int, drones: int, at: datetime, alert: bool) -> dict[str, Any]:
    """The report of that number: about 258 bytes as JSON."""
    city, country, latitude, longitude = PLACES[number % drones % len(PLACES)]
    return {
        "report_id": f"r{number}",
        "drone_id": f"d{number % drones}",
        "reported_at": at.isoformat(timespec="milliseconds"),
        "latitude": latitude,
        "longitude": longitude,
        "battery": 40 + number % 600 / 10,
        "citizens": [{"name": "Ada Lovelace", "peace_score": 1 + number % 10}],
        "message": "they walk",
        "alert": alert,
        "country": country,
        "city": city,
    }


PATIENCE_MS: Final = 300_000
"""A report is given up after this: longer than any fault that a test makes."""


class Acknowledged:
    """What the broker has, noted by the thread that sends: the callbacks are of the client's own."""

    def __init__(self, notes: IO[str]) -> None:
        self._notes = notes
        self._new: deque[tuple[int, Any]] = deque()
        self.count = self.failed = 0

    def watch(self, number: int, future: Any) -> None:
        future.add_callback(lambda where: self._new.append((number, where))).add_errback(self._fail)

    def note(self) -> None:
        while self._new:
            number, where = self._new.popleft()
            self._notes.write(f"{number},{where.partition},{where.offset}\n")
            self.count += 1
        self._notes.flush()

    def _fail(self, _error: BaseException) -> None:
        self.failed += 1


def run(options: argparse.Namespace, stop: threading.Event) -> dict[str, Any]:
    sent, every = 0, round(1 / options.alerts) if options.alerts else 0
    settings = {"linger_ms": 5, "batch_size": 131_072, "max_block_ms": PATIENCE_MS, "delivery_timeout_ms": PATIENCE_MS}
    with options.notes.open("a", encoding="ascii") as notes:
        acknowledged = Acknowledged(notes)
        with closing(clients.producer(options.bootstrap, acks="all", **settings)) as producer:
            began = time.monotonic()
            while not stop.is_set() and (not options.seconds or time.monotonic() - began < options.seconds):
                due = min(round((time.monotonic() - began) * options.rate), sent + options.rate)
                at = datetime.now(UTC) + timedelta(seconds=options.ahead)
                for number in range(options.first + sent, options.first + due):
                    value = report(number, options.drones, at, alert=bool(every) and number % every == 0)
                    body, key = json.dumps(value, ensure_ascii=False).encode(), value["drone_id"].encode()
                    acknowledged.watch(number, producer.send(options.topic, body, key=key))
                sent = due
                acknowledged.note()
                time.sleep(TICK)
            producer.flush()
            took = time.monotonic() - began
        acknowledged.note()
    return {"sent": sent, "acknowledged": acknowledged.count, "failed": acknowledged.failed, "seconds": took}


@dataclass
class Load:
    """A running one. `stop` returns what it printed."""

    child: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> dict[str, Any]:
        self.child.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> dict[str, Any]:
        self.child.wait(300)
        lines = self.log.read_text(errors="replace").splitlines()
        assert self.child.returncode == 0, "\n".join(lines[-20:])
        printed: dict[str, Any] = json.loads(lines[-1])
        return printed


def start(bootstrap: str, notes: Path, **options: object) -> Load:
    """`options` are those of the command line."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    log = notes.with_name(f"{notes.stem}-load.log")
    command = [sys.executable, "-m", "tests.support.load", bootstrap, str(notes), *words]
    return Load(processes.start("load", command, log).process, log)


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("bootstrap")
    asked.add_argument("notes", type=Path)
    asked.add_argument("--rate", type=int, required=True)
    asked.add_argument("--seconds", type=float, default=0)
    asked.add_argument("--first", type=int, default=0, help="number of the first report")
    asked.add_argument("--drones", type=int, default=1000)
    asked.add_argument("--alerts", type=float, default=0.01, help="share of the reports that raise the flag")
    asked.add_argument("--ahead", type=float, default=0, help="seconds that the drones' clocks are ahead")
    asked.add_argument("--topic", default="reports")
    with stop_signals.stop_event() as stop:
        print(json.dumps(run(asked.parse_args(), stop)))


if __name__ == "__main__":
    main()
