"""What was lost before it landed is stated in the completeness of days, once and for good, on a real MongoDB."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.retention import delta_log
from fleet.errors import ServiceUnavailable
from infra import delta
from infra.mongo.client import Documents
from tests.support import lakes
from tests.support.batch_days import DAY, NEXT_DAY, compute, document, land, ms, through


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    lakes.make(tmp_path)
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine)


def expire(job: Job, first: int, end: int, before: datetime, partition: int = 0, **facts: str) -> None:
    key = f"topic/{partition}"
    lost = {"lost": json.dumps({key: [first, end]}), "lost_before": json.dumps({key: ms(before)})}
    land(job, [], **lost, **facts)


def test_lost_reports_stay_missing(job: Job) -> None:
    late = NEXT_DAY + timedelta(hours=1)
    land(job, [lakes.row(1, DAY - timedelta(days=1)), lakes.row(2, DAY)], landed_through=through(DAY, late))
    land(job, [], landed_through=json.dumps({"topic/0": ms(DAY + timedelta(hours=9))}))
    expire(job, 10, 1010, DAY + timedelta(hours=11), landed_through=through(late))
    compute(job)
    found = document(job)
    assert (
        found["missing"]
        == found["losses"]
        == [
            "up to 1,000 reports of partition 0 expired before they landed; "
            "the broker received them between 2026-11-24 09:00 and 2026-11-24 11:00 UTC"
        ]
    )
    assert (found["complete"], found["settled"], found["lost"], found["lost_alerts"]) == (False, True, 1000, 0)
    yesterday = job.database.completeness.find_one({"_id": "2026-11-23"})
    assert yesterday is not None
    assert (yesterday["complete"], yesterday["lost"]) == (True, 0), "landed past its end before"
    assert completeness.run(job) == 0, "nothing is waited for"
    land(job, [lakes.row(3, DAY)])
    compute(job)
    assert (document(job)["late"], document(job)["missing"]) == (1, found["missing"])


def test_a_loss_is_counted_once_though_runs_die_and_in_an_emptied_database(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(DAY + timedelta(hours=1)))
    expire(job, 1, 8, DAY + timedelta(hours=2))
    compute(job)
    found = []
    for step in ("pinned", "inserted", "added up", "read"):
        with pytest.raises(ServiceUnavailable, match=step):
            completeness.run(job, _dies_at(step))
    completeness.run(job)
    for _ in range(2):
        found.append((document(job)["lost"], document(job)["losses"], list(job.database.losses.find())))
        job.database.client.drop_database(job.database.name)
        compute(job)
    assert found[0] == found[1]
    assert found[0][0] == 7


def _dies_at(step: str) -> Callable[[str], None]:
    def failpoint(reached: str) -> None:
        if reached == step:
            raise ServiceUnavailable(f"it dies at {step}")

    return failpoint


def test_a_slow_run_writes_over_no_loss_that_it_did_not_see(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(DAY + timedelta(hours=1)))
    compute(job)

    def run_with_another(at: str, happens: Callable[[], None]) -> dict[str, Any]:
        """Another run looks at the days at the moment when this one has done the step `at`."""
        racing = iter([at])

        def failpoint(step: str) -> None:
            if step == at and next(racing, None):
                happens()
                completeness.run(job)

        return document(job, failpoint=failpoint)

    found = run_with_another("added up", lambda: expire(job, 1, 8, DAY + timedelta(hours=2)))
    assert (found["lost"], found["version"]) == (7, delta.pin(job.lake).version)
    found = run_with_another("read", lambda: lose_an_alert(job))
    assert found["lost_alerts"] == 1, "at the same version, too"
    assert job.database.losses.count_documents({"told": True}) == 2


def test_a_run_that_is_racing_leaves_what_it_knows_to_the_next(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(DAY + timedelta(hours=1)))
    version = document(job)["version"]
    job.database.completeness.update_one({"_id": "2026-11-24"}, {"$set": {"version": version + 1}})
    lose_an_alert(job)
    assert document(job)["lost_alerts"] == 0
    land(job, [])
    assert document(job)["lost_alerts"] == 1


def lose_an_alert(job: Job) -> None:
    times = {"after": DAY, "before": DAY + timedelta(hours=1)}
    loss = {"_id": "alerts/topic/0/0", "table": "alerts", "partition": 0, "messages": 1, **times}
    job.database.losses.insert_one(loss)


def test_a_day_of_which_nothing_was_landed_says_why(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(DAY, DAY))
    expire(job, 0, 5, DAY + timedelta(days=3), 1, landed_through=through(*[DAY + timedelta(days=3)] * 2))
    compute(job)
    assert [document(job, f"2026-11-{day}")["lost"] for day in (24, 25, 26, 27)] == [5, 5, 5, 5]


def test_where_nothing_had_landed_before_the_loss_is_of_any_day_until_then(job: Job) -> None:
    land(job, [lakes.row(1, DAY), lakes.row(2, NEXT_DAY + timedelta(days=2))])
    expire(job, 0, 5, NEXT_DAY, landed_through=through(NEXT_DAY + timedelta(days=5)))
    compute(job)
    assert "the broker received them before 2026-11-25 00:00 UTC" in document(job)["missing"][0]
    assert document(job, "2026-11-27")["complete"] is True


def test_facts_of_a_trimmed_log_survive_an_emptied_database(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], copies="3", rejected='{"empty": 1}', landed_through=through(DAY))
    expire(job, 1, 8, DAY + timedelta(hours=2), landed_through=through(NEXT_DAY + timedelta(hours=1)))
    compute(job)
    completeness.run(job)
    for _ in range(2):  # its own checkpoint is newer than the base: the second takes what the first could not
        delta_log.run(job.database, job.lake, timedelta(0), dry_run=False)
        land(job, [lakes.row(2, DAY)], copies="1")
        compute(job)
        completeness.run(job)
    assert min(version for version, kind, _ in delta.pin(job.lake).log_files() if kind == "json") > 2
    assert len(list((Path(job.lake) / "reports" / "_facts").iterdir())) == 1
    before = facts_of(job)
    job.database.client.drop_database(job.database.name)
    compute(job)
    completeness.run(job)
    after = facts_of(job)
    assert after == before
    assert next(each["copies"] for each in after["landing_facts"] if "copies" in each) == 5
    completeness.run(job)
    assert list(job.database.landing_facts.find().sort("_id")) == after["landing_facts"], "put back once"


def facts_of(job: Job) -> dict[str, list[dict[str, Any]]]:
    """All that commits alone said, without what identifies the runs that noticed."""
    aside = {"first_complete": 0, "late": 0, "version": 0}
    return {
        view: list(job.database[view].find({}, aside).sort("_id"))
        for view in ("completeness", "landing_facts", "losses")
    }
