"""A pinned version of the lake: its files, and what commits have touched."""

from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.delta import LogGone, NothingLanded
from infra.mongo import live
from tests.support import lakes

FIRST_HOUR = int(lakes.START.timestamp()) // 3600


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Versions 1 and 2 land two and one reports in three hours; version 3 compacts."""
    lakes.make(tmp_path)
    lakes.land(tmp_path, [lakes.row(0, lakes.START), lakes.row(1, lakes.START + timedelta(hours=1))])
    lakes.land(tmp_path, [lakes.row(2, lakes.START)])
    lakes.compact(tmp_path)
    return tmp_path


def test_the_files_of_a_version_by_hour(lake: Path) -> None:
    old = delta.pin(str(lake), 2)
    assert {hour: sum(file.rows or 0 for file in files) for hour, files in old.hours.items()} == {
        FIRST_HOUR: 2,
        FIRST_HOUR + 1: 1,
    }
    assert len(old.hours[FIRST_HOUR]) == 2
    assert len(delta.pin(str(lake)).hours[FIRST_HOUR]) == 1, "compacted"
    assert all(Path(uri).is_file() for uri in old.uris(old.hours))


def test_hours_in_portions_of_so_many_bytes(tmp_path: Path) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, [lakes.row(n, lakes.START + timedelta(hours=hour)) for n, hour in enumerate((0, 1, 2, 4, 5))])
    pinned, day = delta.pin(str(tmp_path)), range(FIRST_HOUR, FIRST_HOUR + 24)
    there = list(pinned.hours)
    largest = max(pinned.size([hour]) for hour in there)
    assert list(pinned.portions(day, 1)) == [[hour] for hour in there], "an hour is never divided"
    assert list(pinned.portions(day, pinned.size(day))) == [there]
    assert list(pinned.portions(reversed(day), 2 * largest)) == [there[:2], there[2:4], there[4:]]
    assert list(pinned.portions(range(5), 1)) == []


def test_only_new_rows_touch_an_hour(lake: Path) -> None:
    commits = {commit.version: commit for commit in delta.pin(str(lake)).commits(-1)}
    assert {version: set(commit.touched) for version, commit in commits.items()} == {
        0: set(),
        1: {FIRST_HOUR, FIRST_HOUR + 1},
        2: {FIRST_HOUR},
        3: set(),
    }
    assert [len(commit.added) for commit in commits.values()] == [0, 2, 1, 0]


def test_a_live_document_is_the_fold_of_the_commits_own_rows(lake: Path) -> None:
    pinned = delta.pin(str(lake))
    parts = [live.cells(pinned, commit) for commit in pinned.commits(-1)]
    assert parts[2].num_rows == 1
    assert HOURS.merge(parts).equals(HOURS.fold(lakes.everything(lake)))


def test_a_lake_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NothingLanded, match="nothing has landed yet"):
        delta.pin(str(tmp_path))


def test_a_cleaned_log_and_a_lost_file_are_named(lake: Path) -> None:
    pinned = delta.pin(str(lake))
    (lake / "reports" / "_delta_log" / f"{1:020}.json").unlink()
    with pytest.raises(LogGone, match="version 1"):
        list(pinned.commits(0))
    commit = pinned.commit(2)
    (lake / "reports" / commit.added[0]).unlink()
    with pytest.raises(ServiceUnavailable, match=commit.added[0]):
        live.cells(pinned, commit)
    log = lake / "reports" / "_delta_log" / f"{2:020}.json"
    log.write_bytes(log.read_bytes()[:-10])
    with pytest.raises(ServiceUnavailable, match=rf"^a file of the lake cannot be read: _delta_log/{log.name}[^\n]*$"):
        pinned.commit(2)
