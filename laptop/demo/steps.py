"""The steps of a round: each is shown while it runs, timed, and named with its log when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.status import Status

from fleet.errors import PeacewatchError, ServiceUnavailable

LOOK_SECONDS: Final = 0.5


class Steps:
    """`seconds` holds how long each finished step took, in order."""

    def __init__(self, console: Console, logs: Path) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console
        self._logs = logs
        self._status: Status | None = None
        self._what, self._log = "", ""

    @contextmanager
    def step(self, name: str, what: str, log: str = "") -> Iterator[None]:
        """Runs a step called `name` in the summary; `what` is for people, `log` is the file to read when it fails."""
        began = time.monotonic()
        self._what, self._log = what, log
        try:
            with self._shown():
                yield
        except PeacewatchError as error:
            raise ServiceUnavailable(f"{what}: {error}{self._see()}") from None
        except Exception as error:  # whatever a client raises when its service is away
            raise ServiceUnavailable(f"{what}: {type(error).__name__}: {error}{self._see()}") from error
        self.seconds[name] = time.monotonic() - began
        self._console.print(f"{what}: done in {self.seconds[name]:.1f} s", highlight=False)

    def say(self, text: str) -> None:
        """Shows the step's progress, on a terminal only."""
        if self._status is not None:
            self._status.update(f"{self._what}: {text}")

    def until(self, done: Callable[[], bool], seconds: float) -> None:
        """Polls until `done()` is true. Raises ServiceUnavailable after `seconds`."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise ServiceUnavailable(f"not done after {seconds:.0f} s")
            time.sleep(LOOK_SECONDS)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(self._what) as self._status:
            yield
        self._status = None

    def _see(self) -> str:
        return f"; its log is {self._logs / self._log}" if self._log else ""
