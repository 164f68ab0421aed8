"""Command: demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.commands.feed import ClockName


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="run one round, then stop")] = False,
    csv: Annotated[Path | None, typer.Option(help="with --once: send this file, not a simulated fleet")] = None,
    start: Annotated[
        str | None, typer.Option(help="with --csv: time of the first row, such as 2021-03-22T00:00:00Z")
    ] = None,
    clock: Annotated[ClockName | None, typer.Option(help="with --csv: fleet or drone, as in `replay`")] = None,
    summary: Annotated[Path | None, typer.Option(help="with --once: write the result to this file, as JSON")] = None,
    drones: Annotated[int, typer.Option(help="size of the simulated fleet")] = 600,
    rate: Annotated[float, typer.Option(help="reports a second of the simulated fleet")] = 20,
    seed: Annotated[int, typer.Option(help="the same seed gives the same fleet")] = 0,
) -> None:
    """Start everything, stream a simulated fleet and show what happens, until Ctrl-C. --once runs a single round."""
    from cli import arguments
    from fleet.errors import BadInput

    if not once and (csv or summary):
        raise BadInput("--csv" if csv else "--summary", "needs --once")
    if csv is None and (start or clock):
        raise BadInput("--start" if start else "--clock", "needs --csv")
    if csv is not None and (start is None or clock is None):
        raise BadInput("--csv", "needs --start and --clock, which give its rows their times")
    since = arguments.utc_time("--start", start) if start else None
    reports_per_second = arguments.rate("--rate", rate)

    from laptop.demo import demo
    from laptop.feed.run import Recording

    if not once:
        demo.live(drones, reports_per_second, seed)
    elif csv and since and clock:
        demo.one_round(Recording(csv, since, clock.value), seed, summary)
    else:
        demo.one_round(None, seed, summary)
