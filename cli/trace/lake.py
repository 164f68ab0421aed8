"""The report's rows in the lake, the file that holds each, and the commit that landed it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow import ArrowException, fs

from fleet import topics
from fleet.errors import ServiceUnavailable

MOST_COMMITS: Final = 50_000
"""Versions of the log that are looked through for a commit, newest first: three days of one in five seconds."""

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
class Row:
    """A landed report. `version`, `committed_at`: of the commit that landed it; None where the log has left it."""

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
        """Raises ServiceUnavailable where it cannot be read; a table that is not there yet has no rows."""
        try:
            self._table: DeltaTable | None = DeltaTable(f"{lake}/reports")
        except TableNotFoundError:
            self._table = None
        except (DeltaError, OSError) as error:
            raise ServiceUnavailable(f"the lake cannot be read now: {type(error).__name__}") from None

    def rows(self, drone: str, report: str, day: date | None) -> list[Row]:
        """The rows of the report, of one UTC day or of all. Raises ServiceUnavailable."""
        if self._table is None:
            return []
        wanted = [("date", "=", day.isoformat())] if day else None
        try:
            files = self._table.file_uris(file_pruning_predicate=wanted)
            found = list(_matching(self._table, files, drone, report)) if files else []
            return [self._row(facts) for facts in found]
        except (DeltaError, OSError, ArrowException) as error:
            raise ServiceUnavailable(f"the lake cannot be read now: {type(error).__name__}") from None

    def landed_before(self, topic_id: str, partition: int) -> int:
        """The first offset of a partition that has not landed yet."""
        return int(self._table.transaction_version(f"{topic_id}/{partition}") or 0) if self._table else 0

    def _row(self, facts: dict[str, Any]) -> Row:
        file = facts.pop("__filename")
        key = f"{facts['topic_id']}/{facts['kafka_partition']}"
        version, committed_at = self._commit_of(key, facts["kafka_offset"]) or (None, None)
        return Row(file, version, committed_at, facts)

    def _commit_of(self, key: str, offset: int) -> tuple[int, datetime] | None:
        """The oldest version whose entry for `key` is beyond `offset`; None where the log no longer has it."""
        found = None
        for version, entries, at in self._entries():
            if key not in entries:
                continue
            if entries[key] <= offset:
                return found
            found = version, at
        return found if found and found[0] == 1 else None

    def _entries(self) -> Iterator[tuple[int, dict[str, int], datetime]]:
        """(version, next offset by partition, time) of each version of the log, newest first."""
        assert self._table is not None  # noqa: S101 - its callers have rows
        store = fs.PyFileSystem(DeltaStorageHandler.from_table(self._table._table))
        newest = self._table.version()
        for version in range(newest, max(-1, newest - MOST_COMMITS), -1):
            try:
                with store.open_input_file(f"_delta_log/{version:020}.json") as log:
                    actions = [json.loads(line) for line in log.read().splitlines() if line.strip()]
            except FileNotFoundError:
                return
            entries = {action["txn"]["appId"]: int(action["txn"]["version"]) for action in actions if "txn" in action}
            times = [action["commitInfo"].get("timestamp", 0) for action in actions if "commitInfo" in action]
            yield version, entries, datetime.fromtimestamp(max(times, default=0) / 1000, UTC)


def _matching(table: DeltaTable, files: list[str], drone: str, report: str) -> Iterator[dict[str, Any]]:
    condition = (pc.field("drone_id") == drone) & (pc.field("report_id") == report)
    root = f"{table.table_uri.rstrip('/')}/"
    store = fs.PyFileSystem(DeltaStorageHandler.from_table(table._table))
    paths = [file.removeprefix(root).removeprefix("file://") for file in files]
    relative = [path.removeprefix(root.removeprefix("file://")) for path in paths]
    streamed = ds.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
    scanner = ds.dataset(relative, format="parquet", filesystem=store).scanner(
        columns=[*COLUMNS, "__filename"],
        filter=condition,
        batch_readahead=1,
        fragment_readahead=1,
        fragment_scan_options=streamed,
    )
    for batch in scanner.to_batches():
        yield from batch.to_pylist()
