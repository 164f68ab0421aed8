"""`HOME/stack.json`: what runs in a home, written by its supervisor, read by `status` and `down`.

Only one stack runs in a home: its supervisor holds a lock on `HOME/stack.lock`, which the kernel frees however it ends.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import psutil

from fleet.errors import BadSettings, PeacewatchError

FILE: Final = "stack.json"
LOCK: Final = "stack.lock"

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Running:
    """A stack as its file describes it. `started` is the supervisor's start in seconds of the epoch, so that another
    process with a reused pid is not taken for it."""

    pid: int
    started: float
    services: Rows

    @property
    def alive(self) -> bool:
        """Whether the supervisor runs."""
        return self.process() is not None

    def process(self) -> psutil.Process | None:
        """The supervisor, None when it is gone."""
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if process.create_time() == self.started and process.status() != psutil.STATUS_ZOMBIE:
                return process
        return None


class Record:
    """The file, for the supervisor that writes it."""

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self._lock: IO[bytes] | None = None

    def claim(self) -> None:
        """Takes the home. Raises BadSettings when a stack runs there."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self.home.chmod(0o700)  # also one that an older version made
            lock = (self.home / LOCK).open("ab")
        except OSError as error:
            raise PeacewatchError(f"{self.home} cannot be used: {error.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            running = read(self.home)
            who = f" (pid {running.pid})" if running and running.alive else ""
            raise BadSettings(
                f"a stack runs in {self.home} already{who}; stop it with `peacewatch down`, or set PEACEWATCH_HOME"
            ) from None
        self._lock = lock

    def write(self, services: Rows) -> None:
        """Writes all of it or nothing: readers never see half a file."""
        me = psutil.Process()
        text = json.dumps({"pid": me.pid, "started": me.create_time(), "services": list(services)}, indent=1)
        new = self.home / f"{FILE}.new"
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(self.home / FILE)

    def release(self, services: Rows) -> None:
        self.write(services)
        if self._lock is not None:
            self._lock.close()


def read(home: Path) -> Running | None:
    """None if no stack ever ran."""
    try:
        state = json.loads((home / FILE).read_text(encoding="utf-8"))
        return Running(state["pid"], state["started"], state["services"])
    except (OSError, ValueError, KeyError):
        return None
