"""Keeps the log of a table short: a checkpoint replaces all versions before it, whose files are then deleted.

Each commit is a file of the log. Runs read those after their base, and readers may still be at an older version; so
only files before a checkpoint are deleted that is before all of these versions. Facts that only commits have are kept
(batch_layer.lake.commit_facts).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from batch_layer.lake import commit_facts
from fleet.errors import ServiceUnavailable
from fleet.text import sentence
from infra.delta import LogGone, Snapshot, of_table, open_table
from infra.mongo import layouts, runs
from infra.mongo.client import Documents
from infra.mongo.runs import Kind

RETENTION: Final = timedelta(days=7)
"""Far longer than any reader uses one version."""

READ_BY: Final[Sequence[Kind]] = ("hours", "drones", "completeness")
"""The kinds of runs that continue from the log where they ended."""

OWN_CLEANING: Final = "delta.enableExpiredLogCleanup"
"""Delta's writers delete logs by age only, after 30 days: a run after a longer pause would miss commits."""


def run(database: Documents, lake: str, retention: timedelta = RETENTION, *, dry_run: bool) -> list[str]:
    """The paths of files of the log deleted, or to delete. Writes a checkpoint of the newest version first.

    Never what a run of READ_BY has still to read, nor versions of the last `retention`. Raises PeacewatchErrors only.
    """
    layouts.require(database)
    table = open_table(lake)
    snapshot = of_table(table)
    runs.require_lake(database, snapshot.lake_id)
    keep = min(not_older(snapshot, datetime.now(UTC) - retention), *_bases(database))
    if not dry_run:
        _checkpoint(table)
    found = list(snapshot.log_files())
    from_ = max((version for version, kind, _ in found if kind != "json" and version <= keep), default=-1)
    gone = sorted(path for version, _, path in found if version < from_)
    try:
        if gone and not dry_run:
            commit_facts.keep(database, snapshot, from_ - 1)
        for path in () if dry_run else gone:
            snapshot.store.delete_file(path)
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake's log cannot be cleaned: {sentence(error)}") from None
    return gone


def _bases(database: Documents) -> Iterator[int]:
    for kind in READ_BY:
        yield runs.base_version(database, kind=kind)


def not_older(snapshot: Snapshot, since: datetime) -> int:
    """The last version that was made before `since`: a reader may have begun with it. -1: there is none.

    By bisection, since a week has 120,000 versions: their times ascend, except for differences of the landers' clocks.
    """
    before, after = -1, snapshot.version + 1
    while after - before > 1:
        middle = (before + after) // 2
        if _made_before(snapshot, middle, since):
            before = middle
        else:
            after = middle
    return before


def _made_before(snapshot: Snapshot, version: int, since: datetime) -> bool:
    try:
        return snapshot.commit(version).committed_at < since
    except LogGone:
        return True


def _checkpoint(table: DeltaTable) -> None:
    try:
        if table.metadata().configuration.get(OWN_CLEANING) != "false":
            table.alter.set_table_properties({OWN_CLEANING: "false"})
        table.create_checkpoint()
    except (DeltaError, OSError) as error:
        raise ServiceUnavailable(f"the lake's log cannot be cleaned: {sentence(error)}") from None
