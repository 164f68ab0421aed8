"""Commands: aggregate, compact."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from batch_layer.hours import CellsOf, Outcome, Progress
    from stack.settings import Settings

From = Annotated[str | None, typer.Option("--from", metavar="DATE|HOUR", help="first UTC date or hour: 2026-11-24T08")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE|HOUR", help="last UTC date or hour, inclusive")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="compute everything again, needed or not")]


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(aggregate)


def aggregate(first: From = None, last: To = None, rebuild: Rebuild = False) -> None:
    """Compute the hours again that reports landed since the last run have touched, or all hours of a range."""
    from batch_layer import database, hours, ranges
    from stack import logs, settings

    wanted = ranges.hours(first, last)
    logs.configure("aggregate")
    loaded = settings.load()
    with database.connect(loaded.mongo) as documents, _progress("hours") as progress:
        job = hours.Job(documents, loaded.lake_location, lambda: _spark(loaded), progress)
        done = hours.run(job, wanted, rebuild=rebuild)
    typer.echo(_told(done))


def _spark(loaded: Settings) -> AbstractContextManager[CellsOf]:
    from batch_layer import aggregate, session
    from stack.java import java

    return aggregate.engine(
        session.SparkConfig(loaded.spark_master, java=java(), scratch=loaded.home.resolve() / "spark")
    )


def _told(done: Outcome) -> str:
    if not done.hours:
        return f"nothing to do: the figures are those of version {done.version} of the lake"
    left = "" if done.kind == "hours" else "; hours outside the range still wait for a run without one"
    return f"{done.hours} hours computed at version {done.version} of the lake, {done.written} replaced{left}"


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
