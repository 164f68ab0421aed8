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
from speed_layer.landing import live_views, metrics
from speed_layer.landing.commit import Commit, Lake, Landed
from speed_layer.landing.decoding import Decoded, Reject, rows
from speed_layer.landing.last_states import States, newest
from speed_layer.landing.live_views import MOST_CELLS, Position, Waiting
from speed_layer.landing.rejected import Rejects

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
    rejects: Sequence[Reject] = ()
    copies: int = 0
    lost_before: int = 0


def chunk(source: Source, first: int, next_offset: int, through: int, decoded: Decoded) -> Chunk:
    """The chunk of what is decoded, with the cells of its rows."""
    landed = rows(decoded, source.topic_id, source.partition)
    return Chunk(
        source, first, next_offset, through, landed, HOURS.fold(landed), tuple(decoded.rejects), decoded.copies
    )


def commit(
    chunks: Sequence[Chunk], through: Mapping[str, int], lake: Lake, rejects: Rejects, waiting: Waiting
) -> list[Commit]:
    """Commits the chunks, in order, in as few versions as their live documents allow; the versions.

    `through`: by key, the broker's time in ms up to which partitions are landed that have nothing to land. Raises as
    `Lake.commit` does; then the first so many versions may be there.
    """
    return [
        _commit(group, {**through, **_through(group)}, lake, rejects, waiting) for group in groups(chunks, MOST_CELLS)
    ]


def groups(chunks: Sequence[Chunk], most_cells: int) -> Iterator[list[Chunk]]:
    """The chunks in order, in groups of at most `most_cells` cells; a larger chunk is alone. One group at least."""
    group: list[Chunk] = []
    cells = 0
    for one in chunks:
        if group and cells + one.cells.num_rows > most_cells:
            yield group
            group, cells = [], 0
        group.append(one)
        cells += one.cells.num_rows
    yield group


def _commit(
    group: Sequence[Chunk], through: Mapping[str, int], lake: Lake, rejects: Rejects, waiting: Waiting
) -> Commit:
    bad = [reject for one in group for reject in one.rejects]
    lost = {one.source.key: (one.first, one.next_offset) for one in group if one.lost_before}
    began = time.perf_counter()
    done = lake.commit(
        pa.concat_tables([SCHEMA.empty_table(), *(one.rows for one in group)]),
        [Landed(one.source.key, one.first, one.next_offset) for one in group],
        lambda: rejects.send(bad),
        landed_through=dict(through),
        lost=lost,
        lost_before={one.source.key: one.lost_before for one in group if one.lost_before},
        rejected=dict(Counter(reject.reason for reject in bad)),
        copies=sum(one.copies for one in group),
    )
    cells = HOURS.merge(one.cells for one in group)
    # step 5, by its own thread
    waiting.put(live_views.document(done, cells), _positions(group, through, lost), list(_states(group)))
    metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
    _report(done, group, bad, lost)
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


def _report(done: Commit, group: Sequence[Chunk], bad: list[Reject], lost: Mapping[str, tuple[int, int]]) -> None:
    for key, (first, end) in lost.items():
        log.error("reports are lost: they expired before they were landed", partition=key, first=first, end=end)
    reports, copies = sum(one.rows.num_rows for one in group), sum(one.copies for one in group)
    metrics.VERSION.set(done.version)
    metrics.LANDED.inc(reports)
    metrics.COPIES.inc(copies)
    metrics.LOST.inc(sum(end - first for first, end in lost.values()))
    for reject in bad:
        metrics.REJECTED.labels(reject.reason).inc()
    log.info(
        "committed", version=done.version, reports=reports, rejected=len(bad), copies=copies, files=len(done.added)
    )
