"""A demo's own data folder and ports: no demo sees another's data, and none needs a port that is taken."""

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
"""Folders of earlier demos that stay, for their logs; each may hold some hundred megabytes."""

_LOCK: Final = "running"


@contextmanager
def demo_settings(now: datetime, **changes: Any) -> Iterator[Settings]:
    """Settings with a new home below the usual one, free ports where the usual ones are taken, and `changes`.

    The folder stays when the demo ends; older ones go, but for the newest KEPT and those in use.
    """
    usual = load()
    demos = usual.home.resolve() / "demo"
    _delete_old(demos)
    home = demos / now.strftime("%Y%m%d-%H%M%S-%f")
    try:
        home.mkdir(parents=True)
        lock = (home / _LOCK).open("w")
    except OSError as error:
        raise BadInput("PEACEWATCH_HOME", f"{home} cannot be made: {error.strerror}") from None
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
    """A demo that ended, however, holds no lock any more: the kernel let go of it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
