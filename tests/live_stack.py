"""The alerts' way with its records and the web server, as shipped."""

from __future__ import annotations

from pathlib import Path

import httpx
from alert_stack import UNLIMITED, AlertStack

from stack import mongo, ports

READY_SECONDS = 240


class LiveStack(AlertStack):
    """`url` is the stand-in's address, `page` the web server's."""

    def __init__(self, home: Path) -> None:
        web = ports.free_port()
        self.database = mongo.start(home, ports.free_port())
        self.page = f"http://127.0.0.1:{web}"
        settings = {"PEACEWATCH_MONGO_URI": self.database.uri, "PEACEWATCH_WEB_PORT": str(web)}
        super().__init__(home, **settings, PEACEWATCH_LAKE=str(home / "lake"))

    def open(self) -> None:
        """Starts all of it; the machine may be busy."""
        self.start("discord-standin").wait_ready(lambda: answers(f"{self.url}/control/state"), READY_SECONDS)
        self.limits(**UNLIMITED)
        for command in ("alerting", "notify", "record"):
            self.start(command)
        self.serve()

    def serve(self) -> None:
        """Starts the web server and waits until it answers."""
        self.start("serve").wait_ready(lambda: answers(f"{self.page}/readyz"), READY_SECONDS)

    def close(self) -> None:
        super().close()
        self.database.kill()


def answers(address: str) -> bool:
    """Whether a server there says that all is well."""
    try:
        return httpx.get(address, timeout=5).is_success
    except httpx.HTTPError:
        return False
