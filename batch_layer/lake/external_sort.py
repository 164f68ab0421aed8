"""The rows of many files for one new file, in parts: 256 MB of Parquet are over 2 GB in memory, and sorting takes as
much again.
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
from infra.delta import Snapshot

MOST_ROWS: Final = 1 << 20
"""Of a part, and of a row group; some 250 MB."""

ORDER: Final = [("drone_id", "ascending"), ("reported_at", "ascending"), ("kafka_offset", "ascending")]

_SPILLED: Final = pa.ipc.IpcWriteOptions(compression="lz4")


class DiskFull(ServiceUnavailable):
    """There is no disk space to sort what is larger than memory."""


def _unnamed_file() -> IO[bytes]:
    """A file without a name, which disappears with the process, however that ends."""
    return TemporaryFile(prefix="peacewatch-compact-")


@dataclass(frozen=True)
class Room:
    """How many rows may be in memory at once, and how a scratch file for the others is opened."""

    rows: int = MOST_ROWS
    open_file: Callable[[], IO[bytes]] = _unnamed_file


ROOM: Final = Room()


def by_drone_and_time(snapshot: Snapshot, files: Sequence[str], columns: list[str], room: Room) -> Iterator[pa.Table]:
    """The rows of `files` in ORDER, in parts of about `room.rows`. Raises ServiceUnavailable.

    Several parts are sorted on disk: the drones of all files are counted, then each file is read once and its rows are
    written to scratch files by part, where Python's tempfile makes them. Raises DiskFull.
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


def as_they_are(snapshot: Snapshot, files: Sequence[str], columns: list[str], room: Room) -> Iterator[pa.Table]:
    """The rows file by file, in parts of `room.rows` or more; the last may be less. Raises ServiceUnavailable."""
    read: list[pa.Table] = []
    for path in files:
        read.append(snapshot.rows([path], columns))
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
