"""A lake on a real S3: landed exactly once through kills and conflicts, computed, compacted, sealed, cleaned."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.lake import archive, compact
from batch_layer.retention import delta_log, seal, vacuum
from batch_layer.views import drones, hours
from cli import status_facts
from cli.doctor import stores as doctor
from fleet import topics
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from fleet.reports.landed import SCHEMA
from infra import conditional_writes, delta
from infra.mongo.client import Documents
from serving import single_reports
from serving.report.store import FORMS, ReportStore, Revision
from speed_layer.landing.commit import Lake, OffsetConflict, OffsetRange
from tests.faults.test_landing_kills import BAD, kills_at_random
from tests.support import lakes, s3
from tests.support.lander_processes import Landers, landers
from tests.support.landing import landed, report, send
from tests.support.slow import slow
from tests.support.waiting import wait_for

START = datetime(2026, 11, 20, 3, tzinfo=UTC)
SLOW = pytest.mark.slow  # a kill mostly waits for its session's time-out
DAYS = [START.date() + timedelta(days=n) for n in range(3)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.S3]:
    with s3.serving(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture
def store(server: s3.S3, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> s3.S3:
    """With a lake of this test's own, and the environment that leads there."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return replace(server, lake=f"s3://{s3.BUCKET}/lakes/{request.node.name}")


@pytest.fixture
def lab(kafka: str, topic: Callable[..., str], mongo_uri: str, tmp_path: Path, store: s3.S3) -> Iterator[Landers]:
    with landers(kafka, topic(), topic(topics.REJECTED, 1), mongo_uri, tmp_path, store.lake) as made:
        yield made


@pytest.mark.parametrize("step", [*slow("1"), "3", *slow("4")])
def test_a_kill_between_the_files_and_the_commit_and_after_it(lab: Landers, step: str) -> None:
    first = lab.start(step)
    send(lab.bootstrap, lab.reports, [*(report(n) for n in range(300)), *BAD])
    wait_for(lambda: not first.alive, what="the kill")
    send(lab.bootstrap, lab.reports, [*(report(n) for n in range(290, 400)), *BAD])
    lab.start()
    lab.wait_landed()
    lab.check()
    assert len(landed(lab.lake, "report_id")) == 400


@SLOW
def test_two_landers_killed_at_random(lab: Landers) -> None:
    kills_at_random(lab, kills=4, chance=random.Random(7))


def test_second_commit_of_one_version_is_refused(store: s3.S3) -> None:
    slow, fast = Lake(store.lake), Lake(store.lake)
    part = [OffsetRange("t/0", 0, 10)]
    rows = lakes.table(lakes.some_rows(10, hours=1))

    def overtake() -> None:
        fast.commit(SCHEMA.empty_table(), part, lambda: None)

    with pytest.raises(OffsetConflict, match="somebody else changed the table"):
        slow.commit(rows, part, overtake)
    slow.refresh()
    assert (slow.version, slow.entry("t/0")) == (1, 10)
    assert lakes.everything(store.lake).num_rows == 0


def test_a_store_that_lets_commits_be_replaced_is_refused(
    store: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditional_writes.require_conditional_writes(store.lake)
    with s3.forgetful(store, tmp_path) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        with pytest.raises(ServiceUnavailable, match="does not know conditional writes"):
            Lake(store.lake)
        (finding,) = doctor.check_lake(store.lake)
        assert (finding.verdict, "a store without conditional writes loses reports" in finding.mend) == ("wrong", True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", store.endpoint)
    assert [finding.verdict for finding in doctor.check_lake(store.lake)] == ["fine"]
    assert not DeltaTable.is_deltatable(f"{store.lake}/reports")


def test_without_the_right_keys_it_is_one_sentence(store: s3.S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(
        ServiceUnavailable, match=r"^the lake cannot be read or written: .*necessary privileges"
    ) as raised:
        Lake(store.lake)
    assert "\x1b" not in str(raised.value)
    assert status_facts._try("lake", lambda: status_facts._table(store.lake), {}) is None


@pytest.fixture
def job(store: s3.S3, mongo_database: Documents) -> Job:
    """Three days in three commits, and all views of them."""
    lakes.make(store.lake)
    for number in range(3):
        rows = lakes.some_rows(12, seed=number, hours=60, start=START, first=number * 12)
        lakes.land(store.lake, rows, {"peacewatch.landed_through": '{"topic/0": 1795600000000}'})
    made = Job(mongo_database, store.lake, lakes.arrow_engine)
    hours.run(made)
    drones.run(made)
    completeness.run(made)
    return made


def cells(lake: str) -> Any:
    return HOURS.fold(lakes.everything(lake))


def test_compaction_changes_no_figure_and_vacuum_takes_what_it_left(job: Job) -> None:
    before, rows = cells(job.lake), lakes.everything(job.lake).num_rows
    planned = compact.groups(delta.pin(job.lake), int(START.timestamp()) // 3600 + 1000)
    done = compact.run(job.lake, planned)
    assert planned
    assert [one.reason for one in done] == [""] * len(planned)
    assert cells(job.lake).equals(before)
    assert vacuum.run(job.database, job.lake, timedelta(hours=1), dry_run=True) == []
    assert lakes.everything(job.lake).num_rows == rows
    there = lakes.everything(job.lake)
    drone, day = there["drone_id"][0].as_py(), there["date"][0].as_py()
    found = single_reports.reports(job.lake, day, {"drone_id": drone}, 1000)
    assert len(found.rows) == there.filter((pc.field("drone_id") == drone) & (pc.field("date") == day)).num_rows > 0


def test_a_sealed_days_figures_come_back_from_the_bucket(job: Job) -> None:
    kept = [*job.database.hours.find().sort("_id")]
    assert seal.run(job, DAYS[0]) == DAYS[:1]
    assert set(lakes.everything(job.lake)["date"].to_pylist()) == set(DAYS[1:])
    first = {"_id": {"$lt": DAYS[1].isoformat()}}
    for collection in ("hours", "sealed"):
        job.database[collection].delete_many(first)
    assert archive.restore(job.database, delta.pin(job.lake)) == 1
    assert [*job.database.hours.find().sort("_id")] == kept


def test_the_log_is_trimmed(job: Job) -> None:
    for _ in range(2):
        hours.run(job)
        delta_log.run(job.database, job.lake, timedelta(0), dry_run=False)
    found = delta_log.run(job.database, job.lake, timedelta(0), dry_run=True)
    assert found == []
    assert cells(job.lake).num_rows


def test_nightly_reports_are_stored_next_to_the_lake(store: s3.S3) -> None:
    shelf = ReportStore(store.lake)
    assert shelf.days() == []
    content = {form: form.encode() for form in FORMS}
    for number in (0, 1):
        shelf.write(Revision(date(2026, 11, 23), number), content)
    with pytest.raises(KeyError):
        shelf.write(Revision(date(2026, 11, 24), 0), {form: b"" for form in FORMS if form != "json"})
    assert ReportStore(store.lake).days() == [Revision(date(2026, 11, 23), 1)]
    assert shelf.read(Revision(date(2026, 11, 23), 0), "pdf") == b"pdf"
    assert shelf.newest(date(2026, 11, 24)) is None
    with pytest.raises(FileNotFoundError):
        shelf.read(Revision(date(2026, 11, 25), 0), "json")


def test_open_report_store_takes_replaced_keys(store: s3.S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a web server's, which lives longer than keys do."""
    secret = tmp_path / "secret"
    secret.write_text("expired")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(secret))
    shelf = ReportStore(store.lake)
    with pytest.raises(ServiceUnavailable):
        shelf.days()
    secret.write_text(store.secret)
    assert shelf.days() == []
    shelf.write(Revision(date(2026, 11, 23), 0), {form: form.encode() for form in FORMS})
    secret.unlink()
    with pytest.raises(ServiceUnavailable, match=r"^AWS_SECRET_ACCESS_KEY_FILE: No such file or directory"):
        shelf.read(Revision(date(2026, 11, 23), 0), "pdf")
