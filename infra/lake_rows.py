"""Rows of a table of the lake, a few at a time: for looking at single reports, never for figures.

Memory is bounded by the caller's number of rows and by a page of Parquet, whatever the lake holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

FILE: Final = "__filename"
"""pyarrow's column that says which file a row is in; `path` turns it into a path below the table's root."""

ROWS_AT_ONCE: Final = 8192
"""Rows of a batch without messages: some 6 MB where every text has its 200 characters."""


def paths(table: DeltaTable, day: date | None) -> list[str]:
    """The paths below the table's root of the files of a UTC day, or of all days."""
    wanted = [("date", "=", day.isoformat())] if day else None
    root = f"{table.table_uri.rstrip('/')}/".removeprefix("file://")
    uris = table.file_uris(file_pruning_predicate=wanted)
    return [uri.removeprefix("file://").removeprefix(root) for uri in uris]


def batches(
    table: DeltaTable, files: Sequence[str], columns: Sequence[str], condition: Any, rows: int = ROWS_AT_ONCE
) -> Iterator[pa.RecordBatch]:
    """Rows of `files`, paths below the root, that meet `condition`: at most `rows` at once, without reading ahead.

    In files that compaction has sorted by drone, only the drone's parts are read.
    """
    streamed = ds.ParquetFragmentScanOptions(use_buffered_stream=True, pre_buffer=False)
    scanner = _dataset(table, files).scanner(
        columns=list(columns),
        filter=condition,
        batch_size=rows,
        batch_readahead=1,
        fragment_readahead=1,
        fragment_scan_options=streamed,
        use_threads=False,
    )
    yield from (batch for batch in scanner.to_batches() if batch.num_rows)


def path(table: DeltaTable, file: str) -> str:
    """The path below the table's root of a file that the column FILE names."""
    return file.removeprefix(f"{_root(table)}/")


def _dataset(table: DeltaTable, files: Sequence[str]) -> ds.Dataset:
    """`files` of the table; those on S3 through deltalake's store, which alone reads all of the `AWS_*` variables."""
    root = _root(table)
    if "://" not in root:
        return ds.dataset([f"{root}/{file}" for file in files], format="parquet")
    store = fs.PyFileSystem(DeltaStorageHandler.from_table(table._table))
    return ds.dataset(list(files), format="parquet", filesystem=store)


def _root(table: DeltaTable) -> str:
    """The table's folder as the file system names it, or its URL; deltalake says it in the form of URLs, as `a%20b`."""
    return unquote(table.table_uri).removeprefix("file://").rstrip("/")
