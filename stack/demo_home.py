"""A demo's own data folder and ports: no demo sees another's data, and none needs a port that is taken."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from fleet.errors import BadInput, ServiceUnavailable
from stack import ports
from stack.settings import Settings, load

KEPT: Final = 2
"""Folders of earlier demos that stay, for their logs; each may hold some hundred megabytes."""

PORTS: Final = ("kafka_port", "mongo_port", "web_port", "airflow_port", "discord_port")
_LOCK: Final = "running"


@contextmanager
def demo_settings(now: datetime) -> Iterator[Settings]:
    """Settings with a new home below the usual one, and free ports where the usual ones are taken.

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
        yield load(None, home=home, **_free_ports(usual))


def _free_ports(usual: Settings) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in PORTS:
        port = getattr(usual, name)
        taken = port in found.values() or not _is_free(port, usual.host)
        found[name] = ports.free_port(usual.host) if taken else port
    return found


def _is_free(port: int, host: str) -> bool:
    try:
        ports.require_free("a demo", port, host)
    except ServiceUnavailable:
        return False
    return True


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
