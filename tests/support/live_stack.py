"""The alert pipeline with its records and the web server, as shipped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database

from laptop import ports
from laptop.services import mongo
from tests.support.alert_stack import UNLIMITED, AlertStack
from tests.support.waiting import answers

READY_SECONDS = 240


class LiveStack(AlertStack):
    """`url` is the stand-in's address, `page` the web server's."""

    def __init__(self, home: Path) -> None:
        web = ports.free_port()
        self.database = mongo.start(home, ports.free_port())
        self.page = f"http://127.0.0.1:{web}"
        super().__init__(
            home,
            PEACEWATCH_MONGO_URI=self.database.uri,
            PEACEWATCH_WEB_PORT=str(web),
            PEACEWATCH_LAKE=str(home / "lake"),
        )

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

    def guard(self, **settings: str) -> str:
        """The address of a second web server, over the same stack, with more `settings` (`API_TOKENS="…"`)."""
        port, as_it_is = ports.free_port(), self.environ
        more = {f"PEACEWATCH_{name}": value for name, value in settings.items()}
        self.environ = self.environ | {"PEACEWATCH_WEB_PORT": str(port), **more}
        address = f"http://127.0.0.1:{port}"
        self.start("serve", "guarded").wait_ready(lambda: answers(f"{address}/readyz"), READY_SECONDS)
        self.environ = as_it_is
        return address

    @contextmanager
    def documents(self) -> Iterator[Database[dict[str, Any]]]:
        """The stack's MongoDB, for what no command of it writes."""
        with MongoClient[dict[str, Any]](self.database.uri, tz_aware=True) as client:
            yield client.get_default_database()

    def close(self) -> None:
        super().close()
        self.database.kill()
