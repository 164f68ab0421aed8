"""Runs over hour documents on a real MongoDB; the cells come from pyarrow, Spark has tests of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from batch_layer.job import Job
from batch_layer.views import hours
from fleet.errors import PeacewatchError, ServiceUnavailable
from fleet.figures.cube import HOURS
from fleet.reports.landed import hour_name
from infra import delta
from infra.mongo import runs
from infra.mongo.client import Documents
from speed_layer.landing.commit import Lake
from speed_layer.landing.live_views import LiveViews
from tests.support import lakes

FIRST_HOUR = int(lakes.START.timestamp()) // 3600


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Three hours, landed in three commits (versions 1 to 3)."""
    lakes.make(tmp_path)
    for number in range(3):
        lakes.land(tmp_path, lakes.some_rows(40, seed=number, first=number * 40))
    return tmp_path


@pytest.fixture
def job(lake: Path, mongo_database: Documents) -> Job:
    return Job(mongo_database, str(lake), lakes.arrow_engine, live_kept=timedelta(0))


def stored(database: Documents, *without: str) -> list[dict[str, Any]]:
    """The hour documents, in order, without the fields about the run."""
    documents = list(database.hours.find().sort("_id"))
    return [{name: value for name, value in each.items() if name not in {"run", *without}} for each in documents]


def whole(lake: Path, version: int | None = None) -> list[dict[str, Any]]:
    """The hour documents' cells as a full recomputation gives them."""
    cells = HOURS.fold(lakes.everything(lake, version)).to_pylist()
    return [cell for cell in cells if cell]


def cells_of(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return HOURS.merge([HOURS.from_document(document["cells"]) for document in documents]).to_pylist()


@dataclass(frozen=True)
class Computing:
    """An engine that computes cells by `cells`."""

    cells: Any
    name: str = "pyarrow"


def test_the_documents_are_a_full_recomputation(lake: Path, job: Job) -> None:
    done = hours.run(job)
    documents = stored(job.database)
    assert (done.version, done.computed, done.written, done.kind) == (3, 3, 3, "hours")
    assert [document["_id"] for document in documents] == [hour_name(FIRST_HOUR + n) for n in range(3)]
    assert {document["version"] for document in documents} == {3}
    assert cells_of(documents) == whole(lake)
    assert runs.base_version(job.database) == 3


def test_into_an_emptied_database_the_same_documents(lake: Path, job: Job) -> None:
    hours.run(job)
    before = stored(job.database)
    job.database.client.drop_database(job.database.name)
    hours.run(job)
    assert stored(job.database) == before


def test_nothing_to_do_starts_nothing_and_writes_nothing(job: Job) -> None:
    hours.run(job)
    before = list(job.database.runs.find({"kind": {"$exists": True}}))
    done = hours.run(replace(job, engine=lakes.no_engine))
    assert (done.computed, list(job.database.runs.find({"kind": {"$exists": True}}))) == (0, before)


def test_a_compaction_moves_the_base_and_computes_nothing(lake: Path, job: Job) -> None:
    hours.run(job)
    version = lakes.compact(lake)
    assert hours.run(replace(job, engine=lakes.no_engine)).computed == 0
    assert runs.base_version(job.database) == version


def test_a_late_report_has_its_hour_computed_again_and_no_other(lake: Path, job: Job) -> None:
    hours.run(job)
    late = lakes.land(lake, [lakes.row(999, lakes.START + timedelta(hours=1, minutes=5))])
    done = hours.run(job)
    assert done.computed == 1
    assert [document["version"] for document in stored(job.database)] == [3, late, 3]
    assert cells_of(stored(job.database)) == whole(lake)


def test_a_range_computes_its_hours_and_is_no_base_for_others(lake: Path, job: Job) -> None:
    done = hours.run(job, range(FIRST_HOUR, FIRST_HOUR + 2))
    assert (done.computed, done.kind, runs.base_version(job.database)) == (2, "range", runs.NO_BASE)
    assert hours.run(job).computed == 1, "the hours of the range are up to date already"
    assert (cells_of(stored(job.database)), runs.base_version(job.database)) == (whole(lake), 3)


def test_a_range_over_all_that_was_touched_is_a_base(job: Job) -> None:
    assert hours.run(job, range(FIRST_HOUR - 10, FIRST_HOUR + 10)).kind == "hours"
    assert runs.base_version(job.database) == 3


def test_an_interrupted_run_leaves_hours_old_or_new_and_the_next_goes_on(lake: Path, job: Job) -> None:
    hours.run(job)
    before = stored(job.database)
    lakes.land(lake, lakes.some_rows(40, seed=9, first=900))

    @contextmanager
    def dying() -> Iterator[Any]:
        with lakes.arrow_engine() as engine:
            yield Computing(lambda *asked: _or_die(engine.cells(*asked), asked[2]))

    def _or_die(cells: Any, wanted: Any) -> Any:
        if FIRST_HOUR + 1 in wanted:
            raise ServiceUnavailable("a file of the lake cannot be read")
        return cells

    with pytest.raises(ServiceUnavailable):
        hours.run(replace(job, engine=dying, chunk=1))
    now = stored(job.database)
    assert ([each["version"] for each in now], now[1:]) == ([4, 3, 3], before[1:])
    assert runs.base_version(job.database) == 3
    failed = job.database.runs.find_one({"state": "failed"})
    assert failed is not None
    assert failed["reason"] == "a file of the lake cannot be read"
    assert hours.run(job).computed == 2
    assert (cells_of(stored(job.database)), runs.base_version(job.database)) == (whole(lake), 4)


def test_a_slow_run_that_ends_after_a_fast_one_changes_nothing(lake: Path, job: Job) -> None:
    @contextmanager
    def slow() -> Iterator[Any]:
        with lakes.arrow_engine() as engine:

            def compute(*asked: Any) -> Any:
                cells = engine.cells(*asked)
                lakes.land(lake, lakes.some_rows(40, seed=5, first=500))
                assert hours.run(job).version == 4
                return cells

            yield Computing(compute)

    done = hours.run(replace(job, engine=slow))
    assert (done.version, done.written) == (3, 0)
    assert {document["version"] for document in stored(job.database)} == {4}
    assert (cells_of(stored(job.database)), runs.base_version(job.database)) == (whole(lake), 4)


def test_a_gap_of_live_documents_is_closed_before_a_document_is_replaced(lake: Path, job: Job) -> None:
    hours.run(replace(job, live_kept=timedelta(hours=1)))
    for number in (7, 8):
        lakes.land(lake, lakes.some_rows(10, seed=number, first=number * 100))
    seen = []

    @contextmanager
    def looking() -> Iterator[Any]:
        seen.append(sorted(document["_id"] for document in job.database.live.find()))
        with lakes.arrow_engine() as engine:
            yield engine

    hours.run(replace(job, engine=looking, live_kept=timedelta(hours=1)))
    assert seen == [[4, 5]]


def test_live_documents_are_deleted_only_after_they_were_kept_for_a_while(lake: Path, job: Job) -> None:
    hours.run(job)
    lakes.land(lake, lakes.some_rows(10, seed=7, first=700))
    hours.run(replace(job, live_kept=timedelta(hours=1)))
    assert job.database.live.count_documents({}) == 1
    lakes.land(lake, lakes.some_rows(10, seed=8, first=800))
    hours.run(job)
    assert job.database.live.count_documents({}) == 0


def test_rebuild_computes_everything_again(lake: Path, job: Job) -> None:
    hours.run(job)
    before = stored(job.database)
    job.database.hours.update_many({}, {"$set": {"cells.alerts": []}})
    assert hours.run(job, rebuild=True).computed == 3
    assert stored(job.database) == before


def test_progress_is_reported_after_each_part(job: Job) -> None:
    calls: list[tuple[int, int]] = []
    hours.run(replace(job, chunk=2, progress=lambda done, total: calls.append((done, total))))
    assert calls == [(2, 3), (3, 3)]


def test_rebuild_starts_over_when_what_was_between_is_lost(lake: Path, job: Job) -> None:
    hours.run(job)
    job.database.live.insert_one({"_id": 99, "committed_at": lakes.START + timedelta(days=999), "cells": {}})
    lakes.land(lake, lakes.some_rows(10, seed=7, first=700))
    lost = delta.pin(str(lake)).commit(4).added[0]
    lakes.compact(lake)
    (lake / "reports" / lost).unlink()
    with pytest.raises(PeacewatchError, match=r"peacewatch aggregate --rebuild starts over"):
        hours.run(job)
    hours.run(job, rebuild=True)
    assert (cells_of(stored(job.database)), runs.base_version(job.database)) == (whole(lake), 5)
    assert [document["_id"] for document in job.database.live.find()] == [99], "what a lander wrote meanwhile stays"


def test_another_lake_is_refused_until_it_is_rebuilt(tmp_path: Path, job: Job) -> None:
    hours.run(job)
    other = tmp_path / "other"
    lakes.make(other)
    lakes.land(other, lakes.some_rows(5, seed=1, hours=1))
    elsewhere = replace(job, lake=str(other))
    with pytest.raises(PeacewatchError, match="of another lake"):
        hours.run(elsewhere)
    hours.run(elsewhere, rebuild=True)
    assert (cells_of(stored(job.database)), runs.base_version(job.database)) == (whole(other), 1)


def test_a_run_of_before_the_start_over_cannot_complete(lake: Path, job: Job) -> None:
    hours.run(job)
    lakes.land(lake, lakes.some_rows(10, seed=7, first=700))

    @contextmanager
    def meanwhile() -> Iterator[Any]:
        runs.start_over(job.database, 0, lakes.START)
        with lakes.arrow_engine() as engine:
            yield engine

    with pytest.raises(PeacewatchError, match="started over"):
        hours.run(replace(job, engine=meanwhile))
    assert runs.base_version(job.database) == runs.NO_BASE


def test_an_empty_lake_is_complete_at_once(tmp_path: Path, mongo_database: Documents) -> None:
    lakes.make(tmp_path / "empty")
    job = Job(mongo_database, str(tmp_path / "empty"), lakes.no_engine)
    assert (hours.run(job).computed, runs.base_version(mongo_database)) == (0, 0)


def test_a_rebuild_that_died_goes_on_where_it_was(lake: Path, job: Job) -> None:
    """What was computed is not again, but for hours that a commit has touched since; a complete one starts over."""
    for number in range(3):
        lakes.land(lake, lakes.some_rows(50, seed=number, hours=6, first=number * 50))
    hours.run(job)
    every = sorted(delta.pin(str(lake)).hours)
    assert len(every) == 6
    asked: list[int] = []

    @contextmanager
    def engine(dies_after: int) -> Iterator[Any]:
        def cells(cube: Any, pinned: Any, wanted: Any) -> Any:
            if len(asked) == dies_after:
                raise ServiceUnavailable("the run dies here")
            asked.extend(wanted)
            return arrow.cells(cube, pinned, wanted)

        with lakes.arrow_engine() as arrow:
            yield Computing(cells)

    def rebuild(dies_after: int = -1, wanted: range | None = None) -> list[int]:
        asked.clear()
        try:
            hours.run(replace(job, engine=lambda: engine(dies_after), chunk=1), wanted, rebuild=True)
        except ServiceUnavailable:
            assert len(asked) == dies_after
        return list(asked)

    assert rebuild(dies_after=2) == every[:2]
    assert rebuild(dies_after=1) == every[2:3]  # killed again, it remembers both
    again = datetime.fromtimestamp(every[0] * 3600, UTC)
    lakes.land(lake, [lakes.row(999, again)])
    assert rebuild(wanted=range(every[0], every[1])) == every[:1]  # another request has nothing to resume
    assert rebuild() == [every[0], *every[3:]]
    assert cells_of(stored(job.database)) == whole(lake)
    assert rebuild() == every
    newest = runs.newest(job.database)
    assert newest is not None
    assert (newest["engine"], newest["done"]) == ("pyarrow", every)


def test_landers_show_how_far_the_batch_layer_is(job: Job, mongo_database: Documents) -> None:
    """An Airflow that stands still is noticed without Airflow (deploy/prometheus/rules.yaml)."""
    views = LiveViews(mongo_database, Lake(job.lake))

    def shown() -> float | None:
        views.repair()
        return REGISTRY.get_sample_value("peacewatch_batch_version")

    assert shown() == runs.NO_BASE
    hours.run(job)
    assert shown() == 3
    lakes.land(Path(job.lake), lakes.some_rows(5, seed=9, first=900))
    assert shown() == 3
