"""Ports of the local services."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress
from typing import Final

from fleet.errors import ServiceUnavailable

_FREE: Final = range(20_000, 32_000)
"""Below the ports that the kernel gives to outgoing connections (from 32768): one of those may be taken again by any
client before the server that it is meant for is up."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    while True:
        port = secrets.choice(_FREE)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((host, port))
            return port


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
