"""Commands: replay and simulate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Rate = Annotated[float | None, typer.Option(help="reports a second")]


class ClockName(StrEnum):
    """fleet: row i at start + i minutes; drone: each drone's own rows one minute apart."""

    fleet = "fleet"
    drone = "drone"


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(replay)
    app.command()(simulate)


def replay(
    file: Annotated[Path, typer.Argument(help="CSV file with the eleven columns of the original data")],
    start: Annotated[str, typer.Option(help="time of the first row, such as 2021-03-22T00:00:00Z")],
    clock: Annotated[
        ClockName,
        typer.Option(
            help="fleet: row i is i minutes after the start; drone: each drone's own rows are one minute apart"
        ),
    ],
    rate: Rate = None,
    as_fast_as_possible: Annotated[bool, typer.Option("--as-fast-as-possible", help="no limit: the default")] = False,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="name the wrong rows and send the others")
    ] = False,
) -> None:
    """Send a CSV file as reports. The whole file is checked before anything is sent."""
    from cli import arguments
    from fleet.errors import BadInput
    from infra import settings
    from laptop.feed.run import Recording, replay_file

    if rate is not None and as_fast_as_possible:
        raise BadInput("--rate", "contradicts --as-fast-as-possible; give only one of them")
    recording = Recording(file, arguments.utc_time("--start", start), clock.value, skip_bad_rows)
    replay_file(settings.load().kafka, recording, None if rate is None else arguments.rate("--rate", rate))


def simulate(
    drones: Annotated[int, typer.Option(help="size of the fleet")] = 100,
    rate: Rate = None,
    seed: Annotated[int, typer.Option(help="the same seed gives the same fleet")] = 0,
    duration: Annotated[str | None, typer.Option(help="such as 90s, 5m or 2h; default: until Ctrl-C")] = None,
    start: Annotated[str | None, typer.Option(help="time of the first report; default: now")] = None,
) -> None:
    """Send a simulated fleet's reports. Without --rate each drone reports once a minute."""
    from datetime import UTC, datetime

    from cli import arguments
    from infra import settings
    from laptop.feed.run import Simulation, simulate_fleet

    simulation = Simulation(
        drones=drones,
        rate=arguments.rate("--rate", rate if rate is not None else max(drones, 1) / 60),
        seed=seed,
        duration=None if duration is None else arguments.duration("--duration", duration),
        start=datetime.now(UTC) if start is None else arguments.utc_time("--start", start),
    )
    simulate_fleet(settings.load().kafka, simulation)
