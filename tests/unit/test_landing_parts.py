"""Batches in groups, partitions that have lost messages, and what is near its expiry."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fleet.figures.cube import HOURS
from fleet.reports.landed import SCHEMA
from infra.delta import Commit
from infra.mongo.cells import encoded_size
from speed_layer.landing.batch import Chunk, Source, fair_order, groups
from speed_layer.landing.expiry_watch import Backlog
from speed_layer.landing.live_thread import Every
from speed_layer.landing.live_views import MAX_PENDING, PENDING_BYTES, Pending
from speed_layer.landing.partition import LandingPartition, Names
from tests.support.lakes import some_rows, table

SOURCE = Source("topic", 0)


def chunk(first: int, cells: int) -> Chunk:
    row = HOURS.fold(table(some_rows(1)))
    return Chunk(SOURCE, first, first + 10, cells=pa.concat_tables([row] * cells) if cells else HOURS.empty())


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ([], [[]]),
        ([0, 0], [[0, 0]]),
        ([3, 3, 3], [[3, 3, 3]]),
        ([3, 3, 5], [[3, 3], [5]]),
        ([20, 1, 9, 1], [[20], [1, 9], [1]]),
    ],
)
def test_a_commit_holds_no_more_cells_than_a_document_takes(cells: list[int], wanted: list[list[int]]) -> None:
    chunks = [chunk(10 * n, size) for n, size in enumerate(cells)]
    found = list(groups(chunks, most_bytes=10 * encoded_size(chunk(0, 1).cells)))
    assert [[one.cells.num_rows for one in group] for group in found] == wanted
    assert [one for group in found for one in group] == chunks, "in order, none left out"


def of_hours(source: Source, first: int, hours: range) -> Chunk:
    row = HOURS.fold(table(some_rows(1))).to_pylist()[0]
    cells = pa.Table.from_pylist([{**row, "event_hour": hour} for hour in hours], schema=HOURS.schema)
    return Chunk(source, first, first + 10, cells=cells)


def test_a_commit_holds_no_more_hours_than_it_may_have_files() -> None:
    chunks = [of_hours(SOURCE, 10 * n, range(n * 40, n * 40 + 60)) for n in range(4)]
    found = list(groups(chunks, most_hours=100))
    assert [one for group in found for one in group] == chunks
    assert [[one.first for one in group] for group in found] == [[0, 10], [20, 30]]


def test_neighbours_of_a_flood_are_committed_first_and_each_partition_in_order() -> None:
    other, third = Source("topic", 1), Source("topic", 2)
    flood = [of_hours(SOURCE, 10 * n, range(60)) for n in range(3)]
    calm = [of_hours(other, 0, range(1)), of_hours(other, 10, range(60)), of_hours(third, 0, range(2))]
    assert fair_order([*flood, *calm]) == [calm[0], calm[2], flood[0], flood[1], calm[1], flood[2]]


DAY = 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("backlog", "near"),
    [
        (Backlog(0, 100, 100), False),
        (Backlog(0, 0, 100), False),  # nothing expires yet, and nobody knows how old they are
        (Backlog(50, 99, 100), False),
        (Backlog(50, 60, 100), True),  # the broker deletes, and most of what it keeps is not landed
        (Backlog(0, 99, 100, through=DAY), True),  # 9 of 7 days old
        (Backlog(0, 99, 100, through=8 * DAY), False),
        (Backlog(0, 100, 100, through=DAY), False),
    ],
)
def test_reports_near_expiry_are_found(backlog: Backlog, near: bool) -> None:
    assert backlog.is_near_expiry(10 * DAY, 7 * DAY) is near
    if backlog.beginning == 0:
        assert not backlog.is_near_expiry(10 * DAY, -1)


def test_every_is_due_at_first_and_not_at_once_again() -> None:
    every = Every(1000)
    assert (every.due(), every.due()) == (True, False)
    assert Every(0).due()


def closed(partition: LandingPartition) -> list[tuple[int, int, int]]:
    chunks = [future.result() for future in partition.close_batch()]
    return [(one.first, one.next_offset, one.lost_before) for one in chunks]


def record(offset: int, timestamp: int) -> Any:
    return SimpleNamespace(offset=offset, timestamp=timestamp, partition=0, key=None, value=b"no report")


def test_loss_has_the_time_of_the_first_message_after_it() -> None:
    empty: Any = SimpleNamespace(
        rows_between=lambda *_: SCHEMA.empty_table(), opens_at=datetime.min.replace(tzinfo=UTC)
    )
    with ThreadPoolExecutor(1) as worker:

        def partition(beginning: int, end: int) -> LandingPartition:
            made = LandingPartition(SOURCE, 2, empty, worker, Names())
            made.begin(beginning, end)
            return made

        waits = partition(5, 8)
        assert closed(waits) == [], "the first message is on its way, and nobody else can say how late they may be"
        waits.add([record(5, 77), record(6, 78)])
        waits.decode()
        assert closed(waits) == [(2, 5, 77), (5, 7, 0)]
        waits.add([record(7, 79)])
        waits.decode()
        assert closed(waits) == [(7, 8, 0)]

        now = time.time() * 1000
        nothing_left, marks_alone = partition(5, 5), partition(5, 8)
        marks_alone.skip_to(8)
        for lost, rest in ((nothing_left, []), (marks_alone, [(5, 8, 0)])):
            (gap, *others) = closed(lost)
            assert (gap[:2], others) == ((2, 5), rest)
            assert gap[2] >= now
        assert closed(partition(0, 2)) == []
        assert closed(partition(0, 1)) == [(2, 1, 0)], (
            "the broker has lost what was landed: nothing is lost to the lake"
        )


@pytest.mark.parametrize(
    ("bytes_each", "kept"),
    [(1000, MAX_PENDING), (PENDING_BYTES // 4, 4), (PENDING_BYTES // 4 + 1000, 3), (2 * PENDING_BYTES, 1)],
)
def test_commits_that_wait_for_mongodb_are_bounded_in_number_and_bytes(bytes_each: int, kept: int) -> None:
    """The oldest go: they are read from the lake again. Of a flood of names 200 commits were 1.6 GB."""
    pending, cells = Pending(), pa.table({"n": pa.array(np.zeros(bytes_each, "uint8"))})
    for version in range(MAX_PENDING + 1):
        pending.put(Commit(version, datetime(2026, 11, 29, tzinfo=UTC), (), frozenset()), cells, {})
    commits, _ = pending.take()
    assert [commit.version for commit, _ in commits] == list(range(MAX_PENDING + 1))[-kept:]
