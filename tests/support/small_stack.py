"""The path from a report to an answer without Airflow and Discord: real services, and the product's own commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import httpx

from laptop import ports
from laptop.demo.watch import StackAddresses, Watch
from laptop.services import kafka, mongo
from laptop.supervision import processes
from tests.support.waiting import answers

LONG_RUNNING = ("land", "alerting", "serve")


class SmallStack:
    """Everything under one folder, on free ports; it can be stopped and started again with its data."""

    def __init__(self, home: Any) -> None:
        self.home = home
        self.ports = {name: ports.free_port() for name in ("kafka", "mongo", "web")}
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.ports['web']}", timeout=30)
        self.environ = {"PEACEWATCH_HOME": str(home)}
        self.environ |= {f"PEACEWATCH_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}
        self.running: list[processes.ServerProcess | processes.Child] = []

    def start(self) -> Any:
        broker = kafka.start(self.home, self.ports["kafka"])
        database = mongo.start(self.home, self.ports["mongo"])
        self.running = [broker, database]
        self.addresses = StackAddresses(broker.address, str(self.home / "lake"), database.uri, None)
        kafka.create_topics(self.addresses.bootstrap)
        for command in LONG_RUNNING:
            log = self.home / "log" / f"{command}.log"
            arguments = [sys.executable, "-m", "cli", command]
            child = processes.start(command, arguments, log, env=self.environ)
            self.running.append(child)
        child.wait_ready(lambda: answers(f"http://127.0.0.1:{self.ports['web']}/healthz"), 180)
        return self

    def stop(self) -> None:
        for part in reversed(self.running):
            part.stop()
        self.running = []

    def run(self, *arguments: Any) -> Any:
        """A command that ends; its output."""
        command = [sys.executable, "-m", "cli", *map(str, arguments)]
        result = subprocess.run(
            command, env={**os.environ, **self.environ}, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    def wait_landed(self, seconds: int = 240) -> Any:
        """Until all reports are in the lake, judged, and served; the number of rows in the lake."""
        watch = Watch(self.addresses)
        deadline = time.monotonic() + seconds
        try:
            while watch.unlanded() or watch.unjudged() or self._served() < watch.lake_version():
                assert time.monotonic() < deadline, self.tail()
                time.sleep(0.2)
            return watch.landed()
        finally:
            watch.close()

    def raised(self) -> Any:
        """Alerts by kind."""
        watch = Watch(self.addresses)
        try:
            return watch.raised()
        finally:
            watch.close()

    def ask(self, name: Any, **query: Any) -> Any:
        """The API's answer about a statistic."""
        answer = self.api.get(f"/api/v1/statistics/{name}", params=query)
        assert answer.is_success, answer.text
        return answer.json()

    def tail(self) -> Any:
        """The ends of the logs, for a failure."""
        logs = (self.home / "log").glob("*.log")
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in logs)

    def _served(self) -> Any:
        with suppress(httpx.TimeoutException):  # asked again, on a new connection, until the time of who waits is over
            answer = self.api.get("/api/v1/statistics/averages")
            return answer.json()["version"] if answer.is_success else -1
        return -1
