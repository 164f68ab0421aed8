"""Commands: doctor, trace and healthcheck."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(doctor)
    app.command()(trace)
    app.command()(healthcheck)


def doctor(json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False) -> None:
    """Check Kafka, MongoDB, the lake, Spark, Airflow and Discord, and say how to fix what is wrong (exit code 1)."""
    from json import dumps

    from rich.console import Console

    from cli.doctor import finding, run
    from fleet.errors import BadSettings
    from infra import settings

    try:
        loaded = settings.load()
    except BadSettings as error:
        findings = [finding.wrong("settings", "valid", str(error), "correct it: docs/settings.md lists all settings")]
    else:
        with Console(stderr=True, quiet=json).status("checking") as status:
            findings = run.run(loaded, lambda part: status.update(f"checking {part}"))
    if json:
        typer.echo(dumps([finding.as_json() for finding in findings], indent=1))
    else:
        Console().print(finding.table(findings))
    if any(finding.verdict == "wrong" for finding in findings):
        raise typer.Exit(1)


def trace(
    drone: Annotated[str, typer.Argument(help="the drone's id")],
    report: Annotated[str, typer.Argument(help="the report's id")],
    day: Annotated[
        str | None, typer.Option("--day", metavar="DATE", help="the report's UTC day: faster in a large lake")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="as JSON, for programs")] = False,
) -> None:
    """Show what became of one report, from topic to lake to alert to Discord message. Exit code 1: nothing was found.

    It shows topic, partition and offset, the lake's file and commit, duplicates, rejections with their reason, alerts,
    incidents and messages.
    """
    from datetime import date
    from json import dumps

    from rich.console import Console

    from cli.trace import run, steps
    from fleet.errors import BadInput
    from fleet.text import escaped
    from infra import settings

    for name, given in (("DRONE", drone), ("REPORT", report)):
        if any("\ud800" <= character <= "\udfff" for character in given):  # how Python decodes bytes that are not text
            raise BadInput(name, "is not UTF-8 text")
    try:
        chosen = None if day is None else date.fromisoformat(day)
    except ValueError:
        raise BadInput("--day", f"{day!r} is not a date; give one such as 2026-11-24") from None
    traced = run.run(settings.load(), drone, report, chosen)
    if json:
        typer.echo(escaped(dumps(traced.as_json(), indent=1, ensure_ascii=False)))
    else:
        console = Console(highlight=False)
        console.print(steps.table(traced.steps))
        console.print(escaped(traced.state), markup=False)
        for reason in traced.away.values():
            console.print(escaped(reason), markup=False)
    if not traced.steps:
        raise typer.Exit(1)


def healthcheck() -> None:
    """Ask the process on this machine's operations port whether it is alive. Exit code 1: it is not."""
    from http.client import HTTPConnection, HTTPException

    from fleet.errors import BadSettings
    from infra import settings

    loaded = settings.load()
    if loaded.operations_port is None:
        raise BadSettings("PEACEWATCH_OPERATIONS_PORT is not set: no process answers")
    connection = HTTPConnection(loaded.operations_probe_host.strip("[]"), loaded.operations_port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        typer.echo(answer.read().decode().strip())
        alive = answer.status == 200
    except (OSError, HTTPException) as error:
        typer.echo(f"no answer: {type(error).__name__}")
        alive = False
    finally:
        connection.close()
    if not alive:
        raise typer.Exit(1)
