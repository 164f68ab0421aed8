"""Commands: up, down, status, kafka-setup, airflow, airflow-setup, notify-operators."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command("kafka-setup")(kafka_setup)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(airflow)
    app.command("airflow-setup")(airflow_setup)
    app.command("notify-operators")(notify_operators)
    app.command("tell-operators", hidden=True, deprecated=True)(notify_operators)  # its name up to 0.1


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
    """Show what runs, since when and where, and how far behind each layer is."""
    from cli.status import show
    from infra import settings

    show(settings.load(), as_json=json)


def kafka_setup() -> None:
    """Create the topics that Kafka lacks, with their settings. Run it once before the processes; `up` does it, too."""
    from infra import settings
    from infra.kafka.topics import TOPICS, create_topics

    create_topics(settings.load().kafka)
    typer.echo(f"topics ready: {', '.join(TOPICS)}")


def airflow(context: typer.Context) -> None:
    """Run Airflow's own command line on this home's Airflow, such as `peacewatch airflow dags list`.

    `api-server`, `scheduler`, `dag-processor` and `triggerer` are its long-running processes.
    AIRFLOW__… variables override what Peacewatch sets.
    """
    import os

    from cli.wiring import airflow
    from infra import settings

    arguments = context.args or ["--help"]
    program, environment = airflow.command(settings.load(), arguments, os.environ)
    os.execve(program[0], program, environment)  # noqa: S606 - with the rights of its caller


def airflow_setup() -> None:
    """Create Airflow's database tables and pools, or bring them up to date. Run it once before its processes start."""
    import os

    from cli.wiring import airflow
    from infra import settings

    program, environment = airflow.setup(settings.load(), os.environ)
    os.execve(program[0], program, environment)  # noqa: S606 - with the rights of its caller


def notify_operators(
    title: Annotated[str, typer.Option(help="what has happened, in a few words")],
    text: Annotated[str, typer.Option(help="the details")] = "",
    link: Annotated[str, typer.Option(help="where to look: an http address")] = "",
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
