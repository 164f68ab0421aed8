"""Spark's cells are those of pyarrow and of DuckDB, and what is wrong with the lake is one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pymongo.database import Database

from batch_layer.job import Job
from batch_layer.spark import aggregate, session
from batch_layer.views import day_views, drones, hours, identities
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.mongo import live, runs
from tests.support import lakes, spark_engines

pytestmark = pytest.mark.timeout(900)  # Spark's start takes minutes on a machine that is busy with all else

DONE = "hours: 3 computed at version 1 of the lake\ndrone days: 1 computed at version 1 of the lake\n"
DONE += "completeness: 1 days checked\ndays of alerts: none\n"


@pytest.fixture(scope="module", params=spark_engines.ENGINES)
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Cells by a real Spark, with its native engine and without."""
    with spark_engines.running(request.param, tmp_path_factory.mktemp("spark")) as engine:
        yield engine


def by_duckdb(files: list[str]) -> list[dict[str, Any]]:
    """HOURS written a second time, in SQL, from the columns of the report and not from the derived ones."""
    relation = duckdb.sql(
        """
            SELECT (epoch(reported_at)::BIGINT // 3600)::INT AS event_hour, country,
                   coalesce(list_min(list_transform(citizens, lambda c: c.peace_score)), 0) AS worst_score,
                   count(*) AS reports, count(*) FILTER (alert) AS alerts,
                   sum(round_even(battery * 1000, 0)::BIGINT)::BIGINT AS battery_sum,
                   count(*) FILTER (battery < 20) AS low_battery, sum(len(citizens))::BIGINT AS citizens,
                   sum(coalesce(list_sum(list_transform(citizens, lambda c: c.peace_score)), 0))::BIGINT
                       AS peace_score_sum
            FROM read_parquet($files, hive_partitioning = false) GROUP BY ALL ORDER BY ALL
            """,
        params={"files": files},
    )
    assert relation is not None
    return relation.arrow().read_all().to_pylist()


@pytest.mark.parametrize("seed", range(4))
def test_three_engines_agree(seed: int, tmp_path: Path, spark: Any) -> None:
    lake = tmp_path / "a lake"
    lakes.make(lake)
    for number in range(3):
        lakes.land(lake, lakes.some_rows(200, seed=seed * 10 + number, hours=1 + seed, first=number * 200))
    pinned = delta.pin(str(lake))
    cells = spark.cells(HOURS, pinned, list(pinned.hours))
    assert cells.equals(HOURS.fold(lakes.everything(lake)))
    assert cells.to_pylist() == by_duckdb(pinned.uris(pinned.hours))
    together = spark.cells_of(day_views.VIEWS, pinned, list(pinned.hours))
    for cube, mine in zip(day_views.VIEWS, together, strict=True):
        assert mine.equals(spark.cells(cube, pinned, list(pinned.hours))), cube.name
        assert mine.equals(lakes.ArrowEngine().cells(cube, pinned, list(pinned.hours))), cube.name


@pytest.mark.parametrize(
    ("seed", "portion", "first_hour", "hours_long"),
    [
        (0, aggregate.PORTION, 0, 26),
        (1, aggregate.PORTION, 0, 26),
        (2, 1, 20, 6),  # each hour by itself: queries for each, of the last hours of a day and the first of the next
        (3, 30_000, 20, 6),
        pytest.param(2, 1, 0, 26, marks=pytest.mark.slow),
        pytest.param(3, 30_000, 0, 26, marks=pytest.mark.slow),
    ],
)
def test_a_drones_day_is_that_of_a_plain_loop(
    seed: int,
    portion: int,
    first_hour: int,
    hours_long: int,
    tmp_path: Path,
    spark: aggregate.SparkEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spark, "portion", portion)
    lakes.make(tmp_path)
    start = datetime(2026, 11, 24, first_hour, tzinfo=UTC)
    lakes.land(tmp_path, lakes.some_rows(300, seed=seed, hours=hours_long, start=start))
    lakes.land(tmp_path, [lakes.row(900 + n, start + timedelta(minutes=59 + n), drone_id="steady") for n in range(3)])
    twin = {"drone_id": "twin", "battery": 50.0}  # two reports in one millisecond with one battery
    lakes.land(tmp_path, [lakes.row(1000 + n, start, country=name, **twin) for n, name in enumerate(("Chad", "Mali"))])
    pinned = delta.pin(str(tmp_path))
    for day in (start.date(), start.date() + timedelta(days=1), start.date() + timedelta(days=2)):
        assert spark.drone_days(pinned, day).equals(lakes.ArrowEngine().drone_days(pinned, day)), day
    lakes.land(tmp_path, lakes.some_rows(7, seed=seed, hours=hours_long, start=start))  # again
    lakes.land(tmp_path, lakes.repeated(start))
    pinned = delta.pin(str(tmp_path))
    hours = list(pinned.hours)
    found = spark.repeats(pinned, hours)
    assert found.equals(lakes.ArrowEngine().repeats(pinned, hours))
    assert found.num_rows >= 2
    assert spark.repeats(pinned, [hours[-1] + 1]).equals(identities.REPEATS.empty_table())


def test_a_setting_is_another_one_for_a_while(spark: Any) -> None:
    running = spark.spark(0)
    name = "spark.sql.files.maxPartitionBytes"
    before = running.conf.get(name)

    def fail() -> None:
        with session.setting(running, name, "2g"):
            assert running.conf.get(name) == "2g"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert running.conf.get(name) == before != "2g"


def test_no_files_are_no_cells(tmp_path: Path, spark: Any) -> None:
    lakes.make(tmp_path)
    assert spark.cells(HOURS, delta.pin(str(tmp_path)), [5]).equals(HOURS.empty())


@pytest.mark.parametrize("wrong", ["missing", "corrupt", "cut"])
def test_a_file_that_cannot_be_read_is_named(wrong: str, tmp_path: Path, spark: Any) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(20, hours=1))
    pinned = delta.pin(str(tmp_path))
    file = Path(pinned.uris(pinned.hours)[0])
    if wrong == "missing":
        file.unlink()
    elif wrong == "corrupt":
        file.write_bytes(b"\xff" * 5000 + b"PAR1")  # a footer longer than the file: Parquet names no file then
    else:
        file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ServiceUnavailable, match=r"^[^\n]+$") as error:
        spark.cells(HOURS, pinned, list(pinned.hours))
    assert file.name in str(error.value)


@pytest.mark.parametrize("wrong", ["missing", "corrupt"])
def test_a_run_over_a_bad_file_publishes_nothing_and_the_next_one_succeeds(
    wrong: str, tmp_path: Path, mongo_database: Database[dict[str, Any]], spark: Any
) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(20, hours=1))
    job = Job(mongo_database, str(tmp_path), lambda: nullcontext(spark))
    for run in (hours.run, drones.run):
        run(job)
    before = [list(mongo_database[view].find().sort("_id")) for view in runs.VIEWS]
    lakes.land(tmp_path, lakes.some_rows(20, hours=1, first=100))
    pinned = delta.pin(str(tmp_path))
    live.write_missing(mongo_database, pinned, 1)
    file = Path(pinned.root, pinned.commit(2).added[0])  # which both kinds of run have to read
    content = file.read_bytes()
    file.unlink() if wrong == "missing" else file.write_bytes(b"PAR1 and no more")
    for run in (hours.run, drones.run):
        with pytest.raises(ServiceUnavailable, match=rf"^Spark cannot read the lake at version 2[^\n]*{file.name}"):
            run(job)
    assert [list(mongo_database[view].find().sort("_id")) for view in runs.VIEWS] == before
    assert [each["state"] for each in mongo_database.runs.find({"version": 2})] == ["failed", "failed"]
    file.write_bytes(content)
    for run in (hours.run, drones.run):
        run(job)
    cells = [HOURS.from_document(each["cells"]) for each in mongo_database.hours.find()]
    assert HOURS.merge(cells).equals(HOURS.fold(lakes.everything(tmp_path)))


def test_the_command_computes_once_and_then_has_nothing_to_do(
    tmp_path: Path, mongo_uri: str, mongo_database: Database[dict[str, Any]]
) -> None:
    lakes.make(tmp_path / "lake")
    lakes.land(tmp_path / "lake", lakes.some_rows(50))
    environment = {**os.environ, "PEACEWATCH_HOME": str(tmp_path), "PEACEWATCH_MONGO_URI": mongo_uri}
    environment["PEACEWATCH_KAFKA_BOOTSTRAP"] = "127.0.0.1:9"  # away: alerts wait, and nothing else does

    def command(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        said = [sys.executable, "-m", "cli", "aggregate", *arguments]
        return subprocess.run(said, env=environment | changes, capture_output=True, text=True, check=False)

    first = command()
    assert (first.returncode, first.stdout) == (0, DONE), first.stderr
    assert "Kafka does not answer, so the newest alerts wait" in first.stderr
    assert mongo_database.hours.count_documents({}) == 3
    assert mongo_database.drones_by_day.count_documents({}) == 1
    again = command(PATH="", JAVA_HOME="/nowhere")
    assert (again.returncode, again.stdout.count("nothing to do")) == (0, 2), again.stderr
    assert command("--rebuild", PATH="", JAVA_HOME="/nowhere").returncode == 0  # small: Arrow computes it
    without_java = command("--rebuild", PATH="", JAVA_HOME="/nowhere", PEACEWATCH_SPARK_MASTER="spark://127.0.0.1:9")
    assert without_java.returncode == 2
    assert "install Java 17" in without_java.stderr
    assert "Traceback" not in without_java.stderr
    nonsense = command("--from", "2026-11-25", "--to", "2026-11-24")
    assert (nonsense.returncode, nonsense.stderr) == (2, "peacewatch: --to: 2026-11-24 lies before --from 2026-11-25\n")
    no_lake = command(PEACEWATCH_LAKE=str(tmp_path / "nowhere"))
    assert (no_lake.returncode, no_lake.stderr.count("\n")) == (2, 1), no_lake.stderr
