"""A batch: what was decoded becomes chunks of Arrow, and those one commit or a few. Runs in landing's worker."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import pyarrow as pa
from structlog import get_logger

from fleet.figures.cube import HOURS
from fleet.reports.landed import SCHEMA
from fleet.reports.watermark import CLOCKS_APART
from infra.delta import Commit
from infra.mongo.cells import DOCUMENT_BYTES, encoded_size
from speed_layer.landing import metrics
from speed_layer.landing.commit import Lake, OffsetRange
from speed_layer.landing.decoding import Decoded, RejectedMessage, rows
from speed_layer.landing.last_states import States, newest
from speed_layer.landing.live_views import Pending, Position
from speed_layer.landing.rejected import RejectedProducer

log = get_logger()

CHUNK: Final = 5000
"""Messages that Arrow takes at once: fewer cost calls, more gain nothing and take memory."""


CHUNK_BYTES: Final = 16 * 1024 * 1024
"""Messages of a megabyte fill a chunk sooner; an Arrow column of texts ends at 2 GiB."""

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

    `lost_before`: they are not there, expired before they were landed, and the broker took them before this time in ms.
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


def chunk(source: Source, first: int, next_offset: int, through: int, decoded: Decoded) -> Chunk:
    """The chunk of what is decoded, with the cells of its rows."""
    landed = rows(decoded, source.topic_id, source.partition)
    return Chunk(
        source, first, next_offset, through, landed, HOURS.fold(landed), tuple(decoded.rejected), decoded.duplicates
    )


def commit(
    chunks: Sequence[Chunk], through: Mapping[str, int], lake: Lake, producer: RejectedProducer, pending: Pending
) -> list[Commit]:
    """Commits the chunks, in order, in as few versions as their live documents allow; the versions.

    `through`: by key, the broker's time in ms up to which partitions are landed that have nothing to land. Raises as
    `Lake.commit` does; then the first so many versions may be there.
    """
    return [_commit(group, {**through, **_through(group)}, lake, producer, pending) for group in groups(chunks)]


def groups(chunks: Sequence[Chunk], most_bytes: int = DOCUMENT_BYTES) -> Iterator[list[Chunk]]:
    """The chunks in order, in groups whose cells are one document of `most_bytes`; a larger chunk is alone.

    One group at least.
    """
    group: list[Chunk] = []
    filled = 0
    for one in chunks:
        size = encoded_size(one.cells)
        if group and filled + size > most_bytes:
            yield group
            group, filled = [], 0
        group.append(one)
        filled += size
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
    # step 5, by its own thread
    pending.put(done, cells, _positions(group, through, lost), list(_states(group)))
    metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
    _report(done, group, rejected, lost)
    return done


def _through(group: Sequence[Chunk]) -> dict[str, int]:
    return {one.source.key: one.through for one in group if one.through}


def _positions(
    group: Sequence[Chunk], through: Mapping[str, int], lost: Mapping[str, tuple[int, int]]
) -> dict[str, Position]:
    return {
        one.source.key: Position(one.next_offset, _time(through.get(one.source.key)), lost.get(one.source.key))
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
    )
