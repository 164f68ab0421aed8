"""`peacewatch down`: stops the stack of a home, whichever terminal started it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import psutil

from fleet.errors import ServiceUnavailable
from infra import state_file
from laptop.supervision import reaper

STOP_SECONDS: Final = 90.0
"""A service may take 20 s to stop, and at most three stop one after the other; the rest is to spare."""

LOOK_SECONDS: Final = 0.2


def run(home: Path) -> str:
    """Returns a sentence for people. Raises ServiceUnavailable when the stack does not stop."""
    home = home.resolve()
    stack = state_file.read(home)
    supervisor = stack.process() if stack else None
    if stack is None or supervisor is None:
        killed = reaper.kill(f"{home}#")
        return f"no stack runs in {home}" + (f"; {killed} processes of a crashed one were killed" if killed else "")
    try:
        supervisor.terminate()
    except psutil.Error as error:
        raise ServiceUnavailable(f"the stack in {home} cannot be stopped: {error}") from None
    _wait_for_end(stack)
    return f"the stack in {home} is stopped; the data stays"


def _wait_for_end(stack: state_file.Running) -> None:
    """A zombie has ended, too: psutil's wait would wait until its parent reaps it."""
    deadline = time.monotonic() + STOP_SECONDS
    while stack.alive:
        if time.monotonic() > deadline:
            raise ServiceUnavailable(f"the stack (pid {stack.pid}) has not stopped after {STOP_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)
