"""What is stored has the schema that the code says; a newer layout is refused in one sentence, an older one works."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.retention import delta_log, vacuum
from batch_layer.views import drones, hours
from fleet.errors import NewerLayout
from fleet.figures.cube import HOURS
from infra.mongo import layouts
from infra.mongo.client import Documents
from serving.figures.merge import Merge
from tests.support import lakes

FIRST_HOUR = int(lakes.START.timestamp()) // 3600


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(40))
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine, live_kept=timedelta(hours=1))


def run(job: Job) -> None:
    hours.run(job)
    lakes.land(job.lake, lakes.some_rows(10, seed=2, first=100))
    hours.run(job)
    drones.run(job)
    completeness.run(job)


def test_documents_have_no_field_but_those_of_their_schema(job: Job) -> None:
    run(job)
    names = set(job.database.list_collection_names())
    assert {"hours", "live", "runs", "drone_days", "city_days", "completeness", "landing_facts", "layouts"} <= names
    assert names <= layouts.COLLECTIONS.keys()
    for name in names - {"layouts"}:
        known = {"_id", *layouts.COLLECTIONS[name].fields}
        for document in job.database[name].find():
            assert document.keys() <= known, name


def test_a_newer_layout_is_refused_in_one_sentence_and_nothing_is_written(job: Job) -> None:
    run(job)
    job.database.layouts.update_one({"_id": "collections"}, {"$set": {"city_days": 99}})
    before = {name: list(job.database[name].find()) for name in job.database.list_collection_names()}
    said = r"MongoDB's city_days has layout 99 and this version of Peacewatch knows 2: upgrade it"
    for what in (
        lambda: hours.run(job, rebuild=True),
        lambda: drones.run(job),
        lambda: completeness.run(job),
        lambda: vacuum.run(job.database, job.lake, dry_run=False),
        lambda: delta_log.run(job.database, job.lake, dry_run=False),
        lambda: Merge(job.database, 0).served(),
        lambda: layouts.claim(job.database),
    ):
        with pytest.raises(NewerLayout, match=said):
            what()
    assert {name: list(job.database[name].find()) for name in job.database.list_collection_names()} == before


def test_a_collection_that_this_version_does_not_know_is_refused(mongo_database: Documents) -> None:
    mongo_database.layouts.insert_one({"_id": "collections", "stars": 1})
    with pytest.raises(NewerLayout, match="stars has layout 1 and this version of Peacewatch knows 0"):
        layouts.require(mongo_database)


def test_an_older_layout_works_and_is_claimed(job: Job) -> None:
    """Documents of before 0.2.0: no field `parts`, and no collection `layouts`."""
    run(job)
    job.database.layouts.drop()
    job.database.view_parts.drop()
    served = Merge(job.database, 0).served(range(FIRST_HOUR, FIRST_HOUR + 3))
    assert HOURS.merge(list(served.hours.values())).equals(HOURS.fold(lakes.everything(job.lake)))
    lakes.land(job.lake, lakes.some_rows(10, seed=3, first=200))
    run(job)
    claimed = job.database.layouts.find_one({"_id": "collections"})
    assert claimed == {"_id": "collections"} | {name: each.layout for name, each in layouts.COLLECTIONS.items()}


def test_a_claim_never_lowers_a_layout(mongo_database: Documents) -> None:
    layouts.claim(mongo_database)
    mongo_database.layouts.update_one({"_id": "collections"}, {"$set": {"hours": 1}})
    layouts.claim(mongo_database)
    found = mongo_database.layouts.find_one({"_id": "collections"}) or {}
    assert found["hours"] == layouts.COLLECTIONS["hours"].layout
