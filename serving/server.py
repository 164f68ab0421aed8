"""The web server: uvicorn's event loop holds the connections, threads of the application answer the requests.

One process, because all requests share what is held in memory (figures, drones, the response cache).
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
import threading
from functools import partial
from typing import Any, Final

import uvicorn

from serving.app import create_app
from serving.config import Config
from serving.front.connections import Connections
from serving.front.protocol import IDLE_SECONDS, Connection
from serving.front.requests import Requests
from serving.services import Services, connect

MAX_CONNECTIONS: Final = 16_000
"""Open at once, some 10 KB each; fewer where the system lets a process open fewer files."""

OTHER_FILES: Final = 500
"""Files that the process needs besides its clients' connections: MongoDB, Kafka, the lake's files."""

SHUTDOWN_SECONDS: Final = 5
"""How long a stopping server waits for requests in progress."""


class Server(uvicorn.Server):
    """uvicorn's server, which ends event streams before it waits for requests to end."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        threading.Thread(target=self._services.close, name="close", daemon=True).start()
        await super().shutdown(sockets)


def make(config: Config, services: Services, host: str, port: int) -> tuple[Server, Requests]:
    """The server of `config` at `host` and `port`, not yet started, and its Requests."""
    requests = Requests(create_app(config, services), config.stream_clients)
    connections = Connections(most_connections())
    wanted: dict[str, Any] = {
        "http": partial(Connection, connections=connections),
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "proxy_headers": bool(config.proxies),
        "forwarded_allow_ips": list(config.proxies),
        "server_header": False,
        "access_log": False,
        "log_config": None,
        "timeout_keep_alive": IDLE_SECONDS,
        "timeout_graceful_shutdown": SHUTDOWN_SECONDS,
        "backlog": 4096,
    }
    return Server(uvicorn.Config(requests, host, port, **wanted), services), requests


def serve(config: Config, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; ends the process with exit code 0."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a stranger's bad request is not worth a warning
    services = connect(config)
    threading.Thread(target=services.warm, name="warm", daemon=True).start()
    server, requests = make(config, services, host, port)
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: None)  # uvicorn raises the signal again when it has stopped
    server.run()
    requests.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if server.started else 1)  # a thread that waits for MongoDB must not delay the exit


def most_connections() -> int:
    """MAX_CONNECTIONS, or as many as the system's limit on open files allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + OTHER_FILES
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(OTHER_FILES, allowed - OTHER_FILES)
