"""The last state of each drone: one row a drone, the same from any order and grouping of its reports.

Kept in MongoDB's `drone_blocks`, since 540,000 documents of their own are too many to rewrite: {_id, written_at, cells:
`pack`ed rows}. Where two blocks hold one drone, the larger `last_state` is true.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa

SCHEMA: Final = pa.schema(
    [
        ("drone_id", pa.string()),
        ("last_state", pa.int64()),  # fleet.landed.last_state: time, then battery
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("country", pa.string()),
        ("city", pa.string()),
        ("worst_score", pa.int32()),  # of the last report; 0: saw nobody
        ("alert", pa.bool_()),
    ]
)
"""Sorted by drone_id, each once."""


def of_rows(landed: pa.Table) -> pa.Table:
    """The last states of landed reports (`fleet.landed.SCHEMA`)."""
    return merge([landed.select(SCHEMA.names)])


def merge(parts: Iterable[pa.Table]) -> pa.Table:
    """The last states of all drones of `parts`, whose rows are in SCHEMA."""
    rows = pa.concat_tables([SCHEMA.empty_table(), *(part.cast(SCHEMA) for part in parts)])
    if not rows.num_rows:
        return rows
    rows = rows.sort_by([("drone_id", "ascending"), ("last_state", "ascending")]).combine_chunks()
    drones = rows["drone_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    is_last = np.append(drones[1:] != drones[:-1], True)
    return rows.filter(pa.array(is_last)).combine_chunks()


def pack(rows: pa.Table) -> bytes:
    """Rows as an Arrow stream, zstd."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(rows.cast(SCHEMA))
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def unpack(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as stream:
        found: Any = stream.read_all()
    return found
