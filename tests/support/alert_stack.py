"""The alert pipeline as shipped: a real Kafka, the commands as processes, the strict stand-in, and what checkers read.

A checker reads the broker's topics and the stand-in's own log, nothing of the product.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from kafka import KafkaConsumer

from infra.kafka import clients
from infra.kafka.topics import TOPICS, require_id
from laptop import ports
from laptop.services import kafka
from laptop.supervision import processes
from tests.support.kafka_messages import from_the_beginning, messages, new_messages
from tests.support.waiting import answers, wait_for

UNLIMITED = {"burst_requests": 0, "minute_requests": 0}


class AlertStack:
    """Services and commands in `home`. `start(name)` and `kill(name)` as often as wanted."""

    def __init__(self, home: Path, discord_port: int | None = None, /, **environ: str) -> None:
        self.home = home
        self.broker_port = ports.free_port()
        self.broker = kafka.start(home, self.broker_port)
        kafka.create_topics(self.broker.address)
        self.discord_port = discord_port or ports.free_port()
        self.url = f"http://127.0.0.1:{self.discord_port}"
        self.environ = {
            "PEACEWATCH_HOME": str(home),
            "PEACEWATCH_KAFKA_BOOTSTRAP": self.broker.address,
            "PEACEWATCH_DISCORD_PORT": str(self.discord_port),
            **environ,
        }
        self.running: dict[str, processes.Child] = {}
        self.control = httpx.Client(base_url=self.url, timeout=10)
        self.producer = clients.producer(self.broker.address, linger_ms=0)
        self.readers: dict[str, tuple[KafkaConsumer, list[dict[str, Any]]]] = {}
        self.sent = 0
        self.repeated = 0  # alerts that the channel shows once more, of messages that were repeated

    def start(self, command: str, name: str | None = None) -> processes.Child:
        return self._start(name or command, "cli", command)

    def start_doomed(self, command: str, steps: str) -> processes.Child:
        """The command, which kills itself after these steps (tests/support/crashing_alerter.py)."""
        return self._start(command, "tests.support.crashing_alerter", command, steps)

    def _start(self, name: str, *module: str) -> processes.Child:
        log = self.home / "log" / f"{name}.log"
        self.running[name] = processes.start(name, [sys.executable, "-m", *module], log, env=self.environ)
        return self.running[name]

    def kill(self, name: str) -> None:
        self.running.pop(name).kill()

    def restart_broker(self) -> None:
        """As after a crash of its machine."""
        self.broker.kill()
        self.stop_reading()
        self.broker = kafka.start(self.home, self.broker_port)

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.running[name].pid, number)

    def close(self) -> None:
        self.control.close()
        with contextlib.suppress(Exception):
            self.producer.close(timeout=2)
        for child in self.running.values():
            with contextlib.suppress(ProcessLookupError):
                child.kill()
        self.stop_reading()
        self.broker.kill()

    def send(self, reports: Iterable[dict[str, Any]]) -> None:
        for one in reports:
            self.producer.send("reports", json.dumps(one).encode(), key=one["drone_id"].encode())
        self.producer.flush()

    def remember(self, known: Iterable[str]) -> None:
        """Gives `alert-state` a fleet of drones that have been known for long; before alerting starts."""
        with contextlib.closing(clients.admin(self.broker.address)) as admin:
            source = require_id(admin, "reports")
        now, since = (at.isoformat() for at in (datetime.now(UTC), BEGAN - timedelta(days=30)))
        known = list(known)
        for number in range(TOPICS["reports"].partitions):
            key = f"alerting/{source}/{number}"
            bucket = json.dumps({"spoke_at": dict.fromkeys(known, now)}).encode()
            self.producer.send("alert-state", bucket, key=f"{key}/spoke/0".encode())
            self.producer.send("alert-state", json.dumps({"offset": 0, "began": since}).encode(), key=key.encode())
        self.producer.flush()

    def alarm(self, count: int, places: int = 20, score: int = 3) -> None:
        """Sends so many reports that raise the flag."""
        self.send(report(self.sent + n, places, score) for n in range(count))
        self.sent += count

    def fail(self, mode: str, times: int = 1, **more: Any) -> None:
        self.control.post("/control/fail", json={"mode": mode, "times": times, **more}).raise_for_status()

    def limits(self, **limits: float) -> None:
        self.control.post("/control/limits", json=limits).raise_for_status()

    def messages(self) -> list[dict[str, Any]]:
        return self.control.get("/control/messages").json()["messages"]

    def log(self) -> list[dict[str, Any]]:
        return self.control.get("/control/log").json()["requests"]

    @property
    def notified(self) -> int:
        """The sum of the fields `Alerts` over the newest form of all messages."""
        return sum(alerts_of(message) for message in self.messages())

    def read(self, topic: str) -> list[dict[str, Any]]:
        """All of a topic so far. What was read before is kept, since tests ask again and again."""
        if topic not in self.readers:
            self.readers[topic] = from_the_beginning(self.broker.address, topic), []
        consumer, kept = self.readers[topic]
        kept += [json.loads(record.value) for record in new_messages(consumer)]
        return kept

    def stop_reading(self) -> None:
        for consumer, _ in self.readers.values():
            consumer.close()
        self.readers.clear()

    def delivered_ids(self) -> list[str]:
        """The id of every alert in every delivery, repeats too.

        The topic may hold a delivery twice, byte for byte: a broker that died had it, and its answer was lost.
        """
        values = dict.fromkeys(record.value for record in messages(self.broker.address, "deliveries"))
        return [id_ for value in values for id_ in json.loads(value)["alert_ids"]]

    def wait(self, condition: Callable[[], bool], seconds: float = 90.0) -> None:
        wait_for(condition, seconds, lambda: f"{self.tail()}\nit")

    def tail(self) -> str:
        logs = sorted((self.home / "log").glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)


def alerts_of(message: dict[str, Any]) -> int:
    fields = [field for embed in message["embeds"] for field in embed.get("fields", [])]
    return sum(int(field["value"]) for field in fields if field["name"] == "Alerts")


BEGAN = datetime.now(UTC)


def report(number: int, places: int = 20, score: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "report_id": f"r{number}",
        "drone_id": f"d{number % 97}",
        "reported_at": (BEGAN + timedelta(milliseconds=number)).isoformat(),  # a duplicate has the same
        "latitude": 53.55,
        "longitude": 9.99,
        "battery": 60.0,
        "citizens": [{"name": "Ada", "peace_score": score}],
        "message": "shouting",
        "alert": True,
        "country": "Germany",
        "city": f"City {number % places}",
        **changes,
    }


@contextlib.contextmanager
def alert_stack(home: Path, discord_port: int | None = None, /, **environ: str) -> Iterator[AlertStack]:
    stack = AlertStack(home, discord_port, **environ)
    try:
        stack.start("discord-standin").wait_ready(lambda: answers(f"{stack.url}/control/state"), 30)
        yield stack
    finally:
        stack.close()
