"""`peacewatch down`: stops the stack that runs in a home, wherever it was started."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

from fleet.errors import ServiceUnavailable
from stack import leftovers, running

STOP_SECONDS: Final = 90.0
"""Each service may take 20 s, and three rounds of them wait for each other."""


def run(home: Path) -> str:
    """Returns what to tell people. Raises ServiceUnavailable when the stack does not stop."""
    home = home.resolve()
    found = running.read(home)
    supervisor = found.process() if found else None
    if supervisor is None:
        left = leftovers.kill(f"{home}#")
        return f"no stack runs in {home}" + (f"; {left} processes of one that crashed are ended" if left else "")
    try:
        supervisor.terminate()
        supervisor.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        raise ServiceUnavailable(
            f"the stack in {home} (pid {supervisor.pid}) has not stopped after {STOP_SECONDS:.0f} s; see {home}/log"
        ) from None
    except psutil.Error as error:
        raise ServiceUnavailable(f"the stack in {home} cannot be stopped: {error}") from None
    return f"the stack in {home} is stopped; the data stays"
