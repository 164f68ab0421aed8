"""A partition of `reports` while this process lands it: what was read and is not committed yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from structlog import get_logger

from fleet.alerts.rules import Nearest
from fleet.reports.counted_places import CountedPlaces, KnownPlaces
from fleet.reports.landed import unpack_last_state
from fleet.reports.pseudonyms import Pseudonyms
from fleet.reports.report import Report
from speed_layer.landing import batch
from speed_layer.landing.batch import CLOCKS_APART_MS, Chunk, Source
from speed_layer.landing.commit import Lake, OffsetConflict
from speed_layer.landing.decoding import CHUNK_HOURS, Decoded, content
from speed_layer.landing.deduplication import WINDOW, Identity, RecentReports

log = get_logger()

_IDENTITY: Final = ["drone_id", "report_id", "last_state", "kafka_offset"]
_REPORT: Final = [*Report.__struct_fields__, "reported_country", "reported_city", *_IDENTITY[2:]]


@dataclass(frozen=True)
class Names:
    """What the lake calls places and citizens.

    `nearest`: the place nearest to a point; `known`: the places that are counted by name, loaded when needed.
    `pseudonyms`: of citizens; None: as the drone called them.
    """

    nearest: Nearest = lambda _latitude, _longitude: None
    known: Callable[[], KnownPlaces] = KnownPlaces
    pseudonyms: Pseudonyms | None = None


class LandingPartition:
    """`next_offset` is the first that was not decoded."""

    def __init__(self, source: Source, entry: int, lake: Lake, worker: Executor, names: Names) -> None:
        """`entry`: the table's `txn` entry. Reads what landed lately before it, to know duplicates."""
        self.source, self.next_offset = source, entry
        self._lake, self._worker, self._nearest = lake, worker, names.nearest
        self._records: Sequence[Any] = ()
        self._position = 0
        self._chunks: list[Future[Chunk]] = []
        self._pseudonyms = names.pseudonyms
        self._decoded, self._first, self._through = Decoded(pseudonyms=self._pseudonyms), entry, 0
        self._closed_rows = self._closed_size = 0
        self._hours: set[int] = set()
        self._lost_from: int | None = None
        self._places = CountedPlaces(names.known(), self._places_of_hour)
        self._window = RecentReports(self._contents)
        lately = lake.rows_between(source.topic_id, source.partition, max(0, entry - WINDOW), entry, _IDENTITY)
        self._files_read: set[str] = set()
        self._window.remember(_identities(lately.to_pydict()))

    @property
    def rows(self) -> int:
        """Messages of the batch, good or not."""
        return self._closed_rows + self.next_offset - self._first

    @property
    def size(self) -> int:
        """Bytes of the messages."""
        return self._closed_size + self._decoded.size

    @property
    def is_spread(self) -> bool:
        """Whether the batch has so many event hours of this partition that the rest has to wait for the next."""
        return len(self._hours | self._decoded.hours) >= CHUNK_HOURS

    @property
    def is_behind(self) -> bool:
        """Whether messages were added that are not decoded yet."""
        return self._position < len(self._records)

    @property
    def through(self) -> int:
        """The broker's time in ms of the last message that was decoded; 0 if none was."""
        return self._through

    def begin(self, beginning: int, end: int) -> None:
        """The partition holds offsets `beginning` to `end`: what is not there can't be landed, and is reported."""
        there = min(max(self.next_offset, beginning), end)
        if there > self.next_offset:
            self._lost_from, self.next_offset, self._first = self.next_offset, there, there
            if there == end:
                self._report_lost(_now_ms())
        elif there < self.next_offset:
            log.error("the topic ends before the landed offset: the broker lost messages", partition=self.source.key)
            self._add(Chunk(self.source, self.next_offset, there))
            self.next_offset = self._first = there

    def add(self, records: Sequence[Any]) -> None:
        """Messages that were read, in the order of their offsets; earlier ones must have been decoded."""
        if self.is_behind or records[0].offset < self.next_offset:
            raise OffsetConflict(f"{self.source.key}: {records[0].offset} was read again after {self.next_offset}")
        self._records, self._position = records, 0
        self._report_lost(records[0].timestamp)

    def decode(self) -> None:
        """Decodes messages that were added, up to a chunk of them."""
        before = self._position
        self._position = self._decoded.take(
            self._records, self._window, self._nearest, self._lake.opens_at, start=self._position
        )
        if self._position > before:
            last = self._records[self._position - 1]
            self.next_offset, self._through = last.offset + 1, last.timestamp
        if not self.is_behind:
            self._records, self._position = (), 0
        if self._decoded.is_full:
            self._close_chunk()

    def skip_to(self, position: int) -> None:
        """Offsets up to `position` hold no message: a transaction's marks."""
        if position > self.next_offset:
            self._report_lost(_now_ms())
            self.next_offset = position

    def close_batch(self) -> list[Future[Chunk]]:
        """What was decoded since the last batch, as chunks in the making."""
        if self.next_offset > self._first:
            self._close_chunk()
        chunks, self._chunks = self._chunks, []
        self._closed_rows = self._closed_size = 0
        self._hours = set()
        return chunks

    def _close_chunk(self) -> None:
        decoded, first = self._decoded, self._first
        self._closed_rows += self.next_offset - first
        self._closed_size += decoded.size
        self._hours |= decoded.hours
        self._decoded, self._first = Decoded(decoded.next_piece, self._pseudonyms), self.next_offset
        empty = Chunk(self.source, first, self.next_offset, self._through)
        self._chunks.append(self._worker.submit(batch.chunk, empty, decoded, self._places))

    def _report_lost(self, before_ms: int) -> None:
        """What `begin` found gone is reported with the first message after it: nothing lost is later than that."""
        if self._lost_from is not None:
            self._add(Chunk(self.source, self._lost_from, self._first, lost_before=before_ms))
            self._lost_from = None

    def _add(self, made: Chunk) -> None:
        done: Future[Chunk] = Future()
        done.set_result(made)
        self._chunks.append(done)

    def _places_of_hour(self, event_hour: int) -> Iterable[tuple[str, str]]:
        """Of rows that have landed, this process's own too: of an hour that is remembered no more, they are as old."""
        return self._lake.places_of_hour(self.source.topic_id, self.source.partition, event_hour)

    def _contents(self, offset: int) -> Iterator[tuple[Identity, int, int]]:
        source = self.source
        for part in self._lake.rows_near(source.topic_id, source.partition, offset, _REPORT, self._files_read):
            yield from self._said(part.to_pydict())

    def _said(self, rows: dict[str, list[Any]]) -> Iterator[tuple[Identity, int, int]]:
        fields = {name: rows[name] for name in Report.__struct_fields__}
        for name in ("country", "city"):  # as the drone said, where it is counted under another name
            fields[name] = [said or own for own, said in zip(rows[name], rows[f"reported_{name}"], strict=True)]
        reports = (dict(zip(fields, values, strict=True)) for values in zip(*fields.values(), strict=True))
        for (identity, at), report in zip(_identities(rows), reports, strict=True):
            yield identity, at, content(msgspec.convert(report, Report))


def _identities(rows: dict[str, list[Any]]) -> Iterator[tuple[Identity, int]]:
    for drone_id, report_id, state, offset in zip(*(rows[name] for name in _IDENTITY), strict=True):
        yield (drone_id, report_id, unpack_last_state(state)[0]), offset


def _now_ms() -> int:
    """The latest that the broker's clock may show."""
    return int(time.time() * 1000) + CLOCKS_APART_MS
