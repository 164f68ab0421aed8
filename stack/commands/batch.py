"""Commands: aggregate, compact, vacuum."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from batch_layer.engine import Engine
    from batch_layer.hours import Outcome, Progress
    from batch_layer.snapshot import Snapshot
    from stack.settings import Settings

From = Annotated[str | None, typer.Option("--from", metavar="DATE|HOUR", help="first UTC date or hour: 2026-11-24T08")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|HOUR", help="last UTC date or hour, inclusive")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="compute everything again, needed or not")]

DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]
Retention = Annotated[int, typer.Option("--hours", min=1, help="keep what any version of these last hours needs")]


class View(StrEnum):
    """What `aggregate` computes: hour documents, drone days with the counts of drones, or both."""

    ALL = "all"
    HOURS = "hours"
    DRONES = "drones"


Views = Annotated[View, typer.Option("--views", help="drones reads whole days, so a large fleet's runs once a day")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(aggregate)
    app.command()(compact)
    app.command()(vacuum)


def aggregate(first: From = None, last: To = None, rebuild: Rebuild = False, views: Views = View.ALL) -> None:
    """Compute again what reports landed since the last run have touched, or all of a range."""
    from batch_layer import completeness, database, drones, engine, hours, ranges
    from stack import logs, settings

    wanted = ranges.hours(first, last)
    logs.configure("aggregate")
    loaded = settings.load()
    with database.connect(loaded.mongo) as documents, engine.kept(lambda: _spark(loaded)) as start:
        if views in (View.ALL, View.HOURS):
            with _progress("hours") as progress:
                job = hours.Job(documents, loaded.lake_location, start, progress)
                typer.echo(_told("hours", hours.run(job, wanted, rebuild=rebuild)))
        if views in (View.ALL, View.DRONES):
            with _progress("drone days") as progress:
                job = hours.Job(documents, loaded.lake_location, start, progress)
                typer.echo(_told("drone days", drones.run(job, wanted, rebuild=rebuild)))
        days = completeness.run(hours.Job(documents, loaded.lake_location, start))
        typer.echo(f"completeness: {days} days looked at")


def compact(dry_run: DryRun = False) -> None:
    """Join the lake's small files; files of closed hours get sorted by drone and time. Safe beside landing."""
    from time import time

    from batch_layer import compact as compaction
    from batch_layer import snapshot
    from stack import logs, settings

    logs.configure("compact")
    lake = settings.load().lake_location
    pinned = snapshot.pin(lake)
    planned = compaction.groups(pinned, int(time()) // 3600)
    typer.echo(f"{_lake_size(pinned)}; {sum(len(group.files) for group in planned)} files to join in {len(planned)}")
    if dry_run or not planned:
        return
    with _progress("files") as progress:
        finished = 0

        def step(done: compaction.Done) -> None:
            nonlocal finished
            finished += 1
            progress(finished, len(planned))
            if done.reason:
                typer.echo(f"left alone, {done.reason}", err=True)

        compaction.run(lake, planned, step)
    typer.echo(_lake_size(snapshot.pin(lake)))


def vacuum(dry_run: DryRun = False, hours: Retention = 24) -> None:
    """Delete files that no reader needs any more; never those of the published version or later ones."""
    from datetime import timedelta

    from batch_layer import database
    from batch_layer import vacuum as cleaning
    from stack import logs, settings

    logs.configure("vacuum")
    loaded = settings.load()
    with database.connect(loaded.mongo) as documents:
        gone = cleaning.run(documents, loaded.lake_location, timedelta(hours=hours), dry_run=dry_run)
    typer.echo(f"{len(gone)} files {'would be deleted' if dry_run else 'deleted'}")


def _lake_size(pinned: Snapshot) -> str:
    files = [file for each in pinned.hours.values() for file in each]
    return f"version {pinned.version}: {len(files)} files, {sum(file.size for file in files) / 1e6:,.1f} MB"


def _spark(loaded: Settings) -> AbstractContextManager[Engine]:
    from batch_layer import aggregate, session
    from stack.java import java

    return aggregate.start(
        session.SparkConfig(loaded.spark_master, java=java(), scratch=loaded.home.resolve() / "spark")
    )


def _told(what: str, done: Outcome) -> str:
    if not done.computed:
        return f"{what}: nothing to do, the figures are those of version {done.version} of the lake"
    left = "; hours outside the range still wait for a run without one" if done.kind == "range" else ""
    return f"{what}: {done.computed} computed at version {done.version} of the lake{left}"


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """A bar on a terminal; elsewhere a line in the log."""
    if not sys.stderr.isatty():
        import structlog

        log = structlog.get_logger()
        yield lambda done, total: log.info("computed", what=what, done=done, total=total)
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
