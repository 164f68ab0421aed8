"""Batches in groups, partitions that jump, and what is near its expiry."""

from __future__ import annotations

import pyarrow as pa
import pytest

from fleet.cube import HOURS
from speed_layer.landing_batch import Chunk, Source, groups
from speed_layer.landing_live import Every
from speed_layer.landing_watch import Backlog
from tests.lakes import some_rows, table

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
    found = list(groups(chunks, most_cells=10))
    assert [[one.cells.num_rows for one in group] for group in found] == wanted
    assert [one for group in found for one in group] == chunks, "in order, none left out"


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
def test_what_is_near_its_expiry(backlog: Backlog, near: bool) -> None:
    assert backlog.is_near_expiry(10 * DAY, 7 * DAY) is near
    if backlog.beginning == 0:
        assert not backlog.is_near_expiry(10 * DAY, -1)


def test_every_is_due_at_first_and_not_at_once_again() -> None:
    every = Every(1000)
    assert (every.due(), every.due()) == (True, False)
    assert Every(0).due()
