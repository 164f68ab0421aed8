"""A damaged file of the lake: one sentence names it, nothing is half published, all other hours and days go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.lake import compact
from batch_layer.views import drones, hours
from fleet.errors import ServiceUnavailable, Unreadable
from fleet.figures.cube import HOURS
from fleet.figures.statistics import drones_of_range
from fleet.reports.watermark import THROUGH
from infra import delta
from infra.mongo import live, runs
from infra.mongo.client import Documents
from serving.figures.merge import Merge
from tests.support import lakes
from tests.support.batch_days import compute_all

START: Final = datetime(2026, 11, 22, 6, tzinfo=UTC)
DAYS: Final = [START.date() + timedelta(days=n) for n in range(3)]
DAMAGED: Final = DAYS[1]
HOURS_OF_IT: Final = 2


def empty(file: Path) -> None:
    file.write_bytes(b"")


def foreign(file: Path) -> None:
    file.write_bytes(b"a foreign file")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def overwritten(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4)
    file.write_bytes(content)


DAMAGES: Final[dict[str, Callable[[Path], None]]] = {
    "missing": Path.unlink,
    "empty": empty,
    "cut": cut,
    "no Parquet": foreign,
    "pages overwritten": overwritten,
}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    lakes.make(tmp_path)
    end = int((START + timedelta(days=5)).timestamp() * 1000)
    through = msgspec.json.encode({"topic/0": end, "topic/1": end}).decode()
    for number, day in enumerate(DAYS):
        lakes.land(tmp_path, rows(day, 100 * number), {THROUGH: through})
    return tmp_path


@pytest.fixture
def job(lake: Path, mongo_database: Documents) -> Job:
    job = Job(mongo_database, str(lake), lakes.arrow_engine, live_kept=timedelta(0))
    compute_all(job)
    return job


def rows(day: date, first: int) -> list[dict[str, Any]]:
    start = datetime(day.year, day.month, day.day, START.hour, tzinfo=UTC)
    return lakes.some_rows(40, hours=HOURS_OF_IT, start=start, first=first, seed=first)


def land_more(job: Job) -> Path:
    """A commit to each day, with its live document, as landing makes them; a file of the damaged day."""
    for number, day in enumerate(DAYS):
        lakes.land(job.lake, rows(day, 1000 + 100 * number))
    pinned = delta.pin(job.lake)
    live.write_missing(job.database, pinned, runs.base_version(job.database))
    return Path(pinned.root, next(path for path in pinned.commit(5).added if f"hour={START.hour}/" in path))


def served(job: Job) -> pa.Table:
    first = int(START.timestamp()) // 3600 // 24 * 24
    everything = range(first, first + 24 * len(DAYS))
    return HOURS.merge(list(Merge(job.database, 0).served(everything).hours.values()))


def versions(job: Job, view: str) -> dict[str, int]:
    return {document["_id"]: document["version"] for document in job.database[view].find({})}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_holds_up_its_own_hour_and_day_alone(damage: str, lake: Path, job: Job) -> None:
    recomputed = HOURS.fold(lakes.everything(lake))
    assert served(job).equals(recomputed)
    file = land_more(job)
    recomputed, content = HOURS.fold(lakes.everything(lake)), file.read_bytes()
    DAMAGES[damage](file)
    for run in (hours.run, drones.run):
        with pytest.raises(Unreadable, match=rf"^[^\n]*{file.name}[^\n]*$"):
            run(job)
    completeness.run(job)

    bad = f"{DAMAGED}T{START.hour:02}"
    assert {name: version for name, version in versions(job, "hours").items() if version < 6} == {bad: 3}
    for view in ("city_days", "place_days", "delay_days", "copies"):
        assert versions(job, view) == {day.isoformat(): 3 if day == DAMAGED else 6 for day in DAYS}, view
    assert set(versions(job, "drone_days").values()) == {3, 6}
    assert served(job).equals(recomputed), "figures of all hours: the live documents have what the hour lacks"
    assert drones_of_range(job.database.drones_by_day.find({}), DAYS[0], DAYS[2])[1] == 20
    waiting = {each["_id"]: each["waiting"] for each in job.database.completeness.find({})}
    assert waiting == {day.isoformat(): day == DAMAGED for day in DAYS}

    file.write_bytes(content)
    compute_all(job)
    assert set(versions(job, "hours").values()) == set(versions(job, "city_days").values()) == {6}
    assert runs.base_version(job.database) == runs.base_version(job.database, kind="drones") == 6
    assert served(job).equals(recomputed)
    assert not job.database.completeness.find_one({"waiting": True})


def test_a_rebuild_over_a_damaged_file_rebuilds_all_else(lake: Path, job: Job) -> None:
    file = land_more(job)
    recomputed = HOURS.fold(lakes.everything(lake))
    file.unlink()
    for run in (hours.run, drones.run):
        with pytest.raises(Unreadable, match=file.name):
            run(job, rebuild=True)
    assert sorted(versions(job, "hours").values()) == [3, 6, 6, 6, 6, 6]
    assert served(job).equals(recomputed)


def test_damaged_file_of_a_commit_without_a_live_document_forces_no_rebuild(lake: Path, job: Job) -> None:
    """As when MongoDB was away while it landed. A rebuild would drop all figures, and need that file itself."""
    file = land_more(job)
    content = file.read_bytes()
    job.database.live.delete_many({"_id": {"$gt": 3}})
    file.unlink()
    for rebuild in (False, True):
        with pytest.raises(Unreadable, match=rf"{file.name}(?!.*--rebuild)"):
            hours.run(job, rebuild=rebuild)
    assert served(job).equals(HOURS.fold(lakes.everything(lake, 4))), "up to the commit of the file"
    file.write_bytes(content)
    hours.run(job)
    assert served(job).equals(HOURS.fold(lakes.everything(lake)))


def test_a_file_that_nobody_has_is_taken_from_the_table(lake: Path, job: Job) -> None:
    """As docs/runbook.md says."""
    file = land_more(job)
    file.unlink()
    DeltaTable(f"{lake}/reports").repair()
    recomputed = HOURS.fold(lakes.everything(lake))
    compute_all(job)
    assert runs.base_version(job.database) == 7
    assert served(job).equals(recomputed)
    assert versions(job, "city_days")[DAMAGED.isoformat()] == 7


def test_a_store_that_is_away_is_no_damage(lake: Path, job: Job) -> None:
    """It is asked once, not for each hour and day."""
    land_more(job)
    before = versions(job, "hours")
    pinned_files = lake / "reports"

    class Away(lakes.ArrowEngine):
        def cells(self, cube: Any, pinned: Any, wanted: Any) -> Any:
            asked.append(len(wanted))
            pinned_files.rename(lake / "elsewhere")
            return super().cells(cube, pinned, wanted)

    asked: list[int] = []
    with pytest.raises(ServiceUnavailable):
        hours.run(Job(job.database, job.lake, lambda: lakes.engine_of(Away())))
    assert (len(asked), versions(job, "hours")) == (1, before)


@pytest.mark.parametrize("damage", DAMAGES)
def test_compaction_leaves_a_damaged_hour_and_goes_on(damage: str, lake: Path, job: Job) -> None:
    file = land_more(job)
    DAMAGES[damage](file)
    planned = compact.groups(delta.pin(str(lake)), int(START.timestamp()) // 3600 + 1000)
    with pytest.raises(Unreadable, match=file.name):
        compact.run(str(lake), planned)
    files = {hour: len(of_hour) for hour, of_hour in delta.pin(str(lake)).hours.items()}
    assert sorted(files.values()) == [1, 1, 1, 1, 1, 2], "all other hours are one file"
