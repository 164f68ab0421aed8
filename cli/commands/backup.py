"""Commands: backup, restore."""

from __future__ import annotations

from typing import Annotated

import typer

To = Annotated[
    str, typer.Option("--to", metavar="FOLDER", help="a folder or s3:// address; each backup gets a subfolder")
]
From = Annotated[str, typer.Option("--from", metavar="FOLDER", help="the folder given to `backup --to`")]
Name = Annotated[
    str | None, typer.Option("--name", help="a backup, such as 20261124T020000Z-5d1e90c7; default: the newest")
]


def register(app: typer.Typer) -> None:
    """Adds this group's commands to `app`."""
    app.command()(backup)
    app.command()(restore)


def backup(to: To) -> None:
    """Back up what the lake cannot restore: incidents, actions, completeness, losses, reports, seals.

    It can run while everything else runs.
    """
    from datetime import UTC, datetime

    from infra import logs, settings
    from infra.folder import Folder
    from infra.mongo import backup as backups
    from infra.mongo import client

    logs.configure("backup")
    _require_location("--to", to)
    loaded = settings.load()
    with client.connect(loaded.mongo, "backup") as database:
        done = backups.take(database, Folder(loaded.lake_location), Folder(to), datetime.now(UTC))
    lake = sum(path.startswith("lake/") for path in done.manifest.files)
    typer.echo(f"{done.name}: {done.many:,} documents and {lake} files of the lake saved")


def restore(source: From, name: Name = None) -> None:
    """Restore a backup into an empty MongoDB, and the lake's missing files. Then run `aggregate`."""
    from pathlib import Path

    from fleet.errors import BadInput
    from infra import logs, settings
    from infra.folder import Folder
    from infra.mongo import backup as backups
    from infra.mongo import client

    logs.configure("restore")
    _require_location("--from", source)
    if "://" not in source and not Path(source).is_dir():  # a Folder would make it
        raise BadInput("--from", f"no such folder: {source}")
    loaded = settings.load()
    newest = backups.newest(Folder(source), name)
    with client.connect(loaded.mongo, "restore") as database:
        files = backups.restore(database, Folder(loaded.lake_location), newest)
    typer.echo(f"{newest.name}: {newest.many:,} documents and {files} files of the lake restored; now run aggregate")


def _require_location(option: str, location: str) -> None:
    from fleet.errors import BadInput
    from infra import locations

    try:
        locations.require(location)
    except ValueError as error:
        raise BadInput(option, str(error)) from None
