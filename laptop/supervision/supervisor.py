"""Runs services as child processes: in order, each until it is ready; one that dies is started again.

All children are started by one thread that lives as long as they do, since the kernel ends a child with the thread
that started it (laptop.supervision.processes). A crash of this process leaves nothing behind: the kernel kills the
children, the reaper (laptop.supervision.reaper) whatever those started.
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
from laptop.supervision.managed_process import Supervised
from laptop.supervision.service import Event, Service, State

LOOK_SECONDS: Final = 0.1
_DOWN: Final = (State.STOPPED, State.DONE)

OnEvent = Callable[[Event], None]


class Supervisor:
    """Of `services`, given in an order in which each names only earlier ones in `after`.

    `on_event` is called with every event, in the supervisor's thread.
    """

    def __init__(self, services: Sequence[Service], home: Path, on_event: OnEvent = lambda _event: None) -> None:
        self._record = Record(home)
        self._mark = f"{home.resolve()}#{uuid.uuid4().hex}"
        self._all = [Supervised(service, home.resolve() / "log", self._mark) for service in services]
        self._on_event = on_event
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor")
        self._reaper: subprocess.Popen[bytes] | None = None

    def start(self) -> bool:
        """Returns when every service is ready; False when it was asked to stop before that.

        When a service cannot start, all are stopped, and ServiceUnavailable says why. Raises BadSettings when a stack
        runs in this home already.
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
        """Returns when the stack has ended: after `ask_to_stop`, or when the supervisor fails, which is raised."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def ask_to_stop(self) -> None:
        """Returns at once; safe in a signal handler."""
        self._stop.set()

    def stop(self) -> None:
        """Stops all services, the last ones first, and returns when nothing of them is left."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._look()
                if not self._settled.is_set() and all(one.ready for one in self._all):
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
        ready = {one.service.name for one in self._all if one.ready}
        for one in self._all:
            event = one.look(ready)
            if event is not None:
                self._report(event)
            if one.hopeless and not self._settled.is_set():
                raise ServiceUnavailable(one.why())

    def _report(self, event: Event) -> None:
        self._record.write([one.as_row() for one in self._all])
        self._on_event(event)

    def _end(self) -> None:
        """Stops services in reverse dependency order."""
        while alive := [one for one in self._all if one.alive]:
            needed = {name for one in alive for name in one.service.after}
            for one in alive:
                if one.service.name not in needed and (event := one.ask_to_stop()):
                    self._report(event)
            time.sleep(LOOK_SECONDS)
        reaper.kill(self._mark)
        with suppress(PeacewatchError, OSError):
            self._record.release([one.as_row() for one in self._all])
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait()


def _start_reaper(mark: str) -> subprocess.Popen[bytes]:
    """A session of its own, so that whatever ends this process and its group spares the reaper. It carries no mark."""
    program = [sys.executable, "-I", "-S", reaper.__file__, mark]
    return subprocess.Popen(program, stdin=subprocess.PIPE, start_new_session=True, env={})  # noqa: S603
