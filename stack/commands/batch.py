"""Command: aggregate."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from batch_layer.hours import Outcome

From = Annotated[str | None, typer.Option("--from", metavar="DATE|HOUR", help="first UTC date or hour: 2026-11-24T08")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|HOUR", help="last UTC date or hour, inclusive")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="compute everything again, needed or not")]


class View(StrEnum):
    """What `aggregate` computes: hour documents, drone days with the counts of drones, or both."""

    ALL = "all"
    HOURS = "hours"
    DRONES = "drones"


Views = Annotated[View, typer.Option("--views", help="drones reads whole days, so a large fleet's runs once a day")]


def register(app: typer.Typer) -> None:
    """Adds this group's command to `app`."""
    app.command()(aggregate)


def aggregate(first: From = None, last: To = None, rebuild: Rebuild = False, views: Views = View.ALL) -> None:
    """Compute again what reports landed since the last run have touched, or all of a range."""
    from batch_layer import completeness, database, drones, engine, hours, ranges
    from stack import batch, logs, settings

    wanted = ranges.hours(first, last)
    logs.configure("aggregate")
    loaded = settings.load()
    with database.connect(loaded.mongo) as documents, engine.kept(lambda: batch.spark(loaded)) as start:
        if views in (View.ALL, View.HOURS):
            with batch.progress("hours") as progress:
                job = hours.Job(documents, loaded.lake_location, start, progress)
                typer.echo(_told("hours", hours.run(job, wanted, rebuild=rebuild)))
        if views in (View.ALL, View.DRONES):
            with batch.progress("drone days") as progress:
                job = hours.Job(documents, loaded.lake_location, start, progress)
                typer.echo(_told("drone days", drones.run(job, wanted, rebuild=rebuild)))
        days = completeness.run(hours.Job(documents, loaded.lake_location, start))
        typer.echo(f"completeness: {days} days looked at")


def _told(what: str, done: Outcome) -> str:
    if not done.computed:
        return f"{what}: nothing to do, the figures are those of version {done.version} of the lake"
    left = "; hours outside the range still wait for a run without one" if done.kind == "range" else ""
    return f"{what}: {done.computed} computed at version {done.version} of the lake{left}"
