"""`aggregate --rebuild` is two runs, of hours and of drone days; killed in either, the same command does the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_layer.job import Job
from batch_layer.views import drones, hours
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.mongo.client import Documents
from tests.support import lakes


class Killed(lakes.ArrowEngine):
    """Computes until it has done so many questions; keeps which hours and days it was asked for."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.hours: list[int] = []
        self.days: list[date] = []

    def _one_more(self) -> None:
        if not self.left:
            raise ServiceUnavailable("killed here")
        self.left -= 1

    def cells(self, cube: Any, pinned: Any, wanted: Any) -> Any:
        if cube is HOURS:
            self._one_more()
            self.hours += wanted
        return super().cells(cube, pinned, wanted)

    def drone_days(self, pinned: Any, day: date) -> Any:
        self._one_more()
        self.days.append(day)
        return super().drone_days(pinned, day)


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(100, hours=30))
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine, live_kept=timedelta(0), chunk=1)


def rebuild(job: Job, left: int = 1_000, *, both: bool = True) -> Killed:
    """The command's two runs, with an engine that is killed after `left` questions."""
    engine = Killed(left)

    @contextmanager
    def start() -> Iterator[Any]:
        yield engine

    job = replace(job, engine=start)
    try:
        hours.run(job, rebuild=True, both=both)
        if both:
            drones.run(job, rebuild=True, both=both)
    except ServiceUnavailable:
        assert engine.left == 0
    return engine


def test_each_hour_and_day_is_computed_once_wherever_it_is_killed(job: Job) -> None:
    every = sorted(delta.pin(job.lake).hours)
    whole = rebuild(job)
    assert whole.hours == every
    for kill in range(1, len(every) + len(whole.days), 6):
        before = rebuild(job, left=kill)
        after = rebuild(job)
        assert before.hours + after.hours == every, kill
        assert before.days + after.days == whole.days, kill
    assert rebuild(job).hours == every, "a complete one starts over"


def test_hours_that_a_commit_has_touched_since_are_computed_again(job: Job) -> None:
    every = sorted(delta.pin(job.lake).hours)
    killed = rebuild(job, left=len(every) + 1)
    assert len(killed.days) == 1
    lakes.land(job.lake, [lakes.row(999, lakes.START)])
    again = rebuild(job)
    assert again.hours == every[:1]
    assert again.days[0] == killed.days[0]


def test_a_rebuild_of_hours_alone_repairs_them_all(job: Job) -> None:
    """It is another request than the one that was killed in its drone days."""
    every = sorted(delta.pin(job.lake).hours)
    rebuild(job, left=len(every) + 1)
    assert rebuild(job, both=False).hours == every
