"""A partition of `reports` while this process lands it: what was read and is not committed yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Any, Final

from structlog import get_logger

from fleet.alerts.rules import Nearest
from speed_layer.landing import batch
from speed_layer.landing.batch import CHUNK, CHUNK_BYTES, CLOCKS_APART_MS, Chunk, Source
from speed_layer.landing.commit import Lake, OffsetConflict
from speed_layer.landing.decoding import Decoded
from speed_layer.landing.deduplication import WINDOW, Window

log = get_logger()

_NAMES: Final = ["drone_id", "report_id", "kafka_offset"]


class Partition:
    """`next_offset` is the first that was not read."""

    def __init__(self, source: Source, entry: int, lake: Lake, worker: Executor, nearest: Nearest) -> None:
        """`entry`: the table's `txn` entry. Reads what landed lately before it, to know copies."""
        self.source, self.next_offset = source, entry
        self._lake, self._worker, self._nearest = lake, worker, nearest
        self._chunks: list[Future[Chunk]] = []
        self._decoded, self._first, self._through = Decoded(), entry, 0
        self._closed_rows = self._closed_size = 0
        self._lost_from: int | None = None
        self._window = Window()
        lately = lake.rows_between(source.topic_id, source.partition, max(0, entry - WINDOW), entry, _NAMES)
        self._window.remember(zip(*(lately[name].to_pylist() for name in _NAMES), strict=True))

    @property
    def rows(self) -> int:
        """Messages of the batch, good or not."""
        return self._closed_rows + self.next_offset - self._first

    @property
    def size(self) -> int:
        """Bytes of the messages."""
        return self._closed_size + self._decoded.size

    @property
    def through(self) -> int:
        """The broker's time in ms of the last message that was read; 0 where none was."""
        return self._through

    def begin(self, beginning: int, end: int) -> None:
        """The partition holds offsets `beginning` to `end`: what is not there can't be landed, and is told of."""
        there = min(max(self.next_offset, beginning), end)
        if there > self.next_offset:
            self._lost_from, self.next_offset, self._first = self.next_offset, there, there
            if there == end:
                self._report_lost(_now_ms())
        elif there < self.next_offset:
            log.error("the topic ends before the landed offset: the broker lost messages", partition=self.source.key)
            self._add(Chunk(self.source, self.next_offset, there))
            self.next_offset = self._first = there

    def take(self, records: Sequence[Any]) -> None:
        """Adds messages that were read, in the order of their offsets."""
        if records[0].offset < self.next_offset:
            raise OffsetConflict(f"{self.source.key}: {records[0].offset} was read again after {self.next_offset}")
        self._report_lost(records[0].timestamp)
        self._decoded.take(records, self._window, self._nearest, self._lake.opens_at)
        self.next_offset, self._through = records[-1].offset + 1, records[-1].timestamp
        if self.next_offset - self._first >= CHUNK or self._decoded.size >= CHUNK_BYTES:
            self._close_chunk()

    def skip_to(self, position: int) -> None:
        """Offsets up to `position` hold no message: a transaction's marks."""
        if position > self.next_offset:
            self._report_lost(_now_ms())
            self.next_offset = position

    def close_batch(self) -> list[Future[Chunk]]:
        """What was read since the last batch, as chunks in the making."""
        if self.next_offset > self._first:
            self._close_chunk()
        chunks, self._chunks = self._chunks, []
        self._closed_rows = self._closed_size = 0
        return chunks

    def _close_chunk(self) -> None:
        decoded, first = self._decoded, self._first
        self._closed_rows += self.next_offset - first
        self._closed_size += decoded.size
        self._decoded, self._first = Decoded(), self.next_offset
        self._chunks.append(
            self._worker.submit(batch.chunk, self.source, first, self.next_offset, self._through, decoded)
        )

    def _report_lost(self, before_ms: int) -> None:
        """What `begin` found gone is told with the first message after it, for its time is the latest theirs can be."""
        if self._lost_from is not None:
            self._add(Chunk(self.source, self._lost_from, self._first, lost_before=before_ms))
            self._lost_from = None

    def _add(self, made: Chunk) -> None:
        done: Future[Chunk] = Future()
        done.set_result(made)
        self._chunks.append(done)


def _now_ms() -> int:
    """The latest that the broker's clock may show."""
    return int(time.time() * 1000) + CLOCKS_APART_MS
