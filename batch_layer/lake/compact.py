"""Fewer and larger files, safe while landers and readers work: a compaction changes no row, so it touches no hour.

In open hours (reports still arrive) small files are joined unsorted, often and cheaply: a commit's cost and a reader's
start grow with the number of files. Closed hours get files of about TARGET bytes, each sorted by drone and time: a
drone's rows are together, and compress better.

deltalake does not notice that two commits that change no data (`dataChange` false) remove the same files: both would
succeed, and every row would be there twice. So each such commit sets one `txn` entry, REARRANGED, and of two that began
from the same version one is refused (`tests/integration/test_batch_compact.py`).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from itertools import islice
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from batch_layer.lake import external_sort
from batch_layer.ranges import day_of
from fleet.bins import bins
from fleet.errors import ServiceUnavailable, Unreadable
from fleet.reports.landed import SCHEMA
from fleet.text import sentence
from infra.delta import PLACE, TABLE, File, Snapshot, of_table, open_table, put
from infra.object_store import PAGE_VALUES, row_groups, statistics

TARGET: Final = 256 * 1024 * 1024
OPEN_FILES: Final = 8
"""Files below SMALL in an open hour that are joined: at a commit in 5 s, every 40 s of reports."""
SMALL: Final = 32 * 1024 * 1024
CLOSED_AFTER_HOURS: Final = 2
"""Hours after its end when an hour is closed; a later report makes a small file, which is joined again."""
SORTED: Final = "sorted-"
"""The beginning of the names of files that are sorted by drone and time."""

MOST_SECONDS: Final = 15 * 60
"""Seconds from a file to its commit at most, for a process that was frozen in between: no vacuum deletes files younger
than an hour."""

AT_ONCE: Final = 2
"""Groups whose files are made at the same time, on as many cores; each holds up to external_sort.MOST_BYTES."""

_SELDOM_REPEATING: Final = frozenset(
    (
        *("report_id", "reported_at", "received_at", "latitude", "longitude", "battery", "battery_millipercent"),
        *("kafka_offset", "last_state", "alert_id", "raised_at", "content"),
    )
)
"""Columns for which a dictionary only costs time: a drone's values of an hour differ."""

_WITHIN_LISTS: Final = ("citizens.list.element.name", "citizens.list.element.peace_score")

_LOOKED_UP: Final = ("drone_id", "country", "city", "reported_at", "event_hour", "topic_id", *PLACE)
"""Columns by which readers look for rows. Statistics of the others would only cost time."""

REARRANGED: Final = "peacewatch.rearranged"
"""A process that takes files out of the table sets this entry, so two at once conflict."""


@dataclass(frozen=True)
class Group:
    """Files of one event hour that become one; sorted by drone and time when the hour is closed."""

    event_hour: int
    files: tuple[File, ...]
    closed: bool

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Compacted:
    """The result of a group: `size` bytes of the new file in `version`, or the `reason` why it was left unchanged."""

    group: Group
    size: int = 0
    version: int = -1
    reason: str = ""


@dataclass(frozen=True)
class CompactionOptions:
    """How a compaction runs: `on_done` gets each group, `failpoint` is called when a group's file is `written`.

    `at_once`: so many groups' files are made at the same time; 1: in this thread.
    """

    on_done: Callable[[Compacted], None] = lambda _done: None
    room: external_sort.Room = external_sort.ROOM
    clock: Callable[[], float] = time.time
    failpoint: Callable[[str], None] = lambda _step: None
    at_once: int = 1


class NewFile(NamedTuple):
    """A group's file in the store, which no version of the table names yet; made from `began` on."""

    group: Group
    added: AddAction
    began: float


OPTIONS: Final = CompactionOptions()


def groups(snapshot: Snapshot, this_hour: int, target: int = TARGET) -> list[Group]:
    """The groups to compact in a snapshot at event hour `this_hour`; the oldest hours first."""
    found = []
    hours = 1 if "hour" in snapshot.schema.names else 24  # of a partition; a day's is named by its first
    for hour, files in snapshot.hours.items():
        closed = hour + hours - 1 < this_hour - CLOSED_AFTER_HOURS
        chosen = [file for file in files if (_unfinished(file, target) if closed else file.size < SMALL)]
        if not closed and len(chosen) < OPEN_FILES:
            continue
        for bin_ in bins(chosen, lambda file: file.size, target):
            if len(bin_) > 1 or (closed and not _is_sorted(bin_[0])):
                found.append(Group(hour, tuple(bin_), closed))
    return found


def run(
    lake: str,
    planned: Sequence[Group],
    options: CompactionOptions = OPTIONS,
    table: str = TABLE,
    schema: pa.Schema = SCHEMA,
) -> list[Compacted]:
    """Compacts each group in a commit of its own. A group that somebody else changed meanwhile is left for the next
    time.

    Files are made by `options.at_once` threads; commits are made here, one after the other. Raises ServiceUnavailable
    when the store does not answer; what is done by then stays done. A group without disk space to sort, or with a
    damaged file, does not stop the others: DiskFull or Unreadable is raised at the end.
    """
    opened = open_table(lake, table=table)
    done: list[Compacted] = []
    failure: ServiceUnavailable | None = None

    def making(group: Group) -> Callable[[], NewFile | Compacted]:
        return partial(_make, of_table(opened, schema), group, tuple(opened.metadata().partition_columns), options)

    with closing(_as_made(planned, making, options.at_once)) as all_made:
        for group, made in all_made:
            try:
                file = made()
                done.append(file if isinstance(file, Compacted) else _commit(opened, schema, file, options))
            except (external_sort.DiskFull, Unreadable) as error:
                if isinstance(error, Unreadable) and not of_table(opened, schema).answers():
                    raise
                failure = error
                done.append(Compacted(group, reason=str(error)))
            options.on_done(done[-1])
    if failure is not None:
        raise failure
    return done


def _as_made(
    planned: Iterable[Group], making: Callable[[Group], Callable[[], NewFile | Compacted]], at_once: int
) -> Generator[tuple[Group, Callable[[], NewFile | Compacted]]]:
    """Each group with the call that returns its file or raises; `at_once` groups ahead, in the order they are ready.

    `making` is called in this thread, what it returns in another one: an open table is for one thread only.
    """
    if at_once == 1:
        yield from ((group, making(group)) for group in planned)
        return
    waiting = iter(planned)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="compact")
    try:
        running = {pool.submit(making(group)): group for group in islice(waiting, at_once)}
        while running:
            for ready in wait(running, return_when=FIRST_COMPLETED).done:
                group = running.pop(ready)
                # The next one begins while this one is committed.
                running |= {pool.submit(making(following)): following for following in islice(waiting, 1)}
                yield group, ready.result
    finally:
        pool.shutdown(cancel_futures=True)


def alone(table: DeltaTable) -> CommitProperties:
    """The entry of a commit that removes files from the table: of two from one version Delta refuses the second."""
    return CommitProperties(app_transactions=[Transaction(REARRANGED, table.version())])


def _make(
    snapshot: Snapshot, group: Group, partition_by: Sequence[str], options: CompactionOptions
) -> NewFile | Compacted:
    """Writes the group's file into the store."""
    if not _are_there(snapshot, group):
        return Compacted(group, reason=_GONE)
    content, stats = _parquet(snapshot, group, partition_by, options.room)
    began = options.clock()
    try:
        return NewFile(group, _write(snapshot.root, group, content, stats, partition_by), began)
    except (DeltaError, OSError) as error:
        raise _unwritable(error) from None


def _commit(table: DeltaTable, schema: pa.Schema, made: NewFile, options: CompactionOptions) -> Compacted:
    """Replaces the group's files by its new one in the table.

    The commit must be based on a version in which they are: Delta compares it only with the versions after that one,
    and the file was made from an earlier one.
    """
    group, added, began = made
    if not _are_there(of_table(table, schema), group):
        return Compacted(group, reason=_GONE)
    options.failpoint("written")
    if options.clock() - began > MOST_SECONDS:
        return Compacted(group, reason="its file has waited for too long: a vacuum may have taken it")
    partition_by = table.metadata().partition_columns
    changes: list[AddAction | RemoveAction] = [added, *removals(group.files, partition_by, data_change=False)]
    try:
        table.create_write_transaction(changes, "append", table.schema(), partition_by, commit_properties=alone(table))
    except CommitFailedError as error:
        table.update_incremental()
        return Compacted(group, reason=f"somebody else has changed it: {sentence(error)}")
    except (DeltaError, OSError) as error:
        raise _unwritable(error) from None
    table.update_incremental()
    return Compacted(group, added.size, table.version())


_GONE: Final = "its files are gone: somebody else has compacted them"


def _are_there(snapshot: Snapshot, group: Group) -> bool:
    there = {file.path for file in snapshot.hours.get(group.event_hour, ())}
    return there.issuperset(file.path for file in group.files)


def _unwritable(error: Exception) -> ServiceUnavailable:
    return ServiceUnavailable(f"the lake cannot be written: {sentence(error)}")


def _parquet(
    snapshot: Snapshot, group: Group, partition_by: Sequence[str], room: external_sort.Room
) -> tuple[bytes, str]:
    """The new file, and Delta's statistics of it."""
    columns = [name for name in snapshot.schema.names if name not in partition_by]
    read = external_sort.by_drone_and_time if group.closed else external_sort.as_they_are
    schema = pa.schema([snapshot.schema.field(name) for name in columns])
    options: dict[str, Any] = {
        # A file that is written once and read for years is worth a better compression than a freshly landed one.
        "compression": "zstd",
        "compression_level": 3 if group.closed else 1,
        "write_batch_size": PAGE_VALUES,
        "use_dictionary": [path for path in (*columns, *_WITHIN_LISTS) if path not in _SELDOM_REPEATING],
        "write_statistics": [name for name in columns if name in _LOOKED_UP],
    }
    sink, placed = BytesIO(), []  # pyarrow's own stream doubles itself as it grows, and is copied to become bytes
    with pyarrow.parquet.ParquetWriter(sink, schema, **options) as writer:
        for rows in read(snapshot, group.files, columns, room):
            for part in row_groups(rows, room.rows):
                writer.write_table(part)
            placed.append(rows.select([*PLACE]))
            del rows
    return sink.getvalue(), statistics(pa.concat_tables(placed))


def _write(root: str, group: Group, content: bytes, stats: str, partition_by: Sequence[str]) -> AddAction:
    values = partition(group.event_hour, partition_by)
    folder = "/".join(f"{name}={value}" for name, value in values.items())
    path = f"{folder}/{SORTED if group.closed else 'joined-'}{uuid.uuid4()}.zstd.parquet"
    put(root, path, content)
    return AddAction(path, len(content), values, int(time.time() * 1000), data_change=False, stats=stats)


def removals(files: Iterable[File], partition_by: Sequence[str], *, data_change: bool) -> Iterator[RemoveAction]:
    """The actions that remove the files from the table."""
    now = int(time.time() * 1000)
    for file in files:
        yield RemoveAction(file.path, data_change, now, file.size, dict(partition(file.event_hour, partition_by)))


def partition(event_hour: int, partition_by: Sequence[str]) -> dict[str, str | None]:
    """The partition's values, by date and hour or by date alone."""
    values = {"date": day_of(event_hour).isoformat(), "hour": str(event_hour % 24)}
    return {name: values[name] for name in partition_by}


def _unfinished(file: File, target: int) -> bool:
    return not _is_sorted(file) or file.size < target // 2


def _is_sorted(file: File) -> bool:
    return file.path.rpartition("/")[2].startswith(SORTED)
