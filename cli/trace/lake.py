"""The report's rows in the lake, the file that holds each, and the commit that landed it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow import ArrowException, fs

from fleet import topics
from fleet.errors import ServiceUnavailable
from fleet.text import sentence
from infra import lake_rows
from infra.delta import Commit, LogGone, known, read_commit

MOST_COMMITS: Final = 50_000
"""How many versions of the log are searched for a commit, newest first: three days at one every five seconds."""

FIRST_COMMIT: Final = 1
"""Version 0 creates the table, and lands nothing."""

Place = tuple[str, int]
"""A partition's key in the table's entries, and an offset."""

COLUMNS: Final = (
    "reported_at",
    "received_at",
    "topic_id",
    "kafka_partition",
    "kafka_offset",
    "country",
    "city",
    "alert",
)


@dataclass(frozen=True)
class LandedRow:
    """A landed report. `version`, `committed_at`: of the commit that landed it; None if the log no longer has it."""

    file: str
    version: int | None
    committed_at: datetime | None
    facts: dict[str, Any]

    @property
    def source(self) -> str:
        return f"{topics.REPORTS}/{self.facts['kafka_partition']}/{self.facts['kafka_offset']}"


class ReportsTable:
    """The table `reports` as it is now."""

    def __init__(self, lake: str) -> None:
        """Raises ServiceUnavailable if it cannot be read; a table that does not exist yet has no rows."""
        try:
            self._table: DeltaTable | None = known(DeltaTable(f"{lake}/reports"))
        except TableNotFoundError:
            self._table = None
        except (DeltaError, OSError) as error:
            raise ServiceUnavailable(f"the lake cannot be read now: {sentence(error)}") from None

    def rows(self, drone: str, report: str, day: date | None) -> list[LandedRow]:
        """The rows of the report, of one UTC day or of all. Raises ServiceUnavailable."""
        if self._table is None:
            return []
        of_report = (pc.field("drone_id") == drone) & (pc.field("report_id") == report)
        try:
            files = lake_rows.paths(self._table, day)
            batches = lake_rows.batches(self._table, files, [*COLUMNS, lake_rows.FILE], of_report) if files else ()
            rows = [facts for batch in batches for facts in batch.to_pylist()]
            commits = self._commits_of(map(_place, rows))
            return [self._row(facts, commits.get(_place(facts))) for facts in rows]
        except (DeltaError, OSError, ArrowException) as error:
            raise ServiceUnavailable(f"the lake cannot be read now: {sentence(error)}") from None

    def landed_before(self, topic_id: str, partition: int) -> int:
        """The first offset of a partition that has not landed yet."""
        return int(self._table.transaction_version(f"{topic_id}/{partition}") or 0) if self._table else 0

    def _row(self, facts: dict[str, Any], commit: Commit | None) -> LandedRow:
        assert self._table is not None  # noqa: S101 - its caller has rows
        version, committed_at = (commit.version, commit.committed_at) if commit else (None, None)
        return LandedRow(lake_rows.path(self._table, facts.pop(lake_rows.FILE)), version, committed_at, facts)

    def _commits_of(self, places: Iterable[Place]) -> dict[Place, Commit]:
        """The commit that landed each place: the oldest whose entry is beyond it, if the log still has it."""
        unsettled, landed = set(places), dict[Place, Commit]()
        oldest = None
        for commit in self._log() if unsettled else ():
            oldest = commit.version
            for key, offset in list(unsettled):
                if commit.entries.get(key, 0) > offset:
                    landed[key, offset] = commit
                elif key in commit.entries:
                    unsettled.discard((key, offset))
            if not unsettled:
                break
        is_whole = oldest is not None and oldest <= FIRST_COMMIT
        return {place: commit for place, commit in landed.items() if is_whole or place not in unsettled}

    def _log(self) -> Iterator[Commit]:
        """The versions that the log still holds, newest first."""
        assert self._table is not None  # noqa: S101 - its callers have rows
        store = fs.PyFileSystem(DeltaStorageHandler.from_table(self._table._table))
        newest = self._table.version()
        with suppress(LogGone):
            for version in range(newest, max(-1, newest - MOST_COMMITS), -1):
                yield read_commit(store, version)


def _place(facts: dict[str, Any]) -> Place:
    return f"{facts['topic_id']}/{facts['kafka_partition']}", facts["kafka_offset"]
