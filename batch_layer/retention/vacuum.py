"""Deletes files that no reader needs any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Final

from deltalake.exceptions import DeltaError

from fleet.errors import ServiceUnavailable
from fleet.text import sentence
from infra.delta import ALERTS, LogGone, NothingLanded, of_table, open_table
from infra.mongo import layouts, runs
from infra.mongo.client import Documents

RETENTION: Final = timedelta(hours=24)
"""Longer than the longest reader: a rebuild of a month takes hours, a lander's file waits seconds for its commit."""


def run(database: Documents, lake: str, retention: timedelta = RETENTION, *, dry_run: bool) -> list[str]:
    """The paths of files deleted, or to delete: those that no version needs since `retention` ago.

    Never past the published version: the files of the base version and of later ones stay, so that live documents can
    be rebuilt from their commits' own files. Before a publication nothing is deleted. Raises PeacewatchErrors only.
    """
    layouts.require(database)
    base = runs.base_version(database)
    table = open_table(lake)
    runs.require_lake(database, str(table.metadata().id))
    if base == runs.NO_BASE or base > table.version():
        return []
    try:
        published_at = of_table(table).commit(base).committed_at
    except LogGone:
        return []  # the base is so old that its time is unknown
    keep = max(retention, datetime.now(UTC) - published_at)
    try:
        # Whole hours, rounded up; what was removed in the base's own hour stays for the next time.
        return sorted(
            table.vacuum(ceil(keep / timedelta(hours=1)), dry_run, enforce_retention_duration=False, full=True)
        )
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake cannot be cleaned: {sentence(error)}") from None


def alerts(lake: str, retention: timedelta = RETENTION, *, dry_run: bool) -> list[str]:
    """The same of the table of alerts, which runs read for seconds only. Raises ServiceUnavailable."""
    try:
        table = open_table(lake, table=ALERTS)
        return table.vacuum(ceil(retention / timedelta(hours=1)), dry_run, enforce_retention_duration=False, full=True)
    except NothingLanded:
        return []
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake cannot be cleaned: {sentence(error)}") from None
