"""`peacewatch down`: stops the stack that runs in a home, wherever it was started."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import psutil

from fleet.errors import ServiceUnavailable
from infra import state_file
from laptop.supervision import reaper

STOP_SECONDS: Final = 90.0
"""Each service may take 20 s, and three rounds of them wait for each other."""

LOOK_SECONDS: Final = 0.2


def run(home: Path) -> str:
    """Returns a sentence for people. Raises ServiceUnavailable when the stack does not stop."""
    home = home.resolve()
    found = state_file.read(home)
    supervisor = found.process() if found else None
    if found is None or supervisor is None:
        left = reaper.kill(f"{home}#")
        return f"no stack runs in {home}" + (f"; {left} processes of one that crashed are ended" if left else "")
    try:
        supervisor.terminate()
    except psutil.Error as error:
        raise ServiceUnavailable(f"the stack in {home} cannot be stopped: {error}") from None
    _wait_for_the_end(found)
    return f"the stack in {home} is stopped; the data stays"


def _wait_for_the_end(found: state_file.Running) -> None:
    """Not psutil's wait: a process whose parent has not asked for it yet (a zombie) has ended, too."""
    deadline = time.monotonic() + STOP_SECONDS
    while found.alive:
        if time.monotonic() > deadline:
            raise ServiceUnavailable(f"the stack (pid {found.pid}) has not stopped after {STOP_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
