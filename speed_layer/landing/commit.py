"""The lake's table `reports`, as landing writes it: exactly once, through the table's own `txn` entries.

The steps of a commit. Their order is what makes it exactly once; tests stop it at them (`LandingConfig.failpoint`).

1. Write one Parquet file an event hour.
2. Check the offsets: in the newest version the `txn` entry of each partition must EQUAL the offset at which its part
   of the batch starts. (Smaller is not enough: a frozen process that wakes would pass, and the table takes any entry.)
   Check also that no row is of a day that was sealed since it was decoded (`fleet.reports.sealed`).
3. Send the batch's rejected messages and wait until the broker has them.
4. Commit files and new `txn` entries as one version. Delta refuses it if somebody else changed an entry, or sealed a
   day, since step 2. Files older than MOST_SECONDS are not committed: a vacuum deletes files that no version names.
5. Write the version's live document (`speed_layer.landing.live_views`).
6. Commit the group's offset, which only shows lag (`speed_layer.landing.lander`).

A process that ends after 1, 2 or 3 leaves files that no version names (vacuum deletes them) and rejected messages that
come again with the same source; after 4, a live document that any lander writes later.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction

from fleet.errors import PeacewatchError
from fleet.reports.landed import PARTITION_BY, SCHEMA
from fleet.reports.sealed import opens_at, sealed_through
from fleet.text import sentence
from infra.conditional_writes import require_conditional_writes
from infra.delta import (
    PLACE,
    TABLE,
    Commit,
    File,
    Snapshot,
    files_between,
    known,
    of_table,
    read_commit,
    table_properties,
    with_columns,
)
from infra.object_store import LakeFiles, errors
from infra.s3 import fresh_keys

COMMIT_ID: Final = "peacewatch.commit"

CONFIGURATION: Final = {
    "delta.checkpointInterval": "100",  # at one commit in 5 s, every 8 minutes; each lists all active files
    "delta.dataSkippingStatsColumns": ",".join(PLACE),  # for compaction
}

_CHANGED: Final = ("Concurrent", "Metadata changed")
"""Delta's messages where another lander has changed an entry, or a day was sealed."""

ROWS_AT_ONCE: Final = 64
"""Whole reports at once: at a megabyte each they are 64 MB."""

MOST_SECONDS: Final = 15 * 60
"""Seconds from step 1 to 4 at most, for a process that was frozen in between: no vacuum deletes files that are younger
than an hour."""

Failpoint = Callable[[str], None]


class OffsetConflict(PeacewatchError):
    """The batch no longer fits the table: it is dropped and read again, so nothing is lost.

    Since it was read somebody else landed a partition further or sealed a day that it has reports of, or its files are
    too old.
    """


@dataclass(frozen=True)
class OffsetRange:
    """A part of a batch: offsets `first` to `next_offset` of the partition that the `txn` entry `key` names."""

    key: str
    first: int
    next_offset: int


class Lake:
    """The table below `location`, a folder or `s3://bucket/path` (credentials from `AWS_*`). For one thread.

    Raises ServiceUnavailable wherever the store fails.
    """

    def __init__(
        self, location: str, failpoint: Failpoint = lambda _step: None, clock: Callable[[], float] = time.time
    ) -> None:
        """Opens the table, or creates it. `clock` gives seconds since 1970."""
        self._url, self._failpoint, self._clock = f"{location}/{TABLE}", failpoint, clock
        fresh_keys(location)
        with errors():
            self._table = _open_or_create(location, self._url)
            self._files = LakeFiles(self._table.table_uri)
            self._read_sealed_through()
        self._hours: tuple[int, Mapping[int, tuple[File, ...]]] | None = None

    @property
    def opens_at(self) -> datetime:
        """Earlier reports are of sealed days, as of the last refresh or commit. Thread-safe."""
        return self._opens_at

    @property
    def version(self) -> int:
        return int(self._table.version())

    def refresh(self) -> int:
        """Looks for newer versions. Returns the newest."""
        with errors():
            self._update()
        return self.version

    def entry(self, key: str) -> int:
        """The next offset to land of a partition, as of the last refresh; 0 if nothing landed yet."""
        return int(self._table.transaction_version(key) or 0)

    def commit(
        self, rows: pa.Table, parts: list[OffsetRange], send_rejected: Callable[[], None], **facts: Any
    ) -> Commit:
        """Steps 1 to 4. `facts` go as JSON into the commit's metadata, named `peacewatch.<name>`, empty ones do not.

        Raises OffsetConflict, ServiceUnavailable and what `send_rejected` raises. Then nothing of the batch is in the
        table, or, when the store's answer was lost, all of it: the entries show which.
        """
        with errors():
            began = self._clock()
            files = self._files.write(rows)  # step 1
            self._failpoint("1")
            try:
                self._check_offsets(parts)  # step 2
                self._check_sealed(rows)
                self._failpoint("2")
                send_rejected()  # step 3
                self._failpoint("3")
                _check_age(began, self._clock())
            except BaseException:
                self._files.remove(files)
                raise
            done = self._commit_version(files, parts, facts)  # step 4
            self._failpoint("4")
            return done

    def read_commit(self, version: int) -> Commit:
        """A version, from the log. Raises ServiceUnavailable, and LogGone if the log no longer has it."""
        return read_commit(self._files.store, version)

    def snapshot(self) -> Snapshot:
        """The table as of the last refresh or commit."""
        with errors():
            return of_table(self._table)

    def rows_between(self, topic_id: str, partition: int, first: int, end: int, columns: list[str]) -> pa.Table:
        """These columns of the rows of a partition with `first` <= offset < `end`, as of the last refresh."""
        wanted = (
            (pc.field("topic_id") == topic_id)
            & (pc.field("kafka_partition") == partition)
            & (pc.field("kafka_offset") >= first)
            & (pc.field("kafka_offset") < end)
        )
        with errors():
            return self._files.read(files_between(self._table, partition, first, end), columns, wanted)

    def rows_near(
        self, topic_id: str, partition: int, offset: int, columns: list[str], read_before: set[str]
    ) -> Iterator[pa.Table]:
        """These columns of the rows of a partition in the files that may hold its `offset`, ROWS_AT_ONCE at a time.

        A file is read once and as a whole, since the next row is usually needed soon; its path is then entered in
        `read_before`. By their statistics, many small files may hold any offset.
        """
        of_partition = (pc.field("topic_id") == topic_id) & (pc.field("kafka_partition") == partition)
        read = [*columns, *(name for name in ("topic_id", "kafka_partition") if name not in columns)]
        with errors():
            for path in files_between(self._table, partition, offset, offset + 1):
                if path in read_before:
                    continue
                for rows in self._files.batches(path, read, ROWS_AT_ONCE):
                    yield rows.filter(of_partition).select(columns)
                read_before.add(path)

    def places_of_hour(self, topic_id: str, partition: int, event_hour: int) -> set[tuple[str, str]]:
        """(country, city) of the rows of a partition in an event hour, each once, as of the last refresh."""
        if self._hours is None or self._hours[0] != self.version:
            with errors():
                self._hours = self.version, self.snapshot().hours
        names = ["country", "city", "topic_id", "kafka_partition"]
        places: set[tuple[str, str]] = set()
        with errors():
            for file in self._hours[1].get(event_hour, ()):
                for rows in self._files.batches(file.path, names):
                    ours = (pc.field("topic_id") == topic_id) & (pc.field("kafka_partition") == partition)
                    pairs = rows.filter(ours).group_by(names[:2]).aggregate([])
                    places.update(zip(pairs["country"].to_pylist(), pairs["city"].to_pylist(), strict=True))
        return places

    def _update(self) -> None:
        self._table.update_incremental()
        self._read_sealed_through()

    def _read_sealed_through(self) -> None:
        self._opens_at = opens_at(sealed_through(table_properties(self._table)))

    def _check_offsets(self, parts: list[OffsetRange]) -> None:
        """Step 2, in the newest version."""
        self._update()
        firsts: dict[str, int] = {}
        for part in parts:
            firsts.setdefault(part.key, part.first)
        for key, first in firsts.items():
            if self.entry(key) != first:
                raise OffsetConflict(f"{key} is landed up to {self.entry(key)}, the batch starts at {first}")

    def _check_sealed(self, rows: pa.Table) -> None:
        oldest = pc.min(rows["reported_at"]).as_py()
        if oldest is not None and oldest < self._opens_at:
            raise OffsetConflict(f"the batch has reports of {oldest.date()}, which was sealed since they were read")

    def _commit_version(self, files: list[AddAction], parts: list[OffsetRange], facts: Mapping[str, Any]) -> Commit:
        """Step 4."""
        before, commit_id = self.version, str(uuid.uuid4())
        metadata = {f"peacewatch.{name}": json.dumps(value) for name, value in facts.items() if value}
        entries = {part.key: part.next_offset for part in parts}  # parts are in order: the last one of a key counts
        properties = CommitProperties(
            custom_metadata={**metadata, COMMIT_ID: commit_id},
            app_transactions=[Transaction(key, offset) for key, offset in entries.items()],
        )
        try:
            self._table.create_write_transaction(
                [*files], "append", self._table.schema(), list(PARTITION_BY), commit_properties=properties
            )
        except CommitFailedError as error:
            if not any(sign in str(error) for sign in _CHANGED):
                raise
            raise OffsetConflict(f"somebody else changed the table: {sentence(error)}") from None
        return self._find_commit(commit_id, before)

    def _find_commit(self, commit_id: str, before: int) -> Commit:
        """The version of the commit: usually the one after `before`, unless others have committed in between. The open
        table does not have it until the next check refreshes it; refreshing it here, too, would cost 44 ms at 20,000
        active files.
        """
        version = before + 1
        while (commit := self.read_commit(version)).metadata.get(COMMIT_ID) != commit_id:
            version += 1
        return commit


def _check_age(began: float, now: float) -> None:
    if now - began > MOST_SECONDS:
        raise OffsetConflict(f"the batch's files have waited since {datetime.fromtimestamp(began, UTC):%F %T} UTC")


def _open_or_create(location: str, url: str) -> DeltaTable:
    try:
        return with_columns(known(DeltaTable(url)), SCHEMA)
    except TableNotFoundError:
        require_conditional_writes(location)
        try:
            return DeltaTable.create(url, SCHEMA, partition_by=list(PARTITION_BY), configuration=CONFIGURATION)
        except DeltaError:
            return DeltaTable(url)  # another lander was faster
