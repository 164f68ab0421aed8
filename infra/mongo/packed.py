"""Rows as one field of a document: an Arrow stream, zstd."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from bson import Binary

_ONE_THREAD: Final = pa.ipc.IpcReadOptions(use_threads=False)
"""Buffers of some KB cost less than handing them to other threads."""


def pack(rows: pa.Table) -> Binary:
    """The same bytes for the same rows in the same chunks."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(rows)
    return Binary(sink.getvalue().to_pybytes())


def unpack(packed: bytes) -> pa.Table:
    """The rows that were packed."""
    with pa.ipc.open_stream(packed, options=_ONE_THREAD) as stream:
        return stream.read_all()
