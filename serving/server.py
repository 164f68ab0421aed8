"""gunicorn, started from within: one worker process with many threads, which share what is held in memory."""

from __future__ import annotations

import threading
from typing import Any, Final

from flask_openapi3.openapi import OpenAPI
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from serving.app import create_app
from serving.config import Config
from serving.services import connect

THREADS: Final = 256
"""An open event stream holds a thread; 200 of them and requests beside."""


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with the settings below and nothing of the command line.

    `run()` serves until SIGTERM or SIGINT, and ends the process with exit code 0.
    """

    def __init__(self, config: Config, host: str, port: int) -> None:
        self._config = config
        self._bind = f"{host}:{port}"
        super().__init__()

    def load_config(self) -> None:
        wanted: dict[str, Any] = {
            "bind": self._bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "worker_connections": 2000,
            "graceful_timeout": 5,
            "timeout": 60,
            "keepalive": 75,
            "proc_name": "peacewatch-serving",
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in wanted.items():
            self.cfg.set(name, value)

    def load(self) -> OpenAPI:
        services = connect(self._config)
        threading.Thread(target=services.warm, name="warm", daemon=True).start()
        return create_app(self._config, services)
