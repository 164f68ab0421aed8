"""Commands: up, down, status."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up() -> None:
    """Start everything on this machine, keep it running, and stop it at Ctrl-C."""
    from stack import settings, up

    up.run(settings.load())


def down() -> None:
    """Stop the stack that runs in this home, wherever it was started. Its data stays."""
    from stack import down, settings

    typer.echo(down.run(settings.load().home))


def status(json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False) -> None:
    """Show what runs, since when and where, and how far each layer is."""
    from stack import settings
    from stack.status import show

    show(settings.load(), as_json=json)
