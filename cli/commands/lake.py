"""Commands: compact, seal, vacuum, trim-log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from infra.settings import MOST_DAYS

if TYPE_CHECKING:
    from pyarrow import Schema

    from batch_layer.lake.compact import Compacted
    from infra.delta import Snapshot

MOST_HOURS = MOST_DAYS * 24

DryRun = Annotated[bool, typer.Option("--dry-run", help="only print what would be done")]
Retention = Annotated[
    int,
    typer.Option(
        "--hours",
        metavar="HOURS",
        min=1,
        max=MOST_HOURS,
        help="keep the files that a version of the past HOURS hours needs",
    ),
]
KeptDays = Annotated[
    int | None,
    typer.Option(
        "--keep-days",
        metavar="DAYS",
        min=1,
        max=MOST_DAYS,
        help="keep DAYS whole days before today; default: PEACEWATCH_RETENTION_DAYS",
    ),
]
QuietHours = Annotated[
    int,
    typer.Option(
        "--quiet-hours",
        metavar="HOURS",
        min=0,
        max=MOST_HOURS,
        help="keep a day that received reports in the past HOURS hours",
    ),
]
LogDays = Annotated[
    int,
    typer.Option(
        "--days", metavar="DAYS", min=1, max=MOST_DAYS, help="keep the log of the versions of the past DAYS days"
    ),
]


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(compact)
    app.command()(seal)
    app.command()(vacuum)
    app.command()(trim_log)


def compact(dry_run: DryRun = False) -> None:
    """Merge the lake's small files, and sort those of closed hours by drone and time. Safe while landing runs."""
    from batch_layer.lake import external_sort
    from cli.wiring import batch
    from fleet.alerts import landed_alert
    from fleet.reports import landed
    from infra import delta, logs, settings

    logs.configure("compact")
    loaded = settings.load()
    if not dry_run:
        batch.scratch(loaded)
    disk_full = None
    try:
        _compact(loaded.lake_location, delta.TABLE, landed.SCHEMA, dry_run=dry_run)
    except external_sort.DiskFull as error:
        disk_full = error
    try:
        _compact(loaded.lake_location, delta.ALERTS, landed_alert.SCHEMA, dry_run=dry_run)
    except delta.NothingLanded:
        typer.echo("alerts: none")
    if disk_full is not None:
        raise disk_full


def _compact(lake: str, table: str, schema: Schema, *, dry_run: bool) -> None:
    from time import time

    from structlog import get_logger

    from batch_layer.lake import compact as compaction
    from cli.wiring import batch
    from infra import delta

    pinned = delta.pin(lake, table=table, schema=schema)
    planned = compaction.groups(pinned, int(time()) // 3600)
    many = sum(len(group.files) for group in planned)
    typer.echo(f"{table}: {_lake_size(pinned)}; {many} files to merge into {len(planned)}")
    if dry_run or not planned:
        return
    with batch.progress("files") as show:
        finished = 0

        def step(done: Compacted) -> None:
            nonlocal finished
            finished += 1
            show(finished, len(planned))
            if done.reason:
                get_logger().warning("files were not merged", reason=done.reason)

        compaction.run(lake, planned, compaction.CompactionOptions(step, at_once=compaction.AT_ONCE), table, schema)
    typer.echo(f"{table}: {_lake_size(delta.pin(lake, table=table, schema=schema))}")


def seal(dry_run: DryRun = False, keep_days: KeptDays = None, quiet_hours: QuietHours = 24) -> None:
    """Remove the raw reports of old days from the lake. The figures stay; later reports of those days are rejected."""
    from datetime import UTC, datetime, timedelta

    from batch_layer import engine
    from batch_layer.retention import seal as sealing
    from cli.wiring import batch
    from fleet.reports.sealed import last_to_seal
    from infra import delta, logs, settings
    from infra.mongo import client

    logs.configure("seal")
    loaded = settings.load()
    retention_days = keep_days or loaded.retention_days
    if retention_days is None:
        typer.echo("all days are kept: PEACEWATCH_RETENTION_DAYS is not set")
        return
    with client.connect(loaded.mongo) as documents, engine.kept(lambda: batch.engine(loaded)) as start:
        job = batch.job(loaded, documents, start)
        pinned = delta.pin(job.lake)
        now = datetime.now(UTC)
        plan = sealing.make_plan(
            documents, pinned, last_to_seal(now, retention_days), now - timedelta(hours=quiet_hours)
        )
        days = f"{plan.days[0]} to {plan.days[-1]}, " if plan.days else ""
        typer.echo(f"{days}{len(plan.days)} days to seal: {len(plan.files)} files, {plan.size / 1e6:,.1f} MB")
        if plan.waits:
            typer.echo(plan.waits)
        if plan.days and not dry_run:
            done = sealing.run(job, plan.days[-1])
            typer.echo(f"{len(done)} days sealed; {_lake_size(delta.pin(job.lake))}")


def vacuum(dry_run: DryRun = False, hours: Retention = 24) -> None:
    """Delete files that no reader needs any more. Those of the published version and later ones are always kept."""
    from datetime import timedelta

    from batch_layer.retention import vacuum as cleaning
    from infra import logs, settings
    from infra.mongo import client

    logs.configure("vacuum")
    loaded = settings.load()
    with client.connect(loaded.mongo) as documents:
        deleted = cleaning.run(documents, loaded.lake_location, timedelta(hours=hours), dry_run=dry_run)
    deleted += cleaning.alerts(loaded.lake_location, timedelta(hours=hours), dry_run=dry_run)
    typer.echo(f"{len(deleted)} files {'would be deleted' if dry_run else 'deleted'}")


def trim_log(dry_run: DryRun = False, days: LogDays = 7) -> None:
    """Write a checkpoint of the lake's log, and delete its files of versions that nothing needs any more."""
    from datetime import timedelta

    from batch_layer.retention import delta_log
    from infra import logs, settings
    from infra.mongo import client

    logs.configure("trim-log")
    loaded = settings.load()
    with client.connect(loaded.mongo) as documents:
        deleted = delta_log.run(documents, loaded.lake_location, timedelta(days=days), dry_run=dry_run)
    typer.echo(f"{len(deleted)} files of the log {'would be deleted' if dry_run else 'deleted'}")


def _lake_size(pinned: Snapshot) -> str:
    files = [file for hour_files in pinned.hours.values() for file in hour_files]
    return f"version {pinned.version}: {len(files)} files, {sum(file.size for file in files) / 1e6:,.1f} MB"
