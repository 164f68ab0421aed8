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
"""Below the ports that the kernel gives to outgoing connections (from 32768): any client could take one of those before
the server that should have it is up."""


_GIVEN_SECONDS: Final = 600.0
"""On a busy machine, a server may take this long to listen on its port. Until then no other process is given it."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on, and that no process of this user was given recently."""
    while True:
        port = secrets.choice(_FREE)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            if take(port, Path(tempfile.gettempdir(), f"peacewatch-ports-{os.getuid()}")):
                return port


def take(port: int, folder: Path) -> bool:
    """Reserves the port by a file in `folder`, and returns whether it was free. True if the file cannot be written: a
    clash is unlikely."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            note = folder / str(port)
            reserved = note.exists() and abs(time.time() - note.stat().st_mtime) < _GIVEN_SECONDS
            if not reserved:
                note.touch()
            return not reserved
    except OSError:
        return True


def require_free(name: str, port: int, host: str = "127.0.0.1", setting: str | None = None) -> None:
    """Raises ServiceUnavailable, which says what to change, if the port that `name` needs is in use."""
    with socket.socket() as probe:
        # As servers do: connections of the last run that linger in TIME_WAIT do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            advice = f"; set {setting} to another port" if setting else ""
            raise ServiceUnavailable(
                f"{name} cannot use port {port} on {host}: {error.strerror or error}{advice}"
            ) from None


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server accepts connections on the port."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
