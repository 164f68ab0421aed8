"""The rows of many files for one new file, and not all of them at once: 256 MB of Parquet are over 2 GB in memory, and
sorting copies them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_layer.snapshot import Snapshot

MOST_ROWS: Final = 1 << 20
"""Of a part, and of a row group; some 250 MB."""

ORDER: Final = [("drone_id", "ascending"), ("reported_at", "ascending"), ("kafka_offset", "ascending")]


def by_drone_and_time(snapshot: Snapshot, files: Sequence[str], columns: list[str]) -> Iterator[pa.Table]:
    """The rows of `files` in ORDER, in parts of about MOST_ROWS. Raises ServiceUnavailable.

    Every part reads all files, for a part of the drones: of nine parts an hour of a fleet takes twice the time of one.
    """
    for drones in _shares(snapshot.rows(files, ["drone_id"])["drone_id"]):
        yield snapshot.rows(files, columns, drones).sort_by(ORDER)


def as_they_are(snapshot: Snapshot, files: Sequence[str], columns: list[str]) -> Iterator[pa.Table]:
    """The rows file by file, joined to parts of MOST_ROWS or more; the last may be less. Raises ServiceUnavailable."""
    read: list[pa.Table] = []
    for path in files:
        read.append(snapshot.rows([path], columns))
        if sum(part.num_rows for part in read) >= MOST_ROWS:
            yield pa.concat_tables(read)
            read = []
    if read:
        yield pa.concat_tables(read)


def _shares(drones: pa.ChunkedArray) -> list[pc.Expression | None]:
    """Conditions that part the drones by id, in order, so that each part has MOST_ROWS or one drone more."""
    if len(drones) <= MOST_ROWS:
        return [None]
    counted = pa.Table.from_struct_array(drones.value_counts()).sort_by("values")
    before = np.cumsum(counted["counts"].to_numpy()) - counted["counts"].to_numpy()
    _, starts = np.unique(before // MOST_ROWS, return_index=True)
    firsts = [counted["values"][int(at)].as_py() for at in starts]
    drone = pc.field("drone_id")
    return [(drone >= first) & (drone < end) for first, end in pairwise(firsts)] + [drone >= firsts[-1]]
