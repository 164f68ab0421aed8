"""Commands: land, and rejects list and replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra import gc_tuning, logs, settings, stop_signals


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command("land")(land)
    group = typer.Typer(
        help="List and resend rejected messages: those on the topic `reports` that are not reports.",
        no_args_is_help=True,
    )
    group.command("list")(list_rejected)
    group.command("replay")(replay_rejected)
    app.add_typer(group, name="rejects")


def land() -> None:
    """Land every report in the lake, exactly once, until stopped. Several processes share the work.

    It is configured by PEACEWATCH_ settings alone.
    """
    logs.configure("landing")
    loaded = settings.load()
    with stop_signals.stop_event() as stop:
        from cli.wiring import landing, operations

        operations.serve(loaded, "land", old="landing_metrics_port")
        lander = landing.lander(loaded)
        gc_tuning.spare()
        lander(stop)


def list_rejected(
    reason: Annotated[str | None, typer.Option(help="only messages with this reason")] = None,
) -> None:
    """Print every rejected message, one JSON object a line, with everything needed to correct and replay it."""
    from fleet.topics import REJECTED
    from speed_layer.landing import rejected, rejected_file

    for message in rejected.read(settings.load().kafka, REJECTED, reason):
        typer.echo(rejected_file.line(message))


def replay_rejected(
    file: Annotated[
        Path | None, typer.Argument(help="corrected lines of `rejects list`; default: all messages, unchanged")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="only messages with this reason")] = None,
) -> None:
    """Send rejected messages to `reports` again with their keys: those in a corrected file, or all, unchanged."""
    from fleet.topics import REJECTED, REPORTS
    from speed_layer.landing import rejected, rejected_file

    logs.configure("rejects")  # else what the topic refuses would be a line of stdout
    bootstrap = settings.load().kafka
    if file is not None:
        chosen = [message for message in rejected_file.read(file) if reason in {None, message.headers.get("reason")}]
    else:
        chosen = list(rejected.read(bootstrap, REJECTED, reason))
    typer.echo(f"{rejected.replay(bootstrap, chosen, REPORTS)} rejected messages replayed")
