"""Ports of the local services."""

from __future__ import annotations

import socket

from fleet.errors import ServiceUnavailable


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
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
