"""Compaction and vacuum of a real Delta table: no row changes, and nothing that a reader needs goes."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pyarrow as pa
import pyarrow.parquet
import pytest
from deltalake import DeltaTable

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.lake import compact, external_sort
from batch_layer.lake.compact import OPTIONS, CompactionOptions
from batch_layer.lake.external_sort import Room
from batch_layer.retention import delta_log, vacuum
from batch_layer.views import drones, hours
from fleet.alerts import landed_alert
from fleet.errors import PeacewatchError, ServiceUnavailable
from infra import delta
from infra.mongo import live, runs
from infra.mongo.client import Documents
from tests.support import lakes

FIRST_HOUR = int(lakes.START.timestamp()) // 3600
LONG_AFTER = FIRST_HOUR + 100


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two hours in ten commits."""
    lakes.make(tmp_path)
    for number in range(10):
        lakes.land(tmp_path, lakes.some_rows(30, seed=number, hours=2, first=number * 30))
    return tmp_path


def rows_of(lake: Path, version: int | None = None) -> pa.Table:
    return lakes.everything(lake, version).sort_by("report_id")


def run(lake: Path, this_hour: int, options: CompactionOptions = OPTIONS) -> list[compact.Compacted]:
    return compact.run(str(lake), compact.groups(delta.pin(str(lake)), this_hour), options)


def test_closed_hours_get_one_sorted_file_with_the_same_rows(lake: Path) -> None:
    before = rows_of(lake)
    done = run(lake, LONG_AFTER)
    pinned = delta.pin(str(lake))
    assert [(len(each.group.files), each.reason) for each in done] == [(10, ""), (10, "")]
    assert [len(files) for files in pinned.hours.values()] == [1, 1]
    assert rows_of(lake).equals(before)
    for uri in pinned.uris(pinned.hours):
        rows = pyarrow.parquet.read_table(uri, partitioning=None)
        assert rows.equals(rows.sort_by([("drone_id", "ascending"), ("reported_at", "ascending")]))
    assert run(lake, LONG_AFTER) == [], "nothing is left to do"


@pytest.mark.parametrize("most_bytes", [0, external_sort.MOST_BYTES], ids=["on disk", "in memory"])
@pytest.mark.parametrize("most_rows", [1, 20, 70])
def test_rows_beyond_memory_are_sorted_in_parts(lake: Path, most_rows: int, most_bytes: int) -> None:
    before, pinned = rows_of(lake), delta.pin(str(lake))
    held: list[int] = []
    room = Room(most_rows, bytes=most_bytes)
    for files in pinned.hours.values():
        parts = external_sort.by_drone_and_time(pinned, files, ["drone_id", "reported_at", "kafka_offset"], room)
        held += [part.num_rows for part in parts]
    assert [each.reason for each in run(lake, LONG_AFTER, CompactionOptions(room=room))] == ["", ""]
    assert rows_of(lake).equals(before)
    pinned = delta.pin(str(lake))
    for uri in pinned.uris(pinned.hours):
        found = pyarrow.parquet.read_table(uri, partitioning=None)
        assert found.equals(found.sort_by(external_sort.ORDER))
    largest = max(pa.table({"n": before["drone_id"].value_counts().field("counts")})["n"].to_pylist())
    assert sum(held) == before.num_rows
    assert max(held) <= most_rows + largest


def test_memory_is_bounded_by_what_was_read_so_far(lake: Path) -> None:
    pinned = delta.pin(str(lake))
    files = pinned.hours[FIRST_HOUR]
    columns = [name for name in pinned.schema.names if name not in ("date", "hour")]
    parts = [pinned.encoded(file.path, columns, ["message", "citizens.list.element.name"]) for file in files]
    assert {str(part["citizens"].type.value_type[0].type) for part in parts} == {
        "dictionary<values=string, indices=int32, ordered=0>"
    }
    assert [part.cast(pinned.rows([file.path], columns).schema) for part, file in zip(parts, files, strict=True)] == [
        pinned.rows([file.path], columns) for file in files
    ]
    size = sum(
        pinned.encoded(file.path, columns, external_sort.REPEATING_TEXT).get_total_buffer_size() for file in files
    )
    for most, in_memory in ((size * 2, True), (size // 2, False)):
        opened: list[int] = []

        def scratch(opened: list[int] = opened) -> IO[bytes]:
            opened.append(1)
            return TemporaryFile()

        room = Room(20, scratch, most)
        rows = pa.concat_tables(external_sort.by_drone_and_time(pinned, files, columns, room))
        assert rows.equals(pinned.rows([file.path for file in files], columns).sort_by(external_sort.ORDER))
        assert (not opened) == in_memory


def test_several_files_are_made_at_once_and_committed_one_after_the_other(lake: Path) -> None:
    for number in range(3):
        start = lakes.START + timedelta(hours=3 + number)
        lakes.land(lake, lakes.some_rows(40, seed=50 + number, hours=1, start=start, first=1000 + number * 40))
    before, version = rows_of(lake), delta.pin(str(lake)).version
    threads: set[str] = set()

    def scratch() -> IO[bytes]:
        threads.add(threading.current_thread().name)
        return TemporaryFile()

    done = run(lake, LONG_AFTER, CompactionOptions(room=Room(20, scratch, bytes=0), at_once=2))
    assert sorted(each.group.event_hour for each in done) == [FIRST_HOUR + n for n in (0, 1, 3, 4, 5)]
    assert [(each.reason, each.version) for each in done] == [("", version + 1 + n) for n in range(5)]
    assert threads == {"compact_0", "compact_1"}
    assert rows_of(lake).equals(before)


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_full_disk_is_reported_and_holds_up_no_other_group(lake: Path, at_once: int) -> None:
    lakes.land(lake, lakes.some_rows(5, seed=99, hours=1, start=lakes.START + timedelta(hours=3), first=900))
    before = rows_of(lake)

    def nowhere() -> IO[bytes]:
        return TemporaryFile(dir=lake / "nowhere")

    finished: list[compact.Compacted] = []
    planned = compact.groups(delta.pin(str(lake)), LONG_AFTER)
    with pytest.raises(external_sort.DiskFull, match=r"^large files cannot be sorted on disk \(TMPDIR[^\n]*nowhere"):
        compact.run(str(lake), planned, CompactionOptions(finished.append, Room(20, nowhere, bytes=0), at_once=at_once))
    hours = {done.group.event_hour - FIRST_HOUR: bool(done.reason) for done in finished}
    assert hours == {0: True, 1: True, 3: False}, "five rows need no disk"
    assert rows_of(lake).equals(before)


def test_a_disk_that_fills_up_meanwhile(lake: Path) -> None:
    before, version = rows_of(lake), delta.pin(str(lake)).version

    def full() -> IO[bytes]:
        return Path("/dev/full").open("wb+", buffering=0)

    with pytest.raises(external_sort.DiskFull, match=r"^large files cannot be sorted on disk[^\n]*No space left"):
        run(lake, LONG_AFTER, CompactionOptions(room=Room(20, full, bytes=0)))
    assert delta.pin(str(lake)).version == version
    assert rows_of(lake).equals(before)


def test_a_day_of_alerts_is_closed_when_its_last_hour_is(tmp_path: Path) -> None:
    files = tuple(delta.File(f"part-{n}", FIRST_HOUR, 5_000, 1) for n in range(3))
    alerts = replace(an_alert_table(tmp_path), hours={FIRST_HOUR: files})
    closed = {hour: len(compact.groups(alerts, FIRST_HOUR + hour)) for hour in (3, 23, 25, 26)}
    assert closed == {3: 0, 23: 0, 25: 0, 26: 1}


def an_alert_table(tmp_path: Path) -> delta.Snapshot:
    DeltaTable.create(tmp_path / "alerts", landed_alert.SCHEMA, partition_by=list(landed_alert.PARTITION_BY))
    return delta.pin(str(tmp_path), table=delta.ALERTS, schema=landed_alert.SCHEMA)


def test_a_large_file_is_read_in_batches(lake: Path) -> None:
    pinned = delta.pin(str(lake))
    columns = ["kafka_offset", "citizens", "reported_at"]
    for path in [file.path for files in pinned.hours.values() for file in files]:
        parts = list(pinned.batches(path, columns, 2))
        assert max(part.num_rows for part in parts) == 2
        assert pa.concat_tables(parts).equals(pinned.rows([path], columns))


def test_a_file_that_lacks_a_column_is_named(lake: Path) -> None:
    pinned = delta.pin(str(lake))
    path = next(iter(pinned.hours.values()))[0].path
    whole = pyarrow.parquet.read_table(lake / "reports" / path, partitioning=None)
    pyarrow.parquet.write_table(whole.drop(["kafka_offset"]), lake / "reports" / path)
    for read in (
        lambda: pinned.rows([path], ["kafka_offset"]),
        lambda: list(pinned.batches(path, ["kafka_offset"], 9)),
    ):
        with pytest.raises(
            ServiceUnavailable, match=rf"^a file of the lake cannot be read: {path}: [^\n]*kafka_offset"
        ):
            read()


def test_open_hours_are_joined_in_parts(lake: Path) -> None:
    before = rows_of(lake)
    assert [len(each.group.files) for each in run(lake, FIRST_HOUR, CompactionOptions(room=Room(40)))] == [10, 10]
    assert rows_of(lake).equals(before)
    (uri, _) = delta.pin(str(lake)).uris(range(FIRST_HOUR, FIRST_HOUR + 2))
    assert pyarrow.parquet.read_metadata(uri).num_row_groups > 1


def test_a_compaction_touches_no_hour_and_its_live_document_is_empty(lake: Path) -> None:
    newest = DeltaTable(lake / "reports").version()
    run(lake, LONG_AFTER)
    pinned = delta.pin(str(lake))
    commits = list(pinned.commits(newest))
    assert [(set(commit.touched), commit.added) for commit in commits] == [(set(), ()), (set(), ())]
    assert live.cells(pinned, commits[0]).num_rows == 0


def test_open_hours_are_joined_only_when_they_have_many_files(lake: Path) -> None:
    before = rows_of(lake)
    assert [len(each.group.files) for each in run(lake, FIRST_HOUR)] == [10, 10]
    lakes.land(lake, lakes.some_rows(5, seed=99, hours=2, first=900))
    assert run(lake, FIRST_HOUR) == [], "two files each are few"
    assert rows_of(lake).num_rows == before.num_rows + 5
    assert [len(each.group.files) for each in run(lake, LONG_AFTER)] == [2, 2], "closed by now, so sorted"


def test_files_are_joined_up_to_the_target(lake: Path) -> None:
    pinned = delta.pin(str(lake))
    target = sum(file.size for file in pinned.hours[FIRST_HOUR]) // 2
    assert all(group.size <= target for group in compact.groups(pinned, LONG_AFTER, target))
    assert sum(len(group.files) for group in compact.groups(pinned, LONG_AFTER, target)) == 20


def test_landing_meanwhile_loses_nothing_and_of_two_compactions_one_commits(lake: Path) -> None:
    planned = compact.groups(delta.pin(str(lake)), LONG_AFTER)
    lakes.land(lake, lakes.some_rows(5, seed=99, hours=2, first=900))
    before = rows_of(lake)
    assert [done.reason for done in compact.run(str(lake), planned)] == ["", ""]
    assert ["gone" in done.reason for done in compact.run(str(lake), planned)] == [True, True]
    assert rows_of(lake).equals(before)


@pytest.mark.parametrize("at_once", [1, 2])
def test_one_of_two_compactions_at_once_is_refused(lake: Path, at_once: int) -> None:
    """Delta does not see it by itself: every row would be there twice.

    With two files at once the second is made before the other compaction, and committed after it.
    """
    before = rows_of(lake)
    others: list[compact.Compacted] = []

    def the_other_runs(_step: str) -> None:
        if not others:
            others.extend(run(lake, LONG_AFTER))

    done = run(lake, LONG_AFTER, CompactionOptions(failpoint=the_other_runs, at_once=at_once))
    assert [each.reason for each in others] == ["", ""]
    assert "Concurrent transaction" in done[0].reason
    assert "gone" in done[1].reason
    assert rows_of(lake).equals(before)


def test_a_file_that_has_waited_for_hours_is_not_committed(lake: Path) -> None:
    """Of a process that was frozen between its file and the commit: a vacuum may have taken the file."""
    before = rows_of(lake)
    times = iter([0.0, compact.MOST_SECONDS + 0.1, 3600.0, 3600.0 + compact.MOST_SECONDS])
    first, second = run(lake, LONG_AFTER, CompactionOptions(clock=lambda: next(times)))
    assert ("waited for too long" in first.reason, second.reason) == (True, "")
    assert rows_of(lake).equals(before)


def test_vacuum_never_passes_the_published_version(lake: Path, mongo_database: Documents) -> None:
    job = Job(mongo_database, str(lake), lakes.arrow_engine)
    run(lake, LONG_AFTER)
    assert vacuum.run(mongo_database, str(lake), timedelta(0), dry_run=False) == [], "nothing is published yet"
    hours.run(job)
    lakes.land(lake, lakes.some_rows(5, seed=99, hours=2, first=900))
    run(lake, LONG_AFTER)
    gone = vacuum.run(mongo_database, str(lake), timedelta(0), dry_run=True)
    assert len(list((lake / "reports").rglob("*.parquet"))) > 4
    assert vacuum.run(mongo_database, str(lake), timedelta(0), dry_run=False) == gone
    base = runs.base_version(mongo_database)
    pinned = delta.pin(str(lake))
    for commit in pinned.commits(base):
        live.cells(pinned, commit)  # what commits after the base added can be read still
    rows_of(lake, base)
    assert hours.run(replace(job, live_kept=timedelta(0))).computed == 2


def log_of(lake: Path) -> list[str]:
    return sorted(path.name for path in (lake / "reports" / "_delta_log").glob("0*"))


def published(job: Job) -> None:
    hours.run(job)
    drones.run(job)
    completeness.run(job)


def test_the_log_is_trimmed_before_a_checkpoint_that_nobody_reads_beyond(lake: Path, mongo_database: Documents) -> None:
    job = Job(mongo_database, str(lake), lakes.arrow_engine)
    now = timedelta(0)
    assert delta_log.run(mongo_database, str(lake), now, dry_run=False) == [], "nothing is published, nothing goes"
    published(job)
    lakes.land(lake, lakes.some_rows(5, seed=99, hours=2, first=900))
    before = log_of(lake)
    gone = delta_log.run(mongo_database, str(lake), now, dry_run=True)
    assert log_of(lake) == before
    assert delta_log.run(mongo_database, str(lake), now, dry_run=False) == gone
    checkpoint = next(name for name in log_of(lake) if name.endswith(".checkpoint.parquet"))
    assert gone == [f"_delta_log/{version:020}.json" for version in range(int(checkpoint.partition(".")[0]))]
    base = runs.base_version(mongo_database)
    assert len(list(delta.pin(str(lake)).commits(base))) == delta.pin(str(lake)).version - base
    assert rows_of(lake).num_rows == 305
    assert delta_log.run(mongo_database, str(lake), now, dry_run=False) == [], (
        "its own checkpoint is newer than the base"
    )
    assert delta_log.run(mongo_database, str(lake), dry_run=False) == [], "no version is a week old"
    published(job)
    assert delta_log.run(mongo_database, str(lake), now, dry_run=False), "the next night takes the rest"


def test_nothing_is_cleaned_by_the_figures_of_another_lake(
    lake: Path, mongo_database: Documents, tmp_path: Path
) -> None:
    published(Job(mongo_database, str(lake), lakes.arrow_engine))
    lakes.make(tmp_path / "another")
    lakes.land(tmp_path / "another", lakes.some_rows(5))
    for clean in (vacuum.run, delta_log.run):
        with pytest.raises(PeacewatchError, match="figures are of another lake; peacewatch aggregate --rebuild"):
            clean(mongo_database, str(tmp_path / "another"), timedelta(0), dry_run=False)


def test_log_is_kept_for_the_slowest_kind_of_run(lake: Path, mongo_database: Documents) -> None:
    job = Job(mongo_database, str(lake), lakes.arrow_engine)
    published(job)
    delta_log.run(mongo_database, str(lake), timedelta(0), dry_run=False)
    drones_at = runs.base_version(mongo_database, kind="drones")
    lakes.land(lake, lakes.some_rows(5, seed=99, hours=2, first=900))
    hours.run(job)
    delta_log.run(mongo_database, str(lake), timedelta(0), dry_run=False)
    lakes.land(lake, lakes.some_rows(5, seed=98, hours=2, first=950))
    hours.run(job)
    delta_log.run(mongo_database, str(lake), timedelta(0), dry_run=False)
    assert list(delta.pin(str(lake)).commits(drones_at))
