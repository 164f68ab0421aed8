"""Single rows of a lake: which files are read, where they are, and how many rows are held."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from infra import lake_rows
from infra.lake_rows import FILE
from tests.support import lakes

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
WANTED = pc.field("drone_id") == "drone-1"


@pytest.fixture(params=["lake", "a lake of é"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> DeltaTable:
    """Twenty reports of one day and one of the day before, in a folder whose URL may have other letters than itself."""
    folder = tmp_path / request.param
    folder.mkdir()
    rows = [lakes.row(number, NOON + timedelta(minutes=number)) for number in range(20)]
    lakes.make(folder)
    lakes.land(folder, [*rows, lakes.row(22, NOON - timedelta(days=1))])
    return DeltaTable(f"{folder}/reports")


@pytest.mark.parametrize(("day", "found"), [(None, [1, 8, 15, 22]), (date(2026, 11, 24), [1, 8, 15])])
def test_the_rows_of_a_day_or_of_all_days(table: DeltaTable, day: date | None, found: list[int]) -> None:
    batches = list(lake_rows.batches(table, lake_rows.paths(table, day), ["kafka_offset"], WANTED, rows=2))
    assert sorted(offset for batch in batches for offset in batch["kafka_offset"].to_pylist()) == found
    assert max(batch.num_rows for batch in batches) <= 2


def test_the_file_of_a_row_is_named_below_the_tables_root(table: DeltaTable) -> None:
    files = lake_rows.paths(table, date(2026, 11, 23))
    [batch] = lake_rows.batches(table, files, [FILE], WANTED)
    assert [lake_rows.path(table, file) for file in batch[FILE].to_pylist()] == files
    assert files[0].startswith("date=2026-11-23/hour=12/")
