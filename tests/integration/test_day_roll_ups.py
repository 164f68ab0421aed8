"""Stored roll-ups of days: what readers add up from them is what the hours give, whatever died or came between."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from batch_layer.job import Job
from batch_layer.views import hours, publish
from fleet.figures.cube import HOURS
from fleet.figures.day_form import BY_COUNTRY, DAY_FORMS, WHOLE_FORMS
from fleet.figures.roll_up import roll_up
from infra import delta
from infra.mongo import day_roll_ups, live
from infra.mongo.client import Documents
from infra.mongo.runs import Run
from serving.figures.merge import Merge
from tests.support import lakes

START = lakes.START.replace(hour=0)
DAY = int(START.timestamp()) // 86_400
DAYS = range(DAY, DAY + 3)
HOURS_ASKED = range(DAYS.start * 24, DAYS.stop * 24)


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(300, hours=60, start=START))
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine, live_kept=timedelta(0))


def check(job: Job) -> int:
    """The countries' figures by roll-ups are those of the lake; how many days were read as roll-ups."""
    served = Merge(job.database, 0).served((), DAYS, BY_COUNTRY)
    assert served.version == delta.pin(job.lake).version
    got = HOURS.merge([served.cells(HOURS_ASKED.start, HOURS_ASKED.stop, "country")])
    rows = HOURS.fold(lakes.everything(job.lake))
    assert roll_up(got, ["country"]).equals(roll_up(rows, ["country"]))
    return len(served.stored)


def test_a_run_stores_a_roll_up_of_each_day(job: Job) -> None:
    hours.run(job)
    assert check(job) == len(DAYS)
    assert Merge(job.database, 0).served((), DAYS).hours == {}
    assert day_roll_ups.stale_days(job.database) == []


def test_late_reports_change_the_roll_up_of_their_day_alone(job: Job) -> None:
    hours.run(job)
    before = {each["_id"]: each["sources"] for each in job.database.day_roll_ups.find()}
    lakes.land(job.lake, [lakes.row(900, START + timedelta(hours=30))])
    pinned = delta.pin(job.lake)
    live.write_missing(job.database, pinned, pinned.version - 1)
    assert check(job) == len(DAYS), "before a run: with what the live document says"
    hours.run(job)
    after = {each["_id"]: each["sources"] for each in job.database.day_roll_ups.find()}
    assert [day for day in before if before[day] != after[day]] == [(START + timedelta(days=1)).date().isoformat()]
    assert check(job) == len(DAYS)


def test_a_run_that_died_before_its_roll_ups_leaves_them_to_the_next(job: Job) -> None:
    hours.run(job)
    lakes.land(job.lake, [lakes.row(900, START), lakes.row(901, START + timedelta(hours=30))])
    pinned = delta.pin(job.lake)
    live.write_missing(job.database, pinned, pinned.version - 1)
    touched = sorted(pinned.commit(pinned.version).touched)
    died = Run("died", "hours", pinned.version, START, len(touched), pinned.lake_id)
    with lakes.arrow_engine() as engine:
        cells = engine.cells(HOURS, pinned, touched)
    publish.replace(job.database, "hours", list(publish.hour_documents(HOURS, cells, touched, died)))
    assert check(job) == len(DAYS), "a roll-up of the hour documents before is as true"
    assert hours.run(job).computed == 0
    assert day_roll_ups.stale_days(job.database) == []
    assert check(job) == len(DAYS)


def test_rebuild_repairs_the_roll_up_too(job: Job) -> None:
    """At the same version of the lake."""
    hours.run(job)
    job.database.hours.update_one({"event_hour": DAY * 24}, {"$set": {"cells": HOURS.to_document(HOURS.empty())}})
    assert day_roll_ups.rebuild(job.database, DAY)
    with pytest.raises(AssertionError):
        check(job)
    hours.run(job, rebuild=True)
    assert check(job) == len(DAYS)


def test_a_day_that_is_too_large_is_read_by_its_hours(job: Job) -> None:
    """At the bound and one byte past it."""
    hours.run(job)
    document = job.database.day_roll_ups.find_one({"day": DAY})
    assert document is not None
    content = [document[form.name] for form in WHOLE_FORMS]
    content += [part for name in ("countries_by_hour", "countries_by_score") for part in document[name].values()]
    assert len(content) == len(DAY_FORMS)
    size = sum(map(len, content))
    assert day_roll_ups.rebuild(job.database, DAY, size)
    assert check(job) == len(DAYS)
    assert not day_roll_ups.rebuild(job.database, DAY, size - 1)
    assert check(job) == len(DAYS) - 1
    assert day_roll_ups.stale_days(job.database) == [], "nor is it tried again before it changes"


def test_days_without_hour_documents_have_no_roll_up(job: Job) -> None:
    hours.run(job)
    job.database.hours.delete_many({"event_hour": {"$lt": (DAY + 1) * 24}})
    assert day_roll_ups.stale_days(job.database) == [DAY]
    day_roll_ups.rebuild(job.database, DAY)
    assert job.database.day_roll_ups.count_documents({"day": DAY}) == 0
    assert day_roll_ups.stale_days(job.database) == []
