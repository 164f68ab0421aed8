"""Runs services as child processes: starts them in dependency order, and restarts those that die.

One thread starts all children and lives as long as they do, since the kernel ends a child with the thread that started
it (laptop.supervision.processes). A crash of this process leaves nothing behind: the kernel kills the children, the
reaper (laptop.supervision.reaper) kills their descendants.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from fleet.errors import PeacewatchError, ServiceUnavailable
from infra.state_file import Record
from laptop.supervision import reaper
from laptop.supervision.managed_process import ManagedProcess, Pauses
from laptop.supervision.service import Service, ServiceEvent, State

LOOK_SECONDS: Final = 0.1
_DOWN: Final = (State.STOPPED, State.DONE)

OnEvent = Callable[[ServiceEvent], None]


class Supervisor:
    """Supervises `services`. Each names only earlier ones in `after`.

    `on_event` is called with every event, in the supervisor's thread.
    """

    def __init__(
        self,
        services: Sequence[Service],
        home: Path,
        on_event: OnEvent = lambda _event: None,
        pauses: Pauses = Pauses(),
    ) -> None:
        self._record = Record(home)
        self._mark = f"{home.resolve()}#{uuid.uuid4().hex}"
        logs = home.resolve() / "log"
        self._processes = [ManagedProcess(service, logs, self._mark, pauses) for service in services]
        self._on_event = on_event
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor")
        self._reaper: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Returns True when every service is ready, False if asked to stop before that.

        When a service cannot start, stops all and raises ServiceUnavailable with the reason. Raises BadSettings when a
        stack already runs in this home.
        """
        self._record.claim()
        reaper.kill(f"{self._record.home}#")  # of a stack that crashed, together with its reaper
        self._thread.start()
        try:
            self._settled.wait()
        except BaseException:  # Ctrl-C
            self.stop()
            raise
        if self._failure is not None:
            self.stop()
            raise self._failure
        return not self._stop.is_set()

    def wait(self) -> None:
        """Returns when the stack has ended after `ask_to_stop`. Raises the supervisor's failure, if it failed."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def ask_to_stop(self) -> None:
        """Returns at once; safe in a signal handler."""
        self._stop.set()

    def stop(self) -> None:
        """Stops all services in reverse order, and returns when none of their processes is left."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._look()
                if not self._settled.is_set() and all(process.ready for process in self._processes):
                    self._settled.set()
                self._stop.wait(LOOK_SECONDS)
        except BaseException as error:  # noqa: BLE001 - start() and wait() raise it in the caller's thread
            self._failure = error
        finally:
            self._end()
            self._settled.set()

    def _look(self) -> None:
        if self._reaper is None or self._reaper.poll() is not None:
            self._reaper = _start_reaper(self._mark)
        ready = {process.service.name for process in self._processes if process.ready}
        for process in self._processes:
            event = process.look(ready)
            if event is not None:
                self._report(event)
            if process.hopeless and not self._settled.is_set():
                raise ServiceUnavailable(process.why())

    def _report(self, event: ServiceEvent) -> None:
        self._record.write([process.as_row() for process in self._processes])
        self._on_event(event)

    def _end(self) -> None:
        """Stops services in reverse dependency order."""
        while alive := [process for process in self._processes if process.alive]:
            needed = {name for process in alive for name in process.service.after}
            for process in alive:
                if process.service.name not in needed and (event := process.ask_to_stop()):
                    self._report(event)
            time.sleep(LOOK_SECONDS)
        reaper.kill(self._mark)
        with suppress(PeacewatchError, OSError):
            self._record.release([process.as_row() for process in self._processes])
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait()


def _start_reaper(mark: str) -> subprocess.Popen[bytes]:
    """Starts it in its own session, so that it survives a kill of this process group. It carries no mark."""
    program = [sys.executable, "-I", "-S", reaper.__file__, mark]
    return subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True, env={})  # noqa: S603
