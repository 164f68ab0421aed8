"""Child processes: each in a process group of its own, with a log, ended with its parent.

The kernel ends a child when the *thread* that started it ends, so start children from a thread that
outlives them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from fleet.errors import MissingPart, ServiceUnavailable

STOP_SECONDS: Final = 20.0
"""Seconds between SIGTERM and SIGKILL: a broker flushes its log in that time."""

_PROBE_EVERY: Final = 0.05
_IF_PARENT_LIVES: Final = ("sh", "-c", '[ "$PPID" = "$1" ] || exit 1; shift; exec "$@"', "sh")


@dataclass(frozen=True)
class Child:
    """A running child process. `name` is for people, `log` takes its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Sends SIGTERM, after `seconds` SIGKILL, and kills the child's group. Returns the exit code."""
        if self.alive:
            self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """Kills the child and its group at once. Returns the exit code."""
        self._signal(signal.SIGKILL)
        return self.process.wait()

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Waits until `ready()` is true. A child that ends first, or takes longer than `seconds`, is stopped and raises
        ServiceUnavailable, which names its log."""
        deadline = time.monotonic() + seconds
        while self.alive and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(_PROBE_EVERY)
        reason = (
            f"is not ready after {seconds:.0f} s" if self.alive else f"ended with exit code {self.process.returncode}"
        )
        self.stop()
        raise ServiceUnavailable(f"{self.name} {reason}; its log is {self.log}")

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


@dataclass(frozen=True)
class ServerProcess:
    """A child that listens on a port; subclasses add the address."""

    child: Child

    @property
    def pid(self) -> int:
        return self.child.pid

    def stop(self) -> None:
        """Stops the server; its data stays."""
        self.child.stop()

    def kill(self) -> None:
        """Ends the server as a crash would (SIGKILL)."""
        self.child.kill()


def start(
    name: str,
    command: Sequence[str | Path],
    log: Path,
    *,
    inherit: Mapping[str, str] = os.environ,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Starts `command` with the environment `inherit` and `env`. Its output is appended to `log`.

    The kernel kills the child (not its children) when this process crashes.
    Raises MissingPart when the program is not there.
    """
    if shutil.which(str(command[0])) is None:
        raise MissingPart(f"{name}: there is no {command[0]} on this machine")
    # setpriv sets PR_SET_PDEATHSIG and becomes the command. With preexec_fn instead, Python would run between fork and
    # exec, and a lock held by another thread could hang it. setpriv is part of util-linux, which every Debian has.
    # The shell in between exits at once if the parent died before setpriv ran.
    die_with_parent = [
        *("setpriv", "--pdeathsig", "KILL", "--"),
        *_IF_PARENT_LIVES,
        str(os.getpid()),
    ]
    with open_log(log) as out:
        process = subprocess.Popen(  # noqa: S603 - the command is ours
            [*die_with_parent, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**inherit, **(env or {})},
            process_group=0,
        )
    return Child(name, process, log)


def open_log(path: Path) -> IO[bytes]:
    """Opens a log to append. Only its owner may read it: a log quotes what citizens said."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")  # noqa: PTH123 - by its mode
