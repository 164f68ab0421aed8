"""Completeness documents on a real MongoDB."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from batch_layer import drone_register
from batch_layer.completeness import completeness
from batch_layer.job import Job
from fleet.errors import PeacewatchError, ServiceUnavailable
from fleet.reports.watermark import ALLOWED_LATENESS
from infra import delta
from infra.mongo import runs
from infra.mongo.client import Documents
from tests.support import lakes
from tests.support.batch_days import DAY, NEXT_DAY, compute, document, land, ms, through

WAIT_SECONDS = 60


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    lakes.make(tmp_path)
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine)


def test_complete_when_every_partition_is_landed_past_the_end_and_the_views_are_computed(job: Job) -> None:
    rows = [lakes.row(number, DAY + timedelta(minutes=number), drone_id="a") for number in range(3)]
    land(job, rows, landed_through=through(NEXT_DAY + timedelta(hours=1), DAY + timedelta(hours=5)))
    assert document(job)["missing"] == [
        "partition 1 is landed up to 2026-11-24 05:00 UTC only",
        "the hours of the day wait for a batch run",
        "the drones of the day wait for a batch run",
    ]
    compute(job)
    assert document(job)["missing"] == ["partition 1 is landed up to 2026-11-24 05:00 UTC only"]
    land(
        job, [], landed_through=through(NEXT_DAY, NEXT_DAY + ALLOWED_LATENESS)
    )  # how far an idle partition is landed is said, too
    compute(job)
    found = document(job)
    assert (found["complete"], found["missing"], found["received"], found["late"]) == (True, [], 3, 0)


def test_partitions_of_a_topic_that_was_created_again_are_waited_for_no_more(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(DAY, DAY))
    compute(job)
    assert document(job)["missing"] == [
        "partitions 0 and 1 are landed up to 2026-11-24 00:00 UTC only, or little further"
    ]
    end = int((NEXT_DAY + ALLOWED_LATENESS).timestamp() * 1000)
    land(job, [], landed_through=json.dumps({"another/0": end}))
    compute(job)
    gone = "the topic of reports was created again between 2026-11-24 00:00 and 2026-11-25 00:10 UTC"
    found = document(job)
    assert found["missing"] == [f"{gone}: an unknown number had not landed and is lost"]
    assert (found["complete"], found["settled"]) == (False, True)
    land(job, [], landed_through=through(DAY))  # what the old topic's last lander still says
    assert document(job)["missing"] == found["missing"]
    assert job.database.losses.count_documents({}) == 1


def test_a_topic_that_is_created_again_when_the_day_was_landed_leaves_it_complete(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(*[NEXT_DAY + ALLOWED_LATENESS] * 2))
    compute(job)
    land(job, [], landed_through=json.dumps({"another/0": ms(NEXT_DAY + timedelta(hours=5))}))
    assert document(job)["complete"] is True
    assert "2026-11-25 05:00" in document(job, "2026-11-25")["missing"][-1], "the day after has a document for it"


def test_two_runs_at_once_add_up_each_commit_once(job: Job) -> None:
    """The other one has pinned the lake before this one, and is through before this one adds up."""
    land(job, [lakes.row(1, DAY)], copies="3", rejected='{"empty": 1}')
    pinned, may_go_on = Event(), Event()

    def waits(step: str) -> None:
        if step == "pinned":
            pinned.set()
            assert may_go_on.wait(WAIT_SECONDS)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(completeness.run, job, waits)
        assert pinned.wait(WAIT_SECONDS)
        land(job, [lakes.row(1, DAY)], copies="3", rejected='{"empty": 1}')

        def lets_the_other_finish(step: str) -> None:
            if step == "pinned":
                may_go_on.set()
                other.result()

        with pytest.raises(PeacewatchError, match="another run has added up the same commits; run it again"):
            completeness.run(job, lets_the_other_finish)
    completeness.run(job)
    today = job.database.landing_facts.find_one({"copies": {"$exists": True}})
    assert today is not None
    assert (today["copies"], today["rejected"]) == (6, {"empty": 2})


def test_a_run_that_dies_leaves_no_day_out(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(NEXT_DAY + timedelta(hours=1)))
    compute(job)
    assert document(job)["complete"] is True
    land(job, [lakes.row(2, DAY)])
    compute(job)

    def dies(step: str) -> None:
        if step == "read":
            raise ServiceUnavailable("it dies after the commits are added up")

    with pytest.raises(ServiceUnavailable):
        completeness.run(job, dies)
    assert completeness.left(job.database) == {DAY.date()}
    assert (document(job)["received"], document(job)["late"]) == (2, 1)
    assert completeness.left(job.database) == set()


class Reads(DeltaStorageHandler):
    """The lake's store, which notes the versions of the log that it is asked for."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.versions: list[int] = []

    def open_input_file(self, path: str) -> pa.PythonFile:
        self.versions.append(int(Path(path).stem))
        return super().open_input_file(path)


def test_versions_that_the_log_lost_are_not_read_one_by_one(job: Job) -> None:
    for number in range(5):
        land(job, [lakes.row(number, DAY)], copies="1")
    reads = Reads(f"{job.lake}/reports")
    pinned = replace(delta.pin(job.lake), store=PyFileSystem(reads))
    for version in range(3):
        pinned.store.delete_file(f"_delta_log/{version:020}.json")
    assert [each.version for each in pinned.commits_left(-1)] == [3, 4, 5]
    assert reads.versions == [0, 3, 4, 5]


def test_reports_after_completion_are_late(job: Job) -> None:
    land(job, [lakes.row(1, DAY)], landed_through=through(NEXT_DAY + timedelta(hours=1)))
    compute(job)
    first = document(job)
    land(job, [lakes.row(2, DAY), lakes.row(3, DAY)])
    assert document(job)["complete"] is True  # as it was announced; the next run counts them
    compute(job)
    found = document(job)
    assert (found["complete"], found["received"], found["late"]) == (True, 3, 2)
    assert found["first_complete"] == first["first_complete"]


def test_without_facts_of_landing_nothing_is_complete(job: Job) -> None:
    land(job, [lakes.row(1, DAY)])
    compute(job)
    assert document(job)["missing"] == ["how far reports have landed is not known"]


def test_facts_of_commits_are_added_up_once(job: Job) -> None:
    long_ago = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(2):
        land(job, [lakes.row(1, long_ago)], copies="3", rejected='{"not json": 2, "empty": 1}')
        completeness.run(job)
        completeness.run(job)
    compute(job)
    today = datetime.now(UTC).date().isoformat()  # of the commit: a rejected message has no time of its own
    facts = job.database.landing_facts.find_one({"_id": today})
    assert facts is not None
    assert (facts["copies"], facts["rejected"]) == (6, {"not json": 4, "empty": 2})
    assert document(job, "2026-03-01")["copies"] == 1, "the report that is in the lake twice"


def test_conflicts_that_landing_rejected_and_those_in_the_lake_are_counted(job: Job) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=5, second=0, microsecond=0)  # of the commit, too
    for battery in (50.0, 51.0):
        land(job, [lakes.row(1, today, battery=battery)], rejected='{"conflict": 2}')
    compute(job)
    found = document(job, today.date().isoformat())
    assert (found["copies"], found["conflicts"], found["rejected"]) == (0, 5, {"conflict": 4})


def test_received_against_expected_by_drone(job: Job) -> None:
    yesterday = [lakes.row(n, DAY - timedelta(days=1), drone_id=name) for n, name in enumerate(("old", "silent"))]
    long_ago = [lakes.row(9, DAY - timedelta(days=8), drone_id="gone")]
    old = [lakes.row(10 + n, DAY + timedelta(minutes=5 * n), drone_id="old", battery=30.0) for n in range(2)]
    new = [lakes.row(20 + n, DAY + timedelta(hours=23, minutes=n), drone_id="new", battery=7.5) for n in range(60)]
    land(job, yesterday + long_ago + old + new)
    compute(job)
    found = document(job)
    assert (found["received"], found["expected"]) == (62, 1440 + 1440 + 60)
    assert (found["silent"], found["with_gaps"]) == (1, 1)
    assert [(each["drone_id"], each["battery"], each["gap_minutes"]) for each in found["worst_batteries"]] == [
        ("new", 7.5, 0),
        ("old", 30.0, 1438),
    ]
    assert found["longest_gaps"][0]["drone_id"] == "old"
    assert found["longest_gaps"][0]["last"] == DAY + timedelta(minutes=5)


def test_a_register_says_who_is_expected(job: Job, tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    file.write_text("drone_id,from,until\nnew,,\nsilent,2026-11-24,\ngone,,2026-11-23\nnot yet,2026-11-25,\n")
    seen = [lakes.row(n, DAY + timedelta(hours=23, minutes=n), drone_id="new") for n in range(60)]
    land(job, [*seen, lakes.row(99, DAY, drone_id="unknown"), lakes.row(98, DAY - timedelta(days=1), drone_id="gone")])
    compute(job)
    found = document(replace(job, register=drone_register.load(file)))
    assert (found["received"], found["expected"]) == (61, 2 * 1440)
    assert (found["silent"], found["unregistered"]) == (1, 1)
    assert [each["gap_minutes"] for each in found["longest_gaps"]] == [1380, 0]


def test_a_lake_created_again_starts_from_nothing(job: Job, tmp_path: Path) -> None:
    land(job, [lakes.row(1, DAY)], copies="3")
    times = {"after": DAY, "before": DAY + timedelta(hours=1)}
    for table in ("reports", "alerts"):
        job.database.losses.insert_one({"table": table, "partition": 0, "messages": 1, **times})
    job.database.runs.insert_one({"kind": "alerts", "state": "complete", "version": 1})
    assert len(document(job)["losses"]) == 2
    other = tmp_path / "other"
    lakes.make(other)
    lakes.land(other, [lakes.row(1, DAY)], {"peacewatch.copies": "1"})
    completeness.run(replace(job, lake=str(other)))
    assert [each["copies"] for each in job.database.landing_facts.find({"copies": {"$exists": True}})] == [1]
    found = job.database.completeness.find_one({"_id": "2026-11-24"})
    assert found is not None
    assert (found["losses"], found["lost_alerts"]) == ([], 0)
    assert runs.base_version(job.database, kind="alerts") == runs.NO_BASE, "so its own are found again"
