"""`peacewatch up`: the stack in a terminal, until Ctrl-C, SIGTERM or `peacewatch down`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from infra import stop_signals
from infra.settings import Settings
from laptop.airflow import server
from laptop.local_stack import Stack
from laptop.supervision.service import ServiceEvent, State

_STYLES = {State.RUNNING: "green", State.DONE: "green", State.PAUSING: "red", State.STOPPED: "dim"}


def run(settings: Settings) -> None:
    """Returns when the stack has been stopped. Raises what `Stack.start` raises."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)

    def on_event(event: ServiceEvent) -> None:
        console.print(f"[{_STYLES.get(event.state, 'default')}]{event.service:<22}[/] {event.text}", soft_wrap=True)

    stack = Stack(settings, on_event=on_event)
    # Signals work also while it starts.
    with stop_signals.calling(stack.ask_to_stop, stop_signals.TERMINAL):
        if stack.start():
            console.print(where(stack), soft_wrap=True)
        stack.wait()
    console.print("stopped; the data stays")


def where(stack: Stack) -> Table:
    """Addresses and passwords, for people."""
    settings = stack.settings
    table = Table.grid(padding=(0, 2))
    table.add_row("page", settings.web_url)
    table.add_row("Airflow", f"{stack.airflow.url}  user {server.USER}, password {stack.airflow.password}")
    if settings.discord_webhook_url is None:
        table.add_row("Discord", f"http://{settings.host}:{settings.discord_port}")
    table.add_row("logs", str(settings.home.resolve() / "log"))
    table.add_row("", "Ctrl-C or `peacewatch down` stops it")
    return table
