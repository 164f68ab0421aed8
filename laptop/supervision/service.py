"""What a supervisor runs: a program, the services it depends on, and its readiness check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

Ready = Callable[[datetime], bool]
"""`ready(since)`: whether the process started at `since` is ready. Quick, and never raises."""

Inherit = Callable[[Mapping[str, str]], dict[str, str]]
"""Picks the variables that a service inherits: `laptop.supervision.environment` leaves out the secrets of others."""


@dataclass(frozen=True)
class Port:
    """A port that a service listens on, and the setting that moves it."""

    number: int
    setting: str


@dataclass(frozen=True)
class Service:
    """`command()` prepares the start and returns the command line; `after` names the services that must be ready first.

    A `once` service does its work and ends with exit code 0; `ready` is not called. `seconds` is the longest time until
    it is ready, `stop_seconds` the time from SIGTERM to SIGKILL. `address` is for people. `env` is added to the
    inherited environment.
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
    stop_seconds: float = 20.0
    once: bool = False

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of the process, when the supervisor's own is `environ`."""
        return {**self.inherit(environ), **self.env}


class State(StrEnum):
    """waiting (for others) → starting → running; a process that died is `pausing` before its restart."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServiceEvent:
    """A line for people about one service."""

    service: str
    state: State
    text: str
