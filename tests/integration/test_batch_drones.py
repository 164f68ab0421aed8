"""Drone days in blocks, and the counts of drones by day, on a real MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_layer.job import Job
from batch_layer.views import blocks, drones, hours
from fleet.errors import PeacewatchError, ServiceUnavailable
from fleet.figures.statistics import drones_of_range
from infra.mongo import runs
from infra.mongo.client import Documents
from tests.support import lakes

START = datetime(2026, 11, 20, 3, tzinfo=UTC)
DAYS = [START.date() + timedelta(days=n) for n in range(5)]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Twenty drones over five days, with days on which some are not seen."""
    lakes.make(tmp_path)
    for number in range(3):
        lakes.land(tmp_path, lakes.some_rows(25, seed=number, hours=100, start=START, first=number * 25))
    return tmp_path


@pytest.fixture
def job(lake: Path, mongo_database: Documents) -> Job:
    return Job(mongo_database, str(lake), lakes.arrow_engine)


def by_hand(rows: list[dict[str, Any]], first: date, last: date, country: str | None = None) -> tuple[int, int]:
    """(low, total) drones of a range, by looking at every report of it."""
    ends: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda each: (each["last_state"], each["kafka_offset"])):
        if first <= row["date"] <= last:
            ends[row["drone_id"]] = row
    counted = [row for row in ends.values() if country in (None, row["country"])]
    return sum(row["battery"] < 20 for row in counted), len(counted)


def check(lake: Path, database: Documents) -> None:
    documents, rows = list(database.drones_by_day.find().sort("_id")), lakes.everything(lake).to_pylist()
    for at, first in enumerate(DAYS):
        for last in DAYS[at:]:
            for country in (None, "Chad"):
                assert drones_of_range(documents, first, last, country) == by_hand(rows, first, last, country)


def test_any_range_is_counted_without_a_scan_of_drones(lake: Path, job: Job) -> None:
    done = drones.run(job)
    assert (done.computed, done.written) == (5, 5 * blocks.BLOCKS)
    check(lake, job.database)


def test_late_reports_move_counts_of_days_before(lake: Path, job: Job) -> None:
    drones.run(job)
    late = lakes.some_rows(6, seed=8, hours=1, start=START + timedelta(days=2), first=500)
    version = lakes.land(lake, late)
    assert drones.run(job).computed == 1
    check(lake, job.database)
    assert max(document["version"] for document in job.database.drones_by_day.find()) == version
    assert drones.run(replace(job, engine=lakes.no_engine)).computed == 0


def test_a_drones_days_are_found_in_its_block(lake: Path, job: Job) -> None:
    drones.run(job)
    rows = [row for row in lakes.everything(lake).to_pylist() if row["drone_id"] == "drone-3"]
    found = list(job.database.drone_days.find({"block": blocks.block_of("drone-3")}).sort("_id"))
    days = {}
    for document in found:
        names = blocks.unpack(document["last"])["drone_id"].to_pylist()
        if "drone-3" in names:
            days[document["day"]] = blocks.unpack(document["rest"]).to_pylist()[names.index("drone-3")]
    assert {day: more["reports"] for day, more in days.items()} == {
        str(day): sum(row["date"] == day for row in rows) for day in {row["date"] for row in rows}
    }


def test_into_an_emptied_database_the_same_bytes(job: Job) -> None:
    def everything() -> list[Any]:
        return [list(job.database[view].find().sort("_id")) for view in ("drone_days", "drones_by_day")]

    drones.run(job)
    before = everything()
    job.database.client.drop_database(job.database.name)
    drones.run(job)
    assert everything() == before


def test_an_interrupted_run_publishes_no_counts(lake: Path, job: Job) -> None:
    drones.run(job)
    before = list(job.database.drones_by_day.find().sort("_id"))
    lakes.land(lake, lakes.some_rows(20, seed=11, hours=100, start=START, first=700))

    class Dying(lakes.ArrowEngine):
        def drone_days(self, pinned: Any, day: date) -> Any:
            if day == DAYS[2]:
                raise ServiceUnavailable("a file of the lake cannot be read")
            return super().drone_days(pinned, day)

    @contextmanager
    def dying() -> Iterator[Any]:
        yield Dying()

    with pytest.raises(ServiceUnavailable):
        drones.run(replace(job, engine=dying))
    assert list(job.database.drones_by_day.find().sort("_id")) == before
    assert runs.base_version(job.database, kind="drones") == 3
    drones.run(job)
    check(lake, job.database)


def test_a_slow_run_does_not_count_over_a_fast_one(lake: Path, job: Job) -> None:
    class Slow(lakes.ArrowEngine):
        def drone_days(self, pinned: Any, day: date) -> Any:
            found = super().drone_days(pinned, day)
            if day == DAYS[-1]:
                lakes.land(lake, lakes.some_rows(9, seed=12, hours=100, start=START, first=800))
                drones.run(job)
            return found

    @contextmanager
    def slow() -> Iterator[Any]:
        yield Slow()

    drones.run(replace(job, engine=slow))
    check(lake, job.database)
    assert max(document["version"] for document in job.database.drones_by_day.find()) == 4


def test_hours_and_drones_have_bases_of_their_own(lake: Path, job: Job, tmp_path: Path) -> None:
    hours.run(job)
    assert runs.base_version(job.database, kind="drones") == runs.NO_BASE
    drones.run(job)
    other = tmp_path / "other"
    lakes.make(other)
    with pytest.raises(PeacewatchError, match="another lake"):
        drones.run(replace(job, lake=str(other)))


def test_a_rebuild_of_days_that_was_killed_does_no_finished_day_again(lake: Path, job: Job) -> None:
    """Killed twice; a day that a commit has touched since is done again, and a complete rebuild starts over."""
    drones.run(job)
    check(lake, job.database)
    asked: list[date] = []

    def rebuild(dies_after: int = len(DAYS) + 1) -> list[date]:
        asked.clear()
        try:
            drones.run(replace(job, engine=dying(asked, dies_after)), rebuild=True)
        except ServiceUnavailable:
            assert len(asked) == dies_after
        return list(asked)

    assert rebuild(dies_after=2) == DAYS[:2]
    assert rebuild(dies_after=1) == DAYS[2:3]
    lakes.land(lake, [lakes.row(999, START)])
    assert rebuild() == [DAYS[0], *DAYS[3:]]
    check(lake, job.database)
    assert rebuild() == DAYS


def dying(asked: list[date], dies_after: int) -> Any:
    """Starts an engine that dies when it is asked for one day more; `asked` gets the days that it has computed."""

    class Dying(lakes.ArrowEngine):
        def drone_days(self, pinned: Any, day: date) -> Any:
            if len(asked) == dies_after:
                raise ServiceUnavailable("the run dies here")
            asked.append(day)
            return super().drone_days(pinned, day)

    @contextmanager
    def start() -> Iterator[Any]:
        yield Dying()

    return start
