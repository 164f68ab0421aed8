"""A batch: what was decoded becomes chunks of Arrow, and those one commit or a few. Runs in landing's worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from structlog import get_logger

from fleet.figures.cube import HOURS
from fleet.reports.counted_places import CountedPlaces
from fleet.reports.landed import SCHEMA
from fleet.reports.watermark import CLOCKS_APART
from infra.delta import Commit
from infra.mongo.cells import DOCUMENT_BYTES, encoded_size
from speed_layer.landing import metrics
from speed_layer.landing.commit import Lake, OffsetRange
from speed_layer.landing.decoding import Decoded, RejectedMessage
from speed_layer.landing.landed_rows import rows
from speed_layer.landing.last_states import States, newest
from speed_layer.landing.live_views import LandedPosition, Pending
from speed_layer.landing.rejected import RejectedProducer

log = get_logger()

COMMIT_HOURS: Final = 128
"""Distinct event hours of a commit, each a file."""

CLOCKS_APART_MS: Final = int(CLOCKS_APART.total_seconds() * 1000)


@dataclass(frozen=True)
class Source:
    """A partition of `reports`. `key` names its `txn` entry."""

    topic_id: str
    partition: int

    @property
    def key(self) -> str:
        return f"{self.topic_id}/{self.partition}"


@dataclass(frozen=True)
class Chunk:
    """Offsets `first` to `next_offset` of a partition. `through`: the broker's time in ms that they reach.

    `lost_before`: these offsets expired before they were landed; the broker received them before this time in ms.
    """

    source: Source
    first: int
    next_offset: int
    through: int = 0
    rows: pa.Table = field(default_factory=SCHEMA.empty_table)
    cells: pa.Table = field(default_factory=HOURS.empty)
    rejected: Sequence[RejectedMessage] = ()
    duplicates: int = 0
    lost_before: int = 0

    @cached_property
    def hours(self) -> frozenset[int]:
        """The event hours of its rows."""
        return frozenset(pc.unique(self.cells["event_hour"]).to_pylist())


def chunk(empty: Chunk, decoded: Decoded, places: CountedPlaces) -> Chunk:
    """The chunk `empty` with what is decoded of its offsets, and the cells of its rows."""
    landed = rows(decoded, empty.source.topic_id, empty.source.partition)
    if landed.num_rows:
        landed = places.count(landed)
    rejected, duplicates = tuple(decoded.rejected), decoded.duplicates
    return replace(empty, rows=landed, cells=HOURS.fold(landed), rejected=rejected, duplicates=duplicates)


def commit(
    chunks: Sequence[Chunk], through: Mapping[str, int], lake: Lake, producer: RejectedProducer, pending: Pending
) -> list[Commit]:
    """Commits the chunks in as few versions as the bounds allow, each partition's in order. Returns the versions.

    `through`: by key, the broker's time in ms up to which partitions without anything to land are landed. Raises as
    `Lake.commit` does; the first versions may then be committed.
    """
    return [
        _commit(group, {**through, **_through(group)}, lake, producer, pending) for group in groups(fair_order(chunks))
    ]


def fair_order(chunks: Sequence[Chunk]) -> list[Chunk]:
    """The first chunk of every partition, those of few hours before others; then the second ones, and so on.

    So a partition with very many hours delays the others by one chunk only.
    """
    turns: Counter[Source] = Counter()
    ordered = []
    for one in chunks:
        ordered.append((turns[one.source], len(one.hours), one))
        turns[one.source] += 1
    return [one for _, _, one in sorted(ordered, key=lambda each: each[:2])]


def groups(
    chunks: Sequence[Chunk], most_bytes: int = DOCUMENT_BYTES, most_hours: int = COMMIT_HOURS
) -> Iterator[list[Chunk]]:
    """The chunks in order, in groups whose cells fit a document of `most_bytes` and whose rows are few files. A larger
    chunk is alone. At least one group.
    """
    group: list[Chunk] = []
    filled, hours = 0, set[int]()
    for one in chunks:
        size = encoded_size(one.cells)
        if group and (filled + size > most_bytes or len(hours | one.hours) > most_hours):
            yield group
            group, filled, hours = [], 0, set()
        group.append(one)
        filled += size
        hours |= one.hours
    yield group


def _commit(
    group: Sequence[Chunk], through: Mapping[str, int], lake: Lake, producer: RejectedProducer, pending: Pending
) -> Commit:
    rejected = [message for one in group for message in one.rejected]
    lost = {one.source.key: (one.first, one.next_offset) for one in group if one.lost_before}
    began = time.perf_counter()
    done = lake.commit(
        pa.concat_tables([SCHEMA.empty_table(), *(one.rows for one in group)]),
        [OffsetRange(one.source.key, one.first, one.next_offset) for one in group],
        lambda: producer.send(rejected),
        landed_through=dict(through),
        lost=lost,
        lost_before={one.source.key: one.lost_before for one in group if one.lost_before},
        rejected=dict(Counter(message.reason for message in rejected)),
        copies=sum(one.duplicates for one in group),
    )
    cells = HOURS.merge(one.cells for one in group)
    # step 5, in its own thread
    pending.put(done, cells, _positions(group, through, lost), list(_states(group)))
    metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
    if newest_ms := max((one.through for one in group), default=0):
        metrics.LATENCY.observe(max(0.0, time.time() - newest_ms / 1000))
    _report(done, group, rejected, lost)
    return done


def _through(group: Sequence[Chunk]) -> dict[str, int]:
    return {one.source.key: one.through for one in group if one.through}


def _positions(
    group: Sequence[Chunk], through: Mapping[str, int], lost: Mapping[str, tuple[int, int]]
) -> dict[str, LandedPosition]:
    return {
        one.source.key: LandedPosition(one.next_offset, _time(through.get(one.source.key)), lost.get(one.source.key))
        for one in group
    }


def _states(group: Sequence[Chunk]) -> Iterator[States]:
    by_source: dict[Source, list[Chunk]] = {}
    for one in group:
        by_source.setdefault(one.source, []).append(one)
    for source, chunks in by_source.items():
        table = newest(one.rows for one in chunks)
        yield States(source.topic_id, source.partition, chunks[0].first, chunks[-1].next_offset, table)


def _time(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def _report(
    done: Commit, group: Sequence[Chunk], rejected: list[RejectedMessage], lost: Mapping[str, tuple[int, int]]
) -> None:
    for key, (first, end) in lost.items():
        log.error("reports are lost: they expired before they were landed", partition=key, first=first, end=end)
    reports, duplicates = sum(one.rows.num_rows for one in group), sum(one.duplicates for one in group)
    metrics.VERSION.set(done.version)
    metrics.LANDED.inc(reports)
    metrics.DUPLICATES.inc(duplicates)
    metrics.LOST.inc(sum(end - first for first, end in lost.values()))
    for message in rejected:
        metrics.REJECTED.labels(message.reason).inc()
    log.info(
        "committed",
        version=done.version,
        reports=reports,
        rejected=len(rejected),
        duplicates=duplicates,
        files=len(done.added),
        sources=[f"{one.source.key}/{one.first}-{one.next_offset - 1}" for one in group],
    )
