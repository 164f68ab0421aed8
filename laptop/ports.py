"""Ports of the local services."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from fleet.errors import ServiceUnavailable

_FREE: Final = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections (from 32768): one of those may be taken again by any
client before the server that it is meant for is up."""


_GIVEN_SECONDS: Final = 600.0
"""A server listens this long after it was given its port, on a busy machine. Until then nobody else is given it."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now, and that no process of this user was given lately."""
    while True:
        port = secrets.choice(_FREE)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            if take(port, Path(tempfile.gettempdir(), f"peacewatch-ports-{os.getuid()}")):
                return port


def take(port: int, folder: Path) -> bool:
    """Whether the port is this process's now, by the notes in `folder`. Where none can be made, it is: a clash is
    unlikely."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            note = folder / str(port)
            is_given = note.exists() and abs(time.time() - note.stat().st_mtime) < _GIVEN_SECONDS
            if not is_given:
                note.touch()
            return not is_given
    except OSError:
        return True


def require_free(name: str, port: int, host: str = "127.0.0.1", setting: str | None = None) -> None:
    """Raises ServiceUnavailable, which says what to change, when somebody listens on the port that `name` wants."""
    with socket.socket() as probe:
        # As servers do: connections of the last run that linger in TIME_WAIT do not take the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = f"; set {setting} to another port" if setting else ""
            raise ServiceUnavailable(
                f"{name} cannot have port {port} on {host}: {error.strerror or error}{advice}"
            ) from None


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody takes connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0
