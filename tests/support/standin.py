"""A Discord stand-in for tests: in the process, with a clock that the test holds, or behind a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from laptop.discord_standin.answers import DiscordAnswer
from laptop.discord_standin.app import StandIn
from laptop.discord_standin.ratelimit import Limits
from laptop.discord_standin.request import Request
from laptop.discord_standin.server import StandinServer

ALERTS = "/api/v10/webhooks/1/alerts"
FREE = Limits(burst_requests=0, minute_requests=0)


@dataclass
class Clock:
    now: float = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Local:
    """Asks a stand-in without a socket. `ask` gives the answer, `json_of` its JSON."""

    folder: Path
    limits: Limits = FREE
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.standin = StandIn(self.folder, self.clock, self.limits)
        self.others: list[Local] = []

    def close(self) -> None:
        for local in (self, *self.others):
            local.standin.close()

    def ask(
        self,
        method: str = "POST",
        path: str = ALERTS,
        payload: Any = None,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> DiscordAnswer:
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        headers = {"content-type": kind, "host": "discord.test"}
        return self.standin.handle(Request(method, path, query or {}, headers, body))

    def post(self, payload: Any) -> dict[str, Any]:
        """A message posted with wait=true, as Discord answers it."""
        return json_of(self.ask(payload=payload, query={"wait": "true"}))

    def control(self, name: str, payload: Any = None, **query: str) -> dict[str, Any]:
        method = "GET" if payload is None else "POST"
        return json_of(self.ask(method, f"/control/{name}", {} if payload is None else payload, query))

    def restarted(self) -> Local:
        """Another stand-in over the same folder, as after kill -9: this one does not notice."""
        self.others.append(other := Local(self.folder, self.limits, self.clock))
        other.others = self.others
        return other


def json_of(answer: DiscordAnswer) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(answer.body)
    return content


@contextmanager
def serving(folder: Path, limits: Limits = FREE) -> Iterator[StandinServer]:
    """A stand-in on a free port of loopback."""
    with StandinServer(("127.0.0.1", 0), StandIn(folder, limits=limits)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
        server.standin.close()
