"""The rows of many files for one new file, in parts.

256 MB of Parquet are over 2 GB in memory, and sorting takes as much again. With text that repeats as dictionaries they
are half of that: such files are sorted in memory, the others on disk (docs/decisions/0100-compactions-in-memory.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fleet.errors import ServiceUnavailable
from fleet.text import sentence
from infra.delta import File, Snapshot

MOST_ROWS: Final = 1 << 20
"""Of a part, and of a row group; some 250 MB."""

MOST_BYTES: Final = 5 << 28
"""Of rows that are sorted in memory, with repeating text as dictionaries: 1.25 GiB. 256 MB of Parquet of the mission's
reports take 1.0 GB."""

REPEATING_TEXT: Final = (
    *("message", "country", "city", "reported_country", "reported_city", "topic_id", "citizens.list.element.name"),
    *("kind", "severity", "note"),  # of alerts
)
"""Columns of Parquet with text that many rows share: read as dictionaries, they take half the memory and time."""

ORDER: Final = [("drone_id", "ascending"), ("reported_at", "ascending"), ("kafka_offset", "ascending")]

_SPILLED: Final = pa.ipc.IpcWriteOptions(compression="lz4")


class DiskFull(ServiceUnavailable):
    """There is no disk space to sort what is larger than memory."""


def _unnamed_file() -> IO[bytes]:
    """A file without a name, which disappears with the process, however that ends."""
    return TemporaryFile(prefix="peacewatch-compact-")


@dataclass(frozen=True)
class Room:
    """How much may be in memory: `bytes` of all rows of a new file. Larger ones go through scratch files, in parts of
    `rows`.
    """

    rows: int = MOST_ROWS
    open_file: Callable[[], IO[bytes]] = _unnamed_file
    bytes: int = MOST_BYTES


ROOM: Final = Room()


def by_drone_and_time(snapshot: Snapshot, files: Sequence[File], columns: list[str], room: Room) -> Iterator[pa.Table]:
    """The rows of `files` in ORDER, in parts of about `room.rows`. Raises ServiceUnavailable; DiskFull where Python's
    tempfile has no space for what memory does not hold.
    """
    held = _held(snapshot, files, columns, room.bytes)
    if held is None:
        yield from _sorted_on_disk(snapshot, [file.path for file in files], columns, room)
        return
    order = _order(held)
    plain = pa.schema([snapshot.schema.field(name) for name in columns])
    for start in range(0, max(1, len(order)), room.rows):
        yield held.take(order.slice(start, room.rows)).cast(plain)


def _held(snapshot: Snapshot, files: Sequence[File], columns: list[str], most: int) -> pa.Table | None:
    """All rows of `files`, each column in one chunk; None if they take more than `most` bytes."""
    whole, read, size = sum(file.size for file in files), 0, 0
    parts: list[pa.Table] = []
    for file in files:
        parts.append(snapshot.encoded(file.path, columns, REPEATING_TEXT))
        read, size = read + file.size, size + parts[-1].get_total_buffer_size()
        # Assumes that the other files are like those read so far, to notice early that all are too large.
        if size * whole > most * read:
            return None
        pa.default_memory_pool().release_unused()  # what decoding took, half as much as the rows
    rows = pa.concat_tables(parts)
    del parts
    for number, column in enumerate(rows.schema):  # one after the other: only one column is in memory twice
        rows = rows.set_column(number, column, rows.column(number).unify_dictionaries().combine_chunks())
    pa.default_memory_pool().release_unused()
    return rows


def _order(rows: pa.Table) -> pa.Array:
    """The places of `rows` in ORDER. Drones are compared by their place among the drones: text is compared once."""
    drones = rows["drone_id"].combine_chunks().dictionary_encode()
    rank = np.empty(len(drones.dictionary), np.int32)
    rank[pc.sort_indices(drones.dictionary).to_numpy()] = np.arange(len(rank), dtype=np.int32)
    keys = {"drone_id": pa.array(rank[drones.indices.to_numpy()])}
    keys |= {name: rows[name] for name, _ in ORDER[1:]}
    return pc.sort_indices(pa.table(keys), sort_keys=ORDER)


def _sorted_on_disk(snapshot: Snapshot, files: Sequence[str], columns: list[str], room: Room) -> Iterator[pa.Table]:
    """The same by scratch files: the drones of all files are counted, then each file is read once and its rows are
    written to them by part.
    """
    firsts = _firsts(snapshot.rows(files, ["drone_id"])["drone_id"], room.rows)
    if len(firsts) == 1:
        yield snapshot.rows(files, columns).sort_by(ORDER)
        return
    with _as_disk_full(), ExitStack() as held:
        laid_by = [held.enter_context(room.open_file()) for _ in firsts]
        batches = (rows for path in files for rows in snapshot.batches(path, columns, room.rows))
        _lay_by(laid_by, firsts, batches)
        for spilled in laid_by:
            spilled.seek(0)
            with pa.ipc.open_stream(spilled) as reader:
                yield reader.read_all().sort_by(ORDER)
            spilled.close()


@contextmanager
def _as_disk_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskFull(f"large files cannot be sorted on disk (TMPDIR says where): {sentence(error)}") from None


def as_they_are(snapshot: Snapshot, files: Sequence[File], columns: list[str], room: Room) -> Iterator[pa.Table]:
    """The rows file by file, in parts of `room.rows` or more; the last may be less. Raises ServiceUnavailable."""
    read: list[pa.Table] = []
    for file in files:
        read.append(snapshot.rows([file.path], columns))
        if sum(part.num_rows for part in read) >= room.rows:
            yield pa.concat_tables(read)
            read = []
    if read:
        yield pa.concat_tables(read)


def _firsts(drones: pa.ChunkedArray, most_rows: int) -> list[str]:
    """The first drone of each part, in order, so that each has `most_rows` or one drone more."""
    if len(drones) <= most_rows:
        return [""]
    counted = pa.Table.from_struct_array(drones.value_counts()).sort_by("values")
    before = np.cumsum(counted["counts"].to_numpy()) - counted["counts"].to_numpy()
    _, starts = np.unique(before // most_rows, return_index=True)
    return [counted["values"][int(at)].as_py() for at in starts]


def _lay_by(laid_by: Sequence[IO[bytes]], firsts: Sequence[str], batches: Iterator[pa.Table]) -> None:
    """Writes each row to the file of its part, as a stream of Arrow's."""
    with ExitStack() as writing:
        writers: list[Any] = []
        for rows in batches:
            ordered = rows.sort_by("drone_id")
            # Where each part begins: pyarrow orders text by its bytes, as it did for `firsts`.
            starts = [pc.sum(pc.less(ordered["drone_id"], first)).as_py() or 0 for first in firsts]
            if not writers:
                for spilled in laid_by:
                    stream = pa.ipc.new_stream(spilled, ordered.schema, options=_SPILLED)
                    writers.append(writing.enter_context(stream))
            for writer, start, end in zip(writers, starts, [*starts[1:], ordered.num_rows], strict=True):
                writer.write_table(ordered.slice(start, end - start))
            del rows, ordered  # before the next ones are read: each is some 250 MB
