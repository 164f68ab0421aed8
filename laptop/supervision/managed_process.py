"""One service under the supervisor: its current process, its state, and its number of restarts."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Container
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fleet.errors import PeacewatchError
from infra.redaction import redact
from infra.retry import Backoff
from laptop.supervision import processes, reaper
from laptop.supervision.service import Service, ServiceEvent, State

HEALTHY_SECONDS: Final = 60.0
"""After this long in the state running, the next failure starts with the first pause again."""

TRIES: Final = 3
"""Failures of a service that was never ready, after which the start of the stack has failed."""

WRONG_SETTINGS: Final = 2
"""The exit code of a command whose settings a person must correct; a retry does not help."""


PROBES_A_START: Final = 20
"""A slow start is probed less often, since probes take processor time from it. It takes at most a twentieth longer."""


@dataclass(frozen=True)
class Pauses:
    """In seconds: before a restart, growing from `first` to `longest`; at least `probe` between readiness checks."""

    first: float = 1.0
    longest: float = 60.0
    probe: float = 0.4

    def before_next_probe(self, took: float) -> float:
        """The pause when a start has taken `took` seconds so far."""
        return max(self.probe, took / PROBES_A_START)


class ManagedProcess:
    """`look` takes one step and never blocks; the supervisor calls it in a loop."""

    def __init__(self, service: Service, logs_folder: Path, mark: str, pauses: Pauses = Pauses()) -> None:
        self.service = service
        self.log = logs_folder / f"{service.name}.log"
        self.state = State.WAITING
        self.restarts = 0
        self.since = datetime.now(UTC)
        self.child: processes.Child | None = None
        self.hopeless = False
        self._mark, self._pauses = mark, pauses
        self._ever_ready = False
        self._backoff = Backoff(pauses.first, pauses.longest)
        self._failures = 0
        self._last_exit = ""
        self._at = 0.0  # monotonic: when to probe or to start again
        self._began = 0.0
        self._kill_at: float | None = None

    @property
    def ready(self) -> bool:
        return self.state in {State.RUNNING, State.DONE}

    @property
    def alive(self) -> bool:
        """Whether a process runs. A process that was asked to stop is killed after `stop_seconds`."""
        if self.child is None or self.state in {State.DONE, State.STOPPED}:
            return False
        if self.child.alive:
            if self._kill_at is not None and time.monotonic() > self._kill_at:
                self.child.kill()
            return True
        if self._kill_at is not None:
            self._clear()
            self._become(State.STOPPED)
        return self.child is not None and self.child.alive

    def look(self, ready: Container[str]) -> ServiceEvent | None:
        """`ready` names the services that are ready. Returns an event that people should see, if any."""
        if self.state in {State.WAITING, State.PAUSING}:
            due = time.monotonic() >= self._at and all(name in ready for name in self.service.after)
            return self._start() if due else None
        if self.child is None or self.state in {State.DONE, State.STOPPED}:
            return None
        if not self.child.alive:
            return self._ended(self.child.process.returncode)
        if self.state is State.STARTING and time.monotonic() >= self._at:
            return self._probe()
        return None

    def ask_to_stop(self) -> ServiceEvent | None:
        if self._kill_at is not None or self.child is None:
            return None
        self._kill_at = time.monotonic() + self.service.stop_seconds
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGTERM)
        return ServiceEvent(self.service.name, self.state, "stopping")

    def why(self) -> str:
        """Why the service does not start, with the last line of its log."""
        last = _last_line(self.log)
        return f"{self.service.name} {self._last_exit}; its log is {self.log}" + (f": {last}" if last else "")

    def as_row(self) -> dict[str, Any]:
        """The fields of a JSON object for `peacewatch status`, without secrets."""
        alive = self.child is not None and self.child.alive
        return {
            "name": self.service.name,
            "state": self.state.value,
            "since": self.since.isoformat(),
            "pid": self.child.pid if alive and self.child is not None else None,
            "address": self.service.address,
            "restarts": self.restarts,
            "last_exit": self._last_exit,
            "log": str(self.log),
        }

    def _start(self) -> ServiceEvent:
        mark = {reaper.VARIABLE: f"{self._mark}#{self.service.name}"}
        try:
            # Without SPT_NOENV, setproctitle (Airflow, gunicorn) writes titles over the environment, and so the mark.
            env = {**mark, "SPT_NOENV": "1"}
            inherit = self.service.environment(os.environ)
            self.child = processes.start(self.service.name, self.service.command(), self.log, inherit=inherit, env=env)
        except PeacewatchError as error:
            return self._failed(f"cannot start: {error}", hopeless=True)
        self._began = time.monotonic()
        self._at = 0.0
        self._become(State.STARTING)
        return ServiceEvent(self.service.name, self.state, "starting" if self.restarts == 0 else "restarting")

    def _probe(self) -> ServiceEvent | None:
        took = time.monotonic() - self._began
        if not self.service.once and self._is_ready():
            self._become(State.RUNNING)
            self._ever_ready = True
            return ServiceEvent(self.service.name, self.state, f"ready after {took:.1f} s")
        if took > self.service.seconds and self.child is not None:
            self.child.kill()
            return self._failed(f"was not ready after {took:.0f} s")
        self._at = time.monotonic() + self._pauses.before_next_probe(took)
        return None

    def _is_ready(self) -> bool:
        try:
            return self.service.ready(self.since)
        except Exception as error:  # noqa: BLE001 - a failing probe must not stop the stack
            self._last_exit = f"readiness check failed: {type(error).__name__}: {error}"
            return False

    def _ended(self, code: int) -> ServiceEvent:
        self._clear()
        if self.service.once and code == 0:
            self._become(State.DONE)
            return ServiceEvent(self.service.name, self.state, f"done after {time.monotonic() - self._began:.1f} s")
        return self._failed(_exit_text(code), hopeless=code == WRONG_SETTINGS)

    def _failed(self, why: str, *, hopeless: bool = False) -> ServiceEvent:
        self._clear()
        if self.state is State.RUNNING and time.monotonic() - self._began > HEALTHY_SECONDS:
            self._backoff.succeed()
        self._last_exit = why
        self._failures += 1
        self.restarts += 1
        self.hopeless = not self._ever_ready and (hopeless or self._failures >= TRIES)
        pause = self._backoff.fail()
        self._at = time.monotonic() + pause
        self._become(State.PAUSING)
        return ServiceEvent(self.service.name, self.state, f"{why}; restarts in {pause:.0f} s")

    def _clear(self) -> None:
        """Kills children that a dead process may have left, before the next process starts."""
        if self.child is not None:
            self.child.kill()
        reaper.kill(self._mark, self.service.name)

    def _become(self, state: State) -> None:
        self.state, self.since = state, datetime.now(UTC)


def _exit_text(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return redact(lines[-1]) if lines else ""
    return ""
