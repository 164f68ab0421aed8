"""Commands: up, down, status, airflow, tell-operators."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(airflow)
    app.command("tell-operators")(tell_operators)


def up() -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    from infra import settings
    from laptop import up

    up.run(settings.load())


def down() -> None:
    """Stop the stack of this home (PEACEWATCH_HOME), wherever it was started. Its data stays."""
    from infra import settings
    from laptop import down

    typer.echo(down.run(settings.load().home))


def status(json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False) -> None:
    """Show what runs, since when and where, and how far each layer has come."""
    from cli.status import show
    from infra import settings

    show(settings.load(), as_json=json)


def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line on this home's Airflow, such as `peacewatch airflow dags list`."""
    import os
    import sys

    from infra import settings
    from laptop.airflow import server
    from laptop.services import catalogue
    from laptop.supervision.environment import SECRETS_OF, of_ours

    loaded = settings.load()
    ours = of_ours({**os.environ, **catalogue.environment_of(loaded)}, SECRETS_OF["airflow-scheduler"])
    environ = {**ours, **catalogue.airflow_of(loaded).environment()}
    os.execve(sys.executable, server.program(*context.args), environ)  # noqa: S606 - as who asked for it


def tell_operators(
    title: Annotated[str, typer.Option(help="what has happened, in a few words")],
    text: Annotated[str, typer.Option(help="the details")] = "",
    link: Annotated[str, typer.Option(help="where to look, an http address")] = "",
) -> None:
    """Post a message to the operators' webhook, if one is set."""
    from contextlib import closing
    from datetime import UTC, datetime

    from cli.wiring import operators
    from infra import settings
    from speed_layer.notifying.discord.webhook import Webhook

    webhook = settings.load().operators_webhook
    if webhook is None:
        typer.echo("no operators' webhook is set (PEACEWATCH_OPERATORS_WEBHOOK_URL): nobody was notified")
        return
    with closing(Webhook(webhook)) as channel:
        operators.notify(channel, operators.message(title, text, link, datetime.now(UTC)))
    typer.echo("operators notified")
