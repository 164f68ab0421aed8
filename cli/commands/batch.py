"""Command: aggregate."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from batch_layer.job import Job, Outcome
    from batch_layer.lake.alert_landing import AlertLandingConfig

From = Annotated[
    str | None, typer.Option("--from", metavar="DATE|HOUR", help="first UTC date or hour, such as 2026-11-24T08")
]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|HOUR", help="last UTC date or hour, inclusive")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="recompute everything, whether needed or not")]


class View(StrEnum):
    """What `aggregate` computes: hour documents, drone days and the counts of drones, days of alerts, or all."""

    ALL = "all"
    HOURS = "hours"
    DRONES = "drones"
    ALERTS = "alerts"


Views = Annotated[
    View,
    typer.Option("--views", help="what to compute; `drones` reads whole days, so run it once a day for a large fleet"),
]


def register(app: typer.Typer) -> None:
    """Adds this group's command to `app`."""
    app.command()(aggregate)


def aggregate(first: From = None, last: To = None, rebuild: Rebuild = False, views: Views = View.ALL) -> None:
    """Recompute the hours and days that have received reports since the last run, or everything in a range."""
    from dataclasses import replace

    from batch_layer import engine, ranges
    from batch_layer.completeness import completeness
    from batch_layer.views import drones, hours, publish
    from cli.wiring import batch
    from infra import logs, settings
    from infra.mongo import client

    requested, refused = ranges.hours(first, last), publish.Refusals()
    both = views == View.ALL
    logs.configure("aggregate")
    loaded = settings.load()
    with client.connect(loaded.mongo) as documents, engine.kept(lambda: batch.engine(loaded)) as start:
        job = batch.job(loaded, documents, start)
        if views in (View.ALL, View.HOURS):
            with refused, batch.progress("hours") as progress:
                done = hours.run(replace(job, progress=progress), requested, rebuild=rebuild, both=both)
                typer.echo(_summary("hours", done))
        if views in (View.ALL, View.DRONES):
            with refused, batch.progress("drone days") as progress:
                done = drones.run(replace(job, progress=progress), requested, rebuild=rebuild, both=both)
                typer.echo(_summary("drone days", done))
        if views != View.ALERTS:
            with refused:
                typer.echo(f"completeness: {completeness.run(job)} days checked")
        if views in (View.ALL, View.ALERTS):
            with refused:
                _alerts(job, batch.alert_landing(loaded), requested, rebuild=rebuild, needed=views == View.ALERTS)
        refused.raise_any()


def _alerts(job: Job, config: AlertLandingConfig, requested: range | None, *, rebuild: bool, needed: bool) -> None:
    """Days of alerts. Without Kafka only landed alerts are counted; ServiceUnavailable is raised only if `needed`."""
    from structlog import get_logger

    from batch_layer.lake import alert_landing
    from batch_layer.views import alert_days
    from fleet.errors import ServiceUnavailable

    away: ServiceUnavailable | None = None
    try:
        landed = alert_landing.land(config)
        lost = f"; {landed.lost} expired from the topic before, and are in no figure" if landed.lost else ""
        typer.echo(f"alerts: {landed.alerts} landed{lost}")
    except ServiceUnavailable as error:
        away = error
    typer.echo(_summary("days of alerts", alert_days.run(job, requested, rebuild=rebuild)))
    if away is not None and needed:
        raise away
    if away is not None:
        get_logger().warning("the newest alerts wait for the next run", reason=away)


def _summary(what: str, done: Outcome) -> str:
    if done.version < 0:
        return f"{what}: none"
    if not done.computed:
        return f"{what}: nothing to do, the figures are those of version {done.version} of the lake"
    left = "; hours outside the range wait for a run without a range" if done.kind == "range" else ""
    return f"{what}: {done.computed} computed at version {done.version} of the lake{left}"
