"""A demo's stack: its services start with the demo and stop with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from infra import stop_signals
from infra.settings import Settings
from laptop.airflow import server
from laptop.airflow.api import AirflowApi
from laptop.demo.steps import Steps
from laptop.demo.watch import StackAddresses
from laptop.local_stack import Stack
from laptop.services import catalogue
from laptop.supervision.service import ServiceEvent, State

DOCS: Final = "/openapi/swagger"


@dataclass(frozen=True)
class Demo:
    """A running stack, and where its parts are."""

    settings: Settings

    @property
    def addresses(self) -> StackAddresses:
        settings = self.settings
        standin = None if settings.discord_webhook_url else f"http://{settings.host}:{settings.discord_port}"
        return StackAddresses(settings.kafka, settings.lake_location, settings.mongo, standin)

    def airflow_api(self) -> AirflowApi:
        airflow = catalogue.airflow_of(self.settings)
        return AirflowApi(airflow.url, server.USER, airflow.password)

    def where(self) -> Table:
        """Addresses and passwords, for people."""
        airflow, settings = catalogue.airflow_of(self.settings), self.settings
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_row("page", settings.web_url)
        table.add_row("API documentation", settings.web_url + DOCS)
        table.add_row("Airflow", f"{airflow.url}  user {server.USER}, password {airflow.password}")
        table.add_row("Discord", self.addresses.standin or "your webhook")
        table.add_row("logs", str(settings.home / "log"))
        return table


@contextmanager
def running(settings: Settings, steps: Steps, console: Console) -> Iterator[Demo]:
    """Starts everything as step `start`, and stops it however the block ends. SIGTERM acts like Ctrl-C."""

    def on_event(event: ServiceEvent) -> None:
        if event.state is State.PAUSING:
            console.print(f"{event.service} {event.text}", style="red", highlight=False)
        steps.say(f"{event.service} {event.text}")

    stack = Stack(settings, on_event=on_event)
    with stop_signals.interrupting(signal.SIGTERM):
        try:
            with steps.step("start", "Starting the stack"):
                stack.start()
            yield Demo(settings)
        finally:
            with console.status("Stopping the stack") if console.is_terminal else nullcontext():
                stack.stop()
