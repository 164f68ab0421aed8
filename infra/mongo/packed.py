"""Rows as one field of a document: an Arrow stream, zstd."""

from __future__ import annotations

import pyarrow as pa
from bson import Binary


def pack(rows: pa.Table) -> Binary:
    """The same bytes for the same rows in the same chunks."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(rows)
    return Binary(sink.getvalue().to_pybytes())


def unpack(packed: bytes) -> pa.Table:
    """The rows that were packed."""
    with pa.ipc.open_stream(packed) as stream:
        return stream.read_all()
