"""Consumers whose memory is bounded, whatever a producer has compressed: kafka-python 3.0.12 decompresses anything.

A batch of 1 MiB, which a broker accepts, can hold gigabytes of the same letter. It would come again at the same offset
after the process was killed for its memory. So here a batch is decompressed up to BATCH bytes, and a poll returns at
most POLL bytes of records, the rest with the next. What a batch has beyond BATCH is replaced by one record, whose value
says so: it is not a report, so landing writes it to `reports.rejected` with its place.

The same record replaces a batch that cannot be decompressed at all, or is Snappy beyond the bound, which cannot be read
in part: one bad batch must not block its partition for ever.
"""

# kafka-python's batch class has no types, and its own slots.
# mypy: disable-error-code="misc,has-type,no-any-return"

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any, Final

import lz4.frame  # type: ignore[import-untyped]
import zstandard
from kafka.consumer.fetcher import Fetcher
from kafka.record.default_records import DefaultRecordBatch

from infra.kafka import snappy
from infra.kafka.record_reading import ReadableBatch

_MIB: Final = 1024 * 1024

BATCH: Final = 32 * _MIB
"""Decompressed. The largest that we or usual producers make is 8 MiB, the limit of `deliveries` and `alert-state`."""

POLL: Final = 32 * _MIB
"""Of keys and values. Reports of usual length come 5,000 in a poll, 3 MB."""

WINDOW: Final = 32 * _MIB
"""Memory that zstd may use to decompress; its default level needs 2 MiB, its highest 128."""

_CUT: Final = 2
"""In `_decompressed` of a batch: there is more than was decompressed."""


class PollBudget:
    """Bytes that a poll may still return."""

    left: int = POLL


class BoundedBatch(ReadableBatch):
    """A batch that decompresses no more than BATCH bytes."""

    __slots__ = ()

    def _maybe_uncompress(self) -> None:
        if self._decompressed or self.compression_type == self.CODEC_NONE:
            self._decompressed = self._decompressed or True
            return
        try:
            data = _decompressed(self.compression_type, memoryview(self._buffer)[self._pos :], BATCH + 1)
        except Exception:  # noqa: BLE001 - each codec has errors of its own
            data = b""
            self._decompressed = _CUT
        else:
            self._decompressed = _CUT if len(data) > BATCH else True
        self._buffer, self._pos = bytearray(data[:BATCH]), 0

    def _not_read(self, why: str, *, is_rest: bool = False) -> Any:
        if is_rest and self._decompressed == _CUT:
            why = f"over {BATCH} bytes decompressed" if self._buffer else "cannot be decompressed within the bound"
        return super()._not_read(why, is_rest=is_rest)


class Batches:
    """`MemoryRecords` whose batches are bounded."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def next_batch(self) -> Any:
        batch = self._records.next_batch()
        if type(batch) is DefaultRecordBatch and not batch.is_control_batch:  # which no client can send
            batch.__class__ = BoundedBatch
        return batch


class Records(Fetcher.PartitionRecords):
    """What was fetched of a partition, taken within a budget."""

    def __init__(self, budget: PollBudget, fetch_offset: int, partition: Any, records: Any, **settings: Any) -> None:
        self._budget = budget
        super().__init__(fetch_offset, partition, Batches(records), **settings)

    def take(self, n: int | None = None) -> list[Any]:
        self._maybe_raise_next_inline_exception()
        taken: list[Any] = []
        try:
            for record in self._within_budget(self.record_iterator):
                taken.append(record)
                if len(taken) == n:
                    break
        except Exception as error:
            if not taken:
                raise
            self._next_inline_exception = error  # to be raised by the next call
        return taken

    def _within_budget(self, records: Iterator[Any]) -> Iterator[Any]:
        before, left = self.bytes_read, self._budget.left
        try:
            for record in records:
                yield record
                if self.bytes_read - before >= left:
                    return
        finally:
            self._budget.left -= self.bytes_read - before


def bound(fetcher: Fetcher, budget: PollBudget) -> None:
    """Makes the fetcher of a consumer return no more than the budget; a poll that has used it up ends."""
    append = fetcher._append

    def appended(drained: Any, part: Any, most: int, update_offsets: bool) -> int:
        taken: int = append(drained, part, most, update_offsets)
        return taken if budget.left > 0 else most

    def records(*args: Any, **settings: Any) -> Records:
        return Records(budget, *args, **settings)

    fetcher._append, fetcher.PartitionRecords = appended, records


def _decompressed(codec: int, data: memoryview, most: int) -> bytes:
    """At most so many bytes of `data`."""
    return _DECODERS[codec](io.BytesIO(data), most)


def _gzip(data: io.BytesIO, most: int) -> bytes:
    with gzip.GzipFile(fileobj=data) as stream:
        return stream.read(most)


def _lz4(data: io.BytesIO, most: int) -> bytes:
    with lz4.frame.open(data) as stream:
        return bytes(stream.read(most))


def _zstd(data: io.BytesIO, most: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
    with decompressor.stream_reader(data, read_across_frames=True) as stream:
        pieces = []
        while most > 0 and (piece := stream.read(min(most, _MIB))):
            pieces.append(piece)
            most -= len(piece)
    return b"".join(pieces)


def _snappy(data: io.BytesIO, most: int) -> bytes:
    return snappy.decompressed(data.getvalue(), most)


_DECODERS: Final[dict[int, Callable[[io.BytesIO, int], bytes]]] = {
    DefaultRecordBatch.CODEC_GZIP: _gzip,
    DefaultRecordBatch.CODEC_SNAPPY: _snappy,
    DefaultRecordBatch.CODEC_LZ4: _lz4,
    DefaultRecordBatch.CODEC_ZSTD: _zstd,
}
