"""A relay before a server: what the server sends right before it closes arrives in one piece with the end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

QUIET: Final = 0.3
"""A server that was silent for so many seconds waits for an answer. Kafka closes 0.1 s after it has refused."""


@contextmanager
def relayed(address: str) -> Iterator[str]:
    """The relay's host:port before the server at `address`."""
    host, _, port = address.rpartition(":")
    with socket.create_server((host, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, (host, int(port))), daemon=True).start()
        yield f"{host}:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, server: tuple[str, int]) -> None:
    with suppress(OSError):  # until the test closes it
        while True:
            client, _ = listener.accept()
            outward = socket.create_connection(server)
            outward.settimeout(QUIET)
            threading.Thread(target=_pass_on, args=(client, outward), daemon=True).start()
            threading.Thread(target=_hold_back, args=(outward, client), daemon=True).start()


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while data := client.recv(65536):
            server.sendall(data)


def _hold_back(server: socket.socket, client: socket.socket) -> None:
    held = b""
    with client, server, suppress(OSError):
        while True:
            try:
                data = server.recv(65536)
            except TimeoutError:
                client.sendall(held)
                held = b""
                continue
            held += data
            if not data:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the data and the end in one segment
                client.sendall(held)
                client.shutdown(socket.SHUT_RDWR)
                return
