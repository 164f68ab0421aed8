"""The lake's files: one Parquet file an event hour, read and written through deltalake's own store (folder or S3)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

from fleet.errors import ServiceUnavailable
from fleet.reports.landed import PARTITION_BY, SCHEMA
from fleet.text import sentence
from infra.delta import PLACE, complete

FILE_SCHEMA: Final = pa.schema([field for field in SCHEMA if field.name not in PARTITION_BY])

GROUP_BYTES: Final = 32 * 1024 * 1024
"""Bytes of messages in a row group: pyarrow's scanner holds a column of a row group whole, whatever it is asked for."""

PAGE_VALUES: Final = 16
"""Values between two looks at whether a page of Parquet has its 1 MiB. A reader holds a page: with pyarrow's 1,024 it
may have as many messages of a megabyte, so it has 17 MiB at most. Fewer values take longer to write."""

_DICTIONARY: Final = [
    *("drone_id", "message", "country", "city", "topic_id", "kafka_partition", "received_at", "event_hour"),
    *("worst_score", "citizens.list.element.name"),
]
"""Columns whose values repeat within a file: a dictionary makes them small. Elsewhere it only costs time."""


class LakeFiles:
    """Paths are below the table's root."""

    def __init__(self, table_uri: str) -> None:
        handler = DeltaStorageHandler(table_uri)
        self.store = pyarrow.fs.PyFileSystem(handler)
        self._handler: Any = (
            handler._handler
        )  # pyarrow's stream over it hands it buffers, and it takes nothing but bytes

    def write(self, rows: pa.Table) -> list[AddAction]:
        """Writes `rows` (fleet.reports.landed.SCHEMA). When it fails it leaves nothing: a full disk needs the room."""
        files: list[AddAction] = []
        try:
            for hour, part in by_hour(rows):
                files.append(self._write_hour(hour, part))
        except BaseException:
            self.remove(files)
            raise
        return files

    def read(self, paths: Iterable[str], columns: list[str], wanted: Any = None) -> pa.Table:
        """These columns of the files' rows, of those where the expression `wanted` holds; in the order of `paths`."""
        schema = pa.schema([FILE_SCHEMA.field(name) for name in columns])
        parts = [
            pyarrow.parquet.read_table(path, columns=columns, filters=wanted, filesystem=self.store, partitioning=None)
            for path in paths
        ]
        return pa.concat_tables([schema.empty_table(), *(complete(part, schema) for part in parts)])

    def batches(self, path: str, columns: list[str], most: int = 65_536) -> Iterator[pa.Table]:
        """These columns of the file's rows, so many at a time."""
        schema = pa.schema([FILE_SCHEMA.field(name) for name in columns])
        with self.store.open_input_file(path) as opened:
            for batch in pyarrow.parquet.ParquetFile(opened).iter_batches(batch_size=most, columns=columns):
                yield complete(pa.Table.from_batches([batch]), schema)

    def remove(self, files: Iterable[AddAction]) -> None:
        """Deletes files that no version names, as well as it can."""
        for file in files:
            self._remove(file.path)

    def _write_hour(self, hour: int, rows: pa.Table) -> AddAction:
        day = (date(1970, 1, 1) + timedelta(days=hour // 24)).isoformat()
        path = f"date={day}/hour={hour % 24}/part-{uuid.uuid4()}.zstd.parquet"
        content = _parquet(rows)
        try:
            out = self._handler.open_output_stream(path, None)
            out.write(content)
            out.close()
        except BaseException:
            self._remove(path)
            raise
        written_at = int(datetime.now(UTC).timestamp() * 1000)
        values = {"date": day, "hour": str(hour % 24)}
        return AddAction(path, len(content), values, written_at, data_change=True, stats=statistics(rows))

    def _remove(self, path: str) -> None:
        with suppress(OSError, DeltaError):
            self.store.delete_file(path)


def by_hour(rows: pa.Table) -> list[tuple[int, pa.Table]]:
    """(event hour, its rows in the order of `rows`), hours in order."""
    if not rows.num_rows:
        return []
    hours = rows["event_hour"].to_numpy()
    if hours.min() == hours.max():
        return [(int(hours[0]), rows)]
    order = np.argsort(hours, kind="stable")
    rows, hours = rows.take(pa.array(order)), hours[order]
    starts = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), len(hours)]
    return [(int(hours[a]), rows.slice(a, b - a)) for a, b in pairwise(starts)]


class errors:
    """The lake's errors as one sentence of ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, DeltaError | OSError | pa.ArrowInvalid):
            raise ServiceUnavailable(explain(error)) from None


def row_groups(rows: pa.Table, most_rows: int = 1 << 20) -> Iterator[pa.Table]:
    """`rows` in parts of at most `most_rows` rows and GROUP_BYTES of messages; one row at least."""
    lengths = pc.fill_null(pc.binary_length(rows["message"]), 0) if "message" in rows.column_names else None
    ends = np.cumsum(lengths.to_numpy(), dtype="int64") if lengths is not None else np.zeros(rows.num_rows, "int64")
    start = 0
    while start < rows.num_rows:
        before = int(ends[start - 1]) if start else 0
        full = int(np.searchsorted(ends, before + GROUP_BYTES, side="right"))
        end = max(start + 1, min(start + most_rows, full))
        yield rows.slice(start, end - start)
        start = end


def explain(error: Exception) -> str:
    """Why the lake cannot be read or written; a full disk is named."""
    text = sentence(error)
    if any(sign in text for sign in ("No space left", "os error 28", "os error 27", "File too large")):
        return f"the lake's disk is full; nothing is lost, and landing continues when there is room: {text}"
    return f"the lake cannot be read or written: {text}"


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pyarrow.parquet.ParquetWriter(
        sink,
        FILE_SCHEMA,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARY,
        write_statistics=[*PLACE, "reported_at"],
        write_batch_size=PAGE_VALUES,
    ) as writer:
        for part in row_groups(rows.select(FILE_SCHEMA.names)):
            writer.write_table(part)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def statistics(rows: pa.Table) -> str:
    """The statistics of a file in the log, of the columns PLACE alone: JSON, as Delta has it."""
    ranges = {name: pc.min_max(rows[name]).as_py() for name in PLACE}
    return json.dumps(
        {
            "numRecords": rows.num_rows,
            "minValues": {name: bounds["min"] for name, bounds in ranges.items()},
            "maxValues": {name: bounds["max"] for name, bounds in ranges.items()},
            "nullCount": dict.fromkeys(PLACE, 0),
        }
    )
