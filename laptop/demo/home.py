"""Each demo's own data folder and free ports: demos share no data, and none needs a port that is in use."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

from fleet.errors import BadInput
from infra.settings import Settings, load
from laptop.local_stack import on_free_ports

KEPT: Final = 2
"""How many folders of earlier demos are kept for their logs. Each may hold a few hundred megabytes."""

_LOCK: Final = "running"


@contextmanager
def demo_settings(now: datetime, **changes: Any) -> Iterator[Settings]:
    """Settings with `changes`, a new home inside the usual one, and free ports in place of those in use.

    The folder is kept when the demo ends. Older ones are deleted, except the newest KEPT and those in use.
    """
    usual = load()
    demos = usual.home.resolve() / "demo"
    _delete_old(demos)
    home = demos / now.strftime("%Y%m%d-%H%M%S-%f")
    try:
        home.mkdir(parents=True)
        lock = (home / _LOCK).open("w")
    except OSError as error:
        raise BadInput("PEACEWATCH_HOME", f"{home} cannot be created: {error.strerror}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield on_free_ports(load(None, home=home, **changes))


def _delete_old(demos: Path) -> None:
    for home in sorted(demos.glob("*/"))[:-KEPT]:
        lock = home / _LOCK
        with lock.open("a") as file:
            if _unused(file):
                shutil.rmtree(home, ignore_errors=True)


def _unused(lock: IO[str]) -> bool:
    """Whether its demo has ended: the kernel releases the lock even after a crash."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
