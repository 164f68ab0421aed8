"""What a supervisor runs: one program, when it may start, and how one sees that it is ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

Ready = Callable[[datetime], bool]
"""`ready(since)`: whether the process that was started at `since` does its work by now. Quick, and never raises."""

Inherit = Callable[[Mapping[str, str]], dict[str, str]]
"""What a service gets of an environment: `laptop.supervision.environment` leaves out what is not its own."""


@dataclass(frozen=True)
class Port:
    """A port that a service listens on, and the setting that moves it."""

    number: int
    setting: str


@dataclass(frozen=True)
class Service:
    """`command()` prepares the start and returns what to run; `after` names services that must be ready before.

    A `once` service does its work and ends with exit code 0; its `ready` is not asked. `seconds` is how long it may
    take until it is ready, `grace` how long to stop. `address` is for people. `env` is added to what it inherits.
    """

    name: str
    command: Callable[[], Sequence[str | Path]]
    ready: Ready = lambda _since: True
    after: tuple[str, ...] = ()
    address: str = ""
    port: Port | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    inherit: Inherit = dict
    seconds: float = 120.0
    grace: float = 20.0
    once: bool = False

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of its process, started by one whose environment is `environ`."""
        return {**self.inherit(environ), **self.env}


class State(StrEnum):
    """waiting for others → starting → running; one that died is `pausing` before it starts again."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Event:
    """Something that people should read: one line about one service."""

    service: str
    state: State
    text: str
