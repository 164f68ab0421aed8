"""The engine that computes: Spark, started for the first question, and kept for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import date
from typing import Protocol

import pyarrow as pa

from fleet.figures.cube import Cube
from infra.delta import Snapshot


class Engine(Protocol):
    """Answers over the files of a snapshot. Raises Unreadable that names a file which cannot be read."""

    @property
    def name(self) -> str:
        """The engine's name, for people: `Spark 4.1.4 with Comet 1.2.0`; "" before it was asked anything."""

    def cells(self, cube: Cube, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        """The cube's cells of all reports of these event hours, sorted by keys."""

    def cells_of(self, cubes: Sequence[Cube], snapshot: Snapshot, hours: Sequence[int]) -> list[pa.Table]:
        """The cells of each of `cubes`, as from `cells`; the files are read once."""

    def drone_days(self, snapshot: Snapshot, day: date) -> pa.Table:
        """Rows of batch_layer.views.drone_days.ROWS."""

    def repeats(self, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        """Rows of batch_layer.views.identities.REPEATS, sorted, for the event hours that have any."""


StartEngine = Callable[[], AbstractContextManager[Engine]]


@contextmanager
def kept(start: StartEngine) -> Iterator[StartEngine]:
    """One engine for several jobs: the first that needs it starts it, and it ends with this context."""
    with ExitStack() as running:
        started: list[Engine] = []

        @contextmanager
        def shared() -> Iterator[Engine]:
            if not started:
                started.append(running.enter_context(start()))
            yield started[0]

        yield shared
