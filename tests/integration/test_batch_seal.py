"""Sealing on a real Delta table and a real MongoDB: reports of old days go, their figures stay, whatever happens."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.lake import compact
from batch_layer.retention import delta_log, seal
from batch_layer.views import drones, hours
from fleet.errors import BadInput, NewerLayout, PeacewatchError, ServiceUnavailable
from fleet.reports.sealed import SEALED_THROUGH_KEY
from infra import delta
from infra.mongo import layouts, runs
from infra.mongo.client import Documents
from tests.support import lakes
from tests.support.batch_days import compute_all

START = datetime(2026, 11, 20, 3, tzinfo=UTC)
DAYS = [START.date() + timedelta(days=n) for n in range(4)]
FIRST_HOUR = int(START.timestamp()) // 3600
SEALED = DAYS[:2]
ROWS = 12
VIEWS = ("hours", "drone_days", "drones_by_day", "city_days", "place_days", "delay_days", "copies")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Four days in three commits, of few files: each run of each test reads all of them."""
    lakes.make(tmp_path)
    for number in range(3):
        rows = lakes.some_rows(ROWS, seed=number, hours=90, start=START, first=number * ROWS)
        lakes.land(tmp_path, rows, {"peacewatch.landed_through": '{"topic/0": 1795600000000}'})
    return tmp_path


@pytest.fixture
def job(lake: Path, mongo_database: Documents) -> Job:
    """With all views computed."""
    job = Job(mongo_database, str(lake), lakes.arrow_engine)
    compute_all(job)
    return job


def figures(database: Documents) -> dict[str, list[Any]]:
    """All that a reader can see, without what identifies the run."""
    return {
        view: [
            {name: value for name, value in document.items() if name not in ("version", "run")}
            for document in database[view].find().sort("_id")
        ]
        for view in VIEWS
    }


def keep_in_the_lake(lake: Path, job: Job) -> None:
    """Seals days, and trims the log."""
    seal.run(job, SEALED[-1])
    for number in range(
        2
    ):  # the log's own checkpoint is newer than the base: the second takes what the first could not
        delta_log.run(job.database, job.lake, timedelta(0), dry_run=False)
        lakes.land(lake, lakes.some_rows(1, seed=number, hours=1, start=START + timedelta(days=3), first=500 + number))
        compute_all(job)


def days_in_the_lake(lake: Path) -> set[date]:
    return set(lakes.everything(lake)["date"].to_pylist())


def test_the_reports_go_and_every_figure_stays(lake: Path, job: Job) -> None:
    before = figures(job.database)
    day_document = job.database.completeness.find_one({"_id": str(DAYS[0])})
    assert seal.run(replace(job, engine=lakes.no_engine), SEALED[-1]) == SEALED
    assert days_in_the_lake(lake) == set(DAYS[2:])
    assert DeltaTable(lake / "reports").metadata().configuration[SEALED_THROUGH_KEY] == str(SEALED[-1])
    assert figures(job.database) == before
    compute_all(replace(job, engine=lakes.no_engine))
    assert figures(job.database) == before
    assert {each["_id"] for each in job.database.sealed.find()} == {str(day) for day in SEALED}
    assert job.database.completeness.find_one({"_id": str(DAYS[0])}) == day_document
    assert seal.run(replace(job, engine=lakes.no_engine), SEALED[-1]) == [], "once is enough"


def test_a_range_over_a_sealed_day_is_refused_in_one_sentence(job: Job) -> None:
    seal.run(job, SEALED[-1])
    for wanted in (range(FIRST_HOUR, FIRST_HOUR + 1), range(FIRST_HOUR + 30, FIRST_HOUR + 80)):
        for run in (hours.run, drones.run):
            with pytest.raises(BadInput, match=r"2026-11-2[01] is sealed: its reports have left the lake"):
                run(job, wanted, rebuild=True)
    assert hours.run(job, range(FIRST_HOUR + 60, FIRST_HOUR + 80), rebuild=True).computed > 0


@pytest.mark.parametrize("emptied", [True, False])
def test_a_rebuild_has_the_figures_of_sealed_days_also_in_an_emptied_database(job: Job, emptied: bool) -> None:
    seal.run(job, SEALED[-1])
    before = figures(job.database)
    day_documents = list(job.database.completeness.find().sort("_id"))
    if emptied:
        job.database.client.drop_database(job.database.name)
    hours.run(job, rebuild=True)
    drones.run(job, rebuild=True)
    completeness.run(job)
    assert figures(job.database) == before
    found = list(job.database.completeness.find().sort("_id"))
    assert [each for each in found if each["_id"] <= str(SEALED[-1])] == day_documents[:2]


def test_an_archive_that_cannot_be_read_is_named_and_nothing_is_published(lake: Path, job: Job) -> None:
    seal.run(job, SEALED[-1])
    file = lake / "reports" / "_sealed" / f"{SEALED[0]}.bson.zst"
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    job.database.client.drop_database(job.database.name)
    with pytest.raises(ServiceUnavailable, match=rf"^a file of the lake cannot be read: _sealed/{file.name}[^\n]*$"):
        hours.run(job)
    assert runs.base_version(job.database) == runs.NO_BASE
    file.write_bytes(content)
    hours.run(job)
    assert job.database.hours.count_documents({"_id": {"$lt": str(DAYS[2])}}) > 0


@pytest.mark.parametrize("folder", ["_sealed", "_facts"])
def test_newer_files_of_the_lake_are_refused_and_nothing_is_published(
    lake: Path, job: Job, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in an emptied database, which has no layouts of its own."""
    name = {"_sealed": "hours", "_facts": "landing_facts"}[folder]
    known = layouts.COLLECTIONS[name].layout
    with monkeypatch.context() as newer:
        newer.setitem(layouts.COLLECTIONS, name, replace(layouts.COLLECTIONS[name], layout=known + 1))
        keep_in_the_lake(lake, job)
    kept = sorted((lake / "reports" / folder).iterdir())
    job.database.client.drop_database(job.database.name)
    said = f"^{folder}/{kept[0].name} in the lake: {name} has layout {known + 1} and this version of Peacewatch knows"
    with pytest.raises(NewerLayout, match=said):
        compute_all(job)
    assert job.database[name].count_documents({}) == 0


@pytest.mark.parametrize("folder", ["_sealed", "_facts"])
def test_files_from_before_layouts_are_read(lake: Path, job: Job, folder: str) -> None:
    keep_in_the_lake(lake, job)
    before = figures(job.database)
    for file in (lake / "reports" / folder).iterdir():
        with file.open("rb") as packed, pa.CompressedInputStream(packed, "zstd") as stream:
            first, *documents = bson.decode_all(stream.read())
        assert first.keys() == {"layouts"}
        older = pa.BufferOutputStream()
        with pa.CompressedOutputStream(older, "zstd") as stream:
            stream.write(b"".join(bson.encode(document) for document in documents))
        file.write_bytes(older.getvalue().to_pybytes())
    job.database.client.drop_database(job.database.name)
    compute_all(job)
    assert figures(job.database) == before


def test_a_copy_next_to_an_archive_is_ignored(lake: Path, job: Job) -> None:
    seal.run(job, SEALED[-1])
    before = figures(job.database)
    for folder in ("_sealed", "_facts"):
        foreign = lake / "reports" / folder / "2026-11-20 (copy).bson.zst"
        foreign.parent.mkdir(exist_ok=True)
        foreign.write_bytes(b"a copy")
    job.database.client.drop_database(job.database.name)
    compute_all(job)
    assert figures(job.database) == before


def test_concurrent_change_of_the_lake_only_delays_a_seal(lake: Path, job: Job) -> None:
    late = iter([1, 2])

    def conflicting(step: str) -> None:
        if step == "removing" and next(late, None):
            compact.run(str(lake), compact.groups(delta.pin(str(lake)), FIRST_HOUR + 200)[:2])

    assert seal.run(job, SEALED[-1], conflicting) == SEALED
    assert days_in_the_lake(lake) == set(DAYS[2:])


def test_a_day_of_which_reports_were_lost_holds_up_no_other(lake: Path, job: Job) -> None:
    missing = {"complete": False, "settled": True, "missing": ["up to 70 reports of partition 0 expired"]}
    job.database.completeness.update_one({"_id": str(DAYS[1])}, {"$set": missing})
    assert seal.make_plan(job.database, delta.pin(str(lake)), SEALED[-1]).days == tuple(SEALED)


def test_late_reports_are_counted_before_their_day_is_sealed(lake: Path, job: Job) -> None:
    lakes.land(lake, lakes.some_rows(9, seed=5, hours=20, start=START, first=500))
    seal.run(job, SEALED[-1])
    counted = sum(sum(each["cells"]["reports"]) for each in job.database.hours.find())
    assert counted == ROWS * 3 + 9


def test_completeness_missed_by_a_killed_run_is_written_before_the_seal(lake: Path, job: Job) -> None:
    lakes.land(lake, lakes.some_rows(9, seed=5, hours=20, start=START, first=500))
    hours.run(job)
    drones.run(job)  # and there it died: the day's completeness knows nothing of the late reports
    seal.run(replace(job, engine=lakes.no_engine), SEALED[-1])
    day_document = job.database.completeness.find_one({"_id": str(DAYS[0])})
    assert day_document is not None
    assert (day_document["complete"], day_document["late"]) == (True, 9)
    assert day_document["received"] == sum(
        sum(each["cells"]["reports"]) for each in job.database.hours.find({"_id": {"$lt": str(DAYS[1])}})
    )


def test_lander_with_an_older_table_is_refused(lake: Path, job: Job) -> None:
    handle = DeltaTable(lake / "reports")

    def lands(step: str) -> None:
        if step == "closed":
            with pytest.raises(CommitFailedError, match="Metadata changed"):
                write_deltalake(handle, lakes.table(lakes.some_rows(3, start=START, first=700)), mode="append")

    seal.run(job, SEALED[-1], lands)
    handle.update_incremental()  # of another day, and with the property in sight
    write_deltalake(handle, lakes.table(lakes.some_rows(3, start=START + timedelta(days=3), first=700)), mode="append")


@pytest.mark.parametrize("step", ["closed", "computed", "archived", "removed"])
def test_died_after_any_step_the_same_command_goes_on(step: str, lake: Path, job: Job) -> None:
    before = figures(job.database)

    def dies(at: str) -> None:
        if at == step:
            raise ServiceUnavailable("it dies here")

    with pytest.raises(ServiceUnavailable):
        seal.run(job, SEALED[-1], dies)
    compute_all(job)
    assert figures(job.database) == before
    assert days_in_the_lake(lake) == set(DAYS[2:] if step == "removed" else DAYS)
    seal.run(job, SEALED[-1])
    compute_all(job)
    assert (figures(job.database), days_in_the_lake(lake)) == (before, set(DAYS[2:]))
    assert job.database.sealed.count_documents({}) == 2


def test_a_run_that_starts_over_meanwhile_loses_no_sealed_day(lake: Path, job: Job) -> None:
    before = figures(job.database)

    def starts_over(step: str) -> None:
        if step == "computed":
            runs.start_over(job.database, 0, START)

    with pytest.raises(PeacewatchError, match="a rebuild is running"):
        seal.run(job, SEALED[-1], starts_over)
    assert days_in_the_lake(lake) == set(DAYS), "nothing is removed of which there are no figures"
    seal.run(job, SEALED[-1], lambda step: starts_over("computed") if step == "archived" else None)
    compute_all(job)
    assert figures(job.database) == before


def test_a_compaction_at_the_same_time_brings_nothing_back(lake: Path, job: Job) -> None:
    this_hour = FIRST_HOUR + 200
    planned = compact.groups(delta.pin(str(lake)), this_hour)

    def compacts(step: str) -> None:
        if step == "archived":
            compact.run(str(lake), planned[:3])

    seal.run(job, SEALED[-1], compacts)
    late = compact.run(str(lake), planned)
    assert {"gone" in done.reason for done in late[:3]} == {True}
    assert days_in_the_lake(lake) == set(DAYS[2:])


def test_vacuum_leaves_the_archive(lake: Path, job: Job) -> None:
    seal.run(job, SEALED[-1])
    DeltaTable(lake / "reports").vacuum(0, dry_run=False, enforce_retention_duration=False, full=True)
    assert len(list((lake / "reports" / "_sealed").iterdir())) == 2
    assert not list((lake / "reports").glob(f"date={DAYS[0]}/*/*.parquet"))


def test_only_complete_days_are_planned_and_without_a_gap(lake: Path, job: Job) -> None:
    pinned = delta.pin(str(lake))
    planned = seal.make_plan(job.database, pinned, DAYS[-1])
    assert (planned.days, planned.waits) == (tuple(DAYS), "")
    assert (len(planned.files), planned.size > 0) == (sum(map(len, pinned.hours.values())), True)
    waits = {"complete": False, "settled": False, "missing": ["partition 3 is landed up to 20:00 UTC only"]}
    job.database.completeness.update_one({"_id": str(DAYS[1])}, {"$set": waits})
    planned = seal.make_plan(job.database, pinned, DAYS[-1])
    assert planned.days == (DAYS[0],)
    assert planned.waits == "2026-11-21 is not complete: partition 3 is landed up to 20:00 UTC only"
    job.database.completeness.delete_many({})
    assert "peacewatch aggregate" in seal.make_plan(job.database, pinned, DAYS[-1]).waits


def test_days_that_still_get_reports_wait(lake: Path, job: Job) -> None:
    pinned, now = delta.pin(str(lake)), datetime.now(UTC)
    planned = seal.make_plan(job.database, pinned, DAYS[-1], now - timedelta(hours=1))
    assert (planned.days, planned.waits) == ((), f"reports of {DAYS[0]} still come in")
    assert seal.make_plan(job.database, pinned, DAYS[-1], now + timedelta(minutes=1)).days == tuple(DAYS)


def test_the_command_says_what_it_would_do_and_then_does_it(lake: Path, job: Job, mongo_uri: str) -> None:
    environment = {"PEACEWATCH_LAKE": str(lake), "PEACEWATCH_MONGO_URI": mongo_uri, "PEACEWATCH_HOME": str(lake)}

    def command(*arguments: str) -> tuple[int, str]:
        said = [sys.executable, "-m", "cli", "seal", "--quiet-hours", "0", *arguments]
        done = subprocess.run(said, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    assert command() == (0, "all days are kept: PEACEWATCH_RETENTION_DAYS is not set\n")
    kept = str((datetime.now(UTC).date() - SEALED[-1]).days - 1)
    code, planned = command("--keep-days", kept, "--dry-run")
    assert (code, planned.split(":")[0]) == (0, "2026-11-20 to 2026-11-21, 2 days to seal")
    assert days_in_the_lake(lake) == set(DAYS)
    environment["PEACEWATCH_RETENTION_DAYS"] = kept
    code, printed = command()
    assert (code, printed.startswith(planned), "2 days sealed" in printed) == (0, True, True), printed
    assert days_in_the_lake(lake) == set(DAYS[2:])
    assert command()[1] == "0 days to seal: 0 files, 0.0 MB\n"
    environment["PEACEWATCH_DRONE_REGISTER"] = str(lake / "no register")  # what it computes, it computes as aggregate
    code, printed = command()
    assert (code, "PEACEWATCH_DRONE_REGISTER: No such file" in printed) == (2, True), printed
