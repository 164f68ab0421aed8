"""The steps of a commit against a real Delta table in a folder."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest
from deltalake import DeltaTable

from cli.trace import lake as trace
from fleet.errors import NewerLayout, ServiceUnavailable
from fleet.reports.landed import SCHEMA
from fleet.reports.sealed import SEALED_THROUGH_KEY
from fleet.reports.table_layout import LAYOUT, LAYOUT_KEY
from infra.delta import pin
from infra.object_store import GROUP_BYTES, PAGE_VALUES, by_hour, row_groups
from serving import single_reports
from speed_layer.landing.commit import Lake, OffsetConflict, OffsetRange
from tests.support.lakes import START, row, some_rows, table


def nothing() -> None:
    return None


def files(lake: Path) -> set[str]:
    return {str(path.relative_to(lake / "reports")) for path in (lake / "reports").rglob("*.parquet")}


def test_a_commit_holds_rows_entries_and_facts(tmp_path: Path) -> None:
    rows = table(some_rows(500))
    lake = Lake(str(tmp_path))
    done = lake.commit(
        rows, [OffsetRange("t/0", 0, 400), OffsetRange("t/0", 400, 500)], nothing, landed_through={"t/0": 7}, lost={}
    )
    assert (done.version, lake.refresh(), lake.entry("t/0"), lake.entry("t/1")) == (1, 1, 500, 0)
    assert done.metadata["peacewatch.landed_through"] == '{"t/0": 7}'
    assert "peacewatch.lost" not in done.metadata
    assert len(done.added) == 3
    assert (
        DeltaTable(tmp_path / "reports").to_pyarrow_table().sort_by("kafka_offset").equals(rows.sort_by("kafka_offset"))
    )
    assert lake.snapshot().rows(done.added, ["report_id"]).num_rows == 500


@pytest.mark.parametrize("first", [0, 99, 101, 1000])
def test_a_batch_that_does_not_start_at_the_entry_is_refused(tmp_path: Path, first: int) -> None:
    Lake(str(tmp_path)).commit(SCHEMA.empty_table(), [OffsetRange("t/0", 0, 100)], nothing)
    sent: list[int] = []
    with pytest.raises(OffsetConflict):
        Lake(str(tmp_path)).commit(table(some_rows(5)), [OffsetRange("t/0", first, 2000)], lambda: sent.append(1))
    assert sent == [], "rejected messages of a batch that is not landed are not ours to send"
    assert files(tmp_path) == set(), "its files are gone"
    assert DeltaTable(tmp_path / "reports").version() == 1


def test_somebody_who_is_faster_between_check_and_commit_wins(tmp_path: Path) -> None:
    slow, fast = Lake(str(tmp_path)), Lake(str(tmp_path))
    part = [OffsetRange("t/0", 0, 10)]

    def overtake() -> None:
        fast.commit(SCHEMA.empty_table(), part, nothing)

    with pytest.raises(OffsetConflict):
        slow.commit(SCHEMA.empty_table(), part, overtake)
    slow.refresh()
    assert (slow.version, slow.entry("t/0")) == (1, 10)


def test_others_partitions_do_not_disturb(tmp_path: Path) -> None:
    one, other = Lake(str(tmp_path)), Lake(str(tmp_path))
    rows = table(some_rows(10))

    def meanwhile() -> None:
        for first in (0, 5):
            other.commit(rows, [OffsetRange("t/1", first, first + 5)], nothing)

    done = one.commit(rows, [OffsetRange("t/0", 0, 10)], meanwhile)
    assert done.version == 3
    assert (one.refresh(), one.entry("t/0"), one.entry("t/1")) == (3, 10, 10)
    assert len(one.rows_between("topic", 0, 0, 99, ["kafka_offset"])) == 3 * 5
    one.commit(rows, [OffsetRange("t/1", 10, 20)], nothing)


def test_rows_between_are_those_of_the_partition(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.commit(table(some_rows(100)), [OffsetRange("t/0", 0, 1)], nothing)
    lake.commit(table(some_rows(100, first=100)), [OffsetRange("t/0", 1, 2)], nothing)
    DeltaTable(tmp_path / "reports").optimize.compact()
    lake.refresh()
    found = lake.rows_between("topic", 1, 80, 121, ["kafka_offset"])["kafka_offset"].to_pylist()
    assert sorted(found) == list(range(81, 121, 2))
    assert lake.rows_between("other topic", 1, 80, 121, ["kafka_offset"]).num_rows == 0


def test_a_failed_send_leaves_no_file_and_no_version(tmp_path: Path) -> None:
    def fail() -> None:
        raise TimeoutError("no answer")

    lake = Lake(str(tmp_path))
    with pytest.raises(ServiceUnavailable):
        lake.commit(table(some_rows(10)), [OffsetRange("t/0", 0, 10)], fail)
    assert (files(tmp_path), lake.refresh()) == (set(), 0)


def test_two_create_the_same_table(tmp_path: Path) -> None:
    makers: list[Callable[[], Lake]] = [lambda: Lake(str(tmp_path)), lambda: Lake(str(tmp_path))]
    assert [make().version for make in makers] == [0, 0]
    assert DeltaTable(tmp_path / "reports").schema().to_arrow() is not None


def test_rows_by_hour_keep_all_and_their_order() -> None:
    rows = table(some_rows(200, hours=30))
    parts = by_hour(rows)
    assert [hour for hour, _ in parts] == sorted(set(rows["event_hour"].to_pylist()))
    for hour, part in parts:
        wanted = [row for row in rows.to_pylist() if row["event_hour"] == hour]
        assert part.to_pylist() == wanted
    assert by_hour(SCHEMA.empty_table()) == []


def test_files_that_have_waited_for_hours_are_not_committed(tmp_path: Path) -> None:
    """Of a process that was frozen between 1 and 4, alone, so that nobody landed its partitions meanwhile."""
    now = 1_800_000_000.0
    lake = Lake(str(tmp_path), clock=lambda: now)
    rows, part = table(some_rows(5)), [OffsetRange("t/0", 0, 2000)]

    def freezes() -> None:
        nonlocal now
        now += 3600

    with pytest.raises(OffsetConflict, match="have waited since"):
        lake.commit(rows, part, freezes)
    assert files(tmp_path) == set()
    assert lake.commit(rows, part, nothing).version == 1


def seal(lake: Path, day: str) -> None:
    DeltaTable(lake / "reports").alter.set_table_properties({SEALED_THROUGH_KEY: day}, raise_if_not_exists=False)


def test_a_day_that_was_sealed_since_the_batch_was_read_refuses_it(tmp_path: Path) -> None:
    """Sealed before step 2, and between it and step 4. Rows of an open day land, whatever was sealed."""
    rows, part = table(some_rows(5)), [OffsetRange("t/0", 0, 2000)]
    first, last = (function(rows["date"]).as_py() for function in (pc.min, pc.max))
    lake = Lake(str(tmp_path))
    assert lake.opens_at < datetime(1970, 1, 1, tzinfo=UTC)
    with pytest.raises(OffsetConflict):
        lake.commit(rows, part, lambda: seal(tmp_path, str(first - timedelta(days=2))))
    assert lake.commit(SCHEMA.empty_table(), part, nothing).version == 2
    seal(tmp_path, str(last))
    with pytest.raises(OffsetConflict, match=f"has reports of {first}, which was sealed"):
        lake.commit(rows, [OffsetRange("t/0", 2000, 3000)], nothing)
    assert lake.opens_at == datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    assert Lake(str(tmp_path)).opens_at == lake.opens_at
    seal(tmp_path, str(first - timedelta(days=1)))
    assert lake.commit(rows, [OffsetRange("t/0", 2000, 3000)], nothing).metadata["peacewatch.commit"]


def relay(lake: Path, layout: str) -> None:
    """A newer version has written the table."""
    DeltaTable(lake / "reports").alter.set_table_properties({LAYOUT_KEY: layout}, raise_if_not_exists=False)


@pytest.mark.parametrize("layout", ["2", "10", "1.5", "next"])
def test_a_table_of_a_newer_layout_is_refused_by_all_that_read_or_write_it(tmp_path: Path, layout: str) -> None:
    rows, part = table(some_rows(5)), [OffsetRange("t/0", 0, 2000)]
    lake = Lake(str(tmp_path))
    assert lake.commit(SCHEMA.empty_table(), part, nothing).version == 1
    relay(tmp_path, layout)
    said = f"^the lake's table reports has layout {layout} and this version of Peacewatch knows {LAYOUT}: upgrade it$"
    day = rows["date"][0].as_py()
    for use in (
        lambda: lake.commit(rows, [OffsetRange("t/0", 2000, 3000)], nothing),
        lake.refresh,
        lambda: Lake(str(tmp_path)),
        lambda: pin(str(tmp_path)),
        lambda: single_reports.reports(str(tmp_path), day, {}, 10),
        lambda: trace.ReportsTable(str(tmp_path)),
    ):
        with pytest.raises(NewerLayout, match=said):
            use()
    assert files(tmp_path) == set(), "nothing of the batch is left"
    assert DeltaTable(tmp_path / "reports").version() == 2, "nothing was changed"


def test_a_commit_that_was_begun_in_an_older_layout_is_refused(tmp_path: Path) -> None:
    rows, part = table(some_rows(5)), [OffsetRange("t/0", 0, 2000)]
    lake = Lake(str(tmp_path))
    with pytest.raises(OffsetConflict):
        lake.commit(rows, part, lambda: relay(tmp_path, "2"))
    with pytest.raises(NewerLayout):
        lake.refresh()


@pytest.mark.parametrize("layout", ["1", ""])
def test_a_table_of_this_layout_is_taken(tmp_path: Path, layout: str) -> None:
    Lake(str(tmp_path))
    relay(tmp_path, layout)
    assert Lake(str(tmp_path)).commit(table(some_rows(5)), [OffsetRange("t/0", 0, 2000)], nothing).version == 2


@pytest.mark.parametrize(
    ("lengths", "parts"),
    [
        ([10] * 5, [5]),
        ([GROUP_BYTES], [1]),
        ([GROUP_BYTES - 1, 1, 1], [2, 1]),
        ([1, GROUP_BYTES, 0, 1], [1, 2, 1]),
        ([GROUP_BYTES + 1, 1], [1, 1]),
        ([0] * 9, [8, 1]),
    ],
)
def test_a_row_group_is_bounded(lengths: list[int], parts: list[int]) -> None:
    rows = pa.table({"message": ["x" * length for length in lengths]})
    assert [part.num_rows for part in row_groups(rows, 8)] == parts
    assert pa.concat_tables(row_groups(rows, 8)).equals(rows)


def test_a_reader_of_single_reports_holds_a_bounded_part(tmp_path: Path) -> None:
    """Messages as large as Kafka takes: a page had all of them, and so had the only row group."""
    largest, count = 1024 * 1024, 8 * PAGE_VALUES
    chance = random.Random(7)
    rows = [row(n, START, message=chance.randbytes(largest // 2).hex()) for n in range(count)]
    Lake(str(tmp_path)).commit(table(rows), [OffsetRange("t/0", 0, count)], nothing)
    [path] = (tmp_path / "reports").rglob("*.parquet")
    opened = pyarrow.parquet.ParquetFile(path, pre_buffer=False, buffer_size=65_536)
    assert opened.metadata.num_row_groups == count * largest // GROUP_BYTES
    before = pa.total_allocated_bytes()
    held = max(pa.total_allocated_bytes() - before for _ in opened.iter_batches(1, use_threads=False))
    assert held <= 2 * (PAGE_VALUES + 1) * largest, "a page as it is stored, and as it is read"
