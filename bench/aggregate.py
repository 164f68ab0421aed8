"""What do hour views and drone days cost in plain Spark, in Spark with Comet, in DuckDB and in Polars?

`python -m bench.aggregate [--drones 54000] [--minutes 600] [--every 1] [--rounds 5] [--hours] [--settings]`: makes a
lake in a temporary folder, asks each engine the same question until it is warm, then in `--rounds` rounds; checks that
the answers are equal, and prints medians, and ratios to DuckDB's median of the same rounds. DuckDB and Polars are asked
in turns with each Spark, so that a ratio is of one moment of a busy machine. `--hours` asks for hour views alone, such
as of a whole day. `--settings` starts Spark again, as shipped and with each of its settings taken away, in turns, and
says what that costs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa

from batch_layer.lake import compact
from batch_layer.ranges import hours_of_day
from batch_layer.spark import aggregate, comet, session
from batch_layer.views import day_views, drone_days, identities
from bench import fleet_day
from bench.machine import machine
from fleet.figures import views
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java

START = datetime(2026, 11, 23, tzinfo=UTC)
REPEATS = 3
WARM_UP = 6
"""So many answers it takes until Java has compiled what runs often."""
AS_SPARK_COMES = {
    "spark.memory.offHeap.enabled": "false",
    "spark.sql.parquet.columnarReaderBatchSize": "4096",
    "spark.sql.files.maxPartitionBytes": "128m",
    "spark.sql.files.openCostInBytes": "4194304",
    "spark.serializer": "org.apache.spark.serializer.JavaSerializer",
    "spark.sql.shuffle.partitions": "200",
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "32",
}
MEASURES = """count(*) AS reports, sum(alert_count)::BIGINT AS alerts, sum(battery_millipercent)::BIGINT AS battery_sum,
    sum(low_battery_count)::BIGINT AS low_battery, sum(citizen_count)::BIGINT AS citizens,
    sum(peace_score_sum)::BIGINT AS peace_score_sum"""


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--drones", type=int, default=54_000)
    asked.add_argument("--minutes", type=int, default=600)
    asked.add_argument("--every", type=int, default=1, help="minutes between a drone's reports")
    asked.add_argument("--lake", type=Path, help="a lake that an earlier run has kept there; made if there is none")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--hours", action="store_true", help="hour views alone, such as of a whole day")
    asked.add_argument("--settings", action="store_true")
    asked.add_argument("--extra", nargs="*", default=[], help="Spark settings to try, name=value")
    given = asked.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        lake = given.lake or Path(folder, "lake")
        began = time.perf_counter()
        if not lake.exists():
            fleet_day.make(lake, given.drones, given.minutes, START, given.every)
            print(f"(made in {time.perf_counter() - began:,.0f} s)")
        pinned = delta.pin(str(lake))
        size = sum(file.size for files in pinned.hours.values() for file in files)
        files = pinned.uris(pinned.hours)
        reports = _ask_duckdb("SELECT count(*) AS reports FROM read_parquet($files)", files)["reports"][0].as_py()
        print(f"{reports:,} reports, {size / 1e6:,.0f} MB of Parquet", flush=True)
        extra = tuple(tuple(each.split("=", 1)) for each in given.extra)
        config = session.SparkConfig(java=java(), scratch=Path(folder, "spark"), extra=extra)
        _compare(pinned, reports, config, given.rounds, hours_alone=given.hours)
        if given.settings:
            _settings(pinned, reports, Path(folder, "spark"))
        if given.lake or given.hours:
            return  # a given one is kept as it is
        began = time.perf_counter()
        done = compact.run(str(lake), compact.groups(pinned, max(pinned.hours) + 10))
        took = time.perf_counter() - began
        after = sum(each.size for each in done)
        print(f"compact: {took:.1f} s, {size / took / 1e6:,.0f} MB/s, {size / 1e6:,.0f} MB -> {after / 1e6:,.0f} MB")


def _compare(
    pinned: delta.Snapshot, reports: int, config: session.SparkConfig, rounds: int, *, hours_alone: bool
) -> None:
    files, hours = pinned.uris(pinned.hours), list(pinned.hours)
    duckdb.sql(f"SET threads = {session.cores(config.master)}")
    for engine, jar in (("Spark", None), ("Spark with Comet", comet.jar(comet.AUTO))):
        session.end_java()  # another class path
        began = time.perf_counter()
        with aggregate.start(replace(config, comet=jar)) as spark:
            spark.spark(session.QUICK_BYTES)  # with Java as a large job has it
            started = time.perf_counter() - began
            first, _ = _timed(lambda: spark.cells(HOURS, pinned, hours))
            print(f"{engine} starts in {started:.1f} s, its first answer takes {first:.1f} s", flush=True)
            for _ in range(WARM_UP):
                spark.cells(HOURS, pinned, hours)
            _side_by_side(
                "hours",
                {
                    engine: lambda: spark.cells(HOURS, pinned, hours),
                    "DuckDB": lambda: _duckdb(files),
                    "Polars": lambda: _polars(files),
                },
                reports,
                rounds,
            )
            if hours_alone:
                continue
            spark.drone_days(pinned, START.date())
            _side_by_side(
                "drone days",
                {
                    engine: lambda: spark.drone_days(pinned, START.date()),
                    "DuckDB": lambda: _duckdb_drones(files),
                    "Polars": lambda: _polars_drones(files),
                },
                reports,
                rounds,
            )
            _side_by_side(
                "views of a day",
                {
                    engine: lambda: _all_views(spark, pinned),
                    "one reading a view": lambda: [spark.cells(cube, pinned, hours) for cube in day_views.VIEWS],
                    "one reading": lambda: spark.cells_of(day_views.VIEWS, pinned, hours),
                    "repeats": lambda: spark.repeats(pinned, hours),
                    "DuckDB": lambda: _duckdb_views(files),
                },
                reports,
                rounds,
            )
            print(f"{'Java, resident at most':40} {_peak_mb(spark):,.0f} MB", flush=True)


def _side_by_side(what: str, asks: Mapping[str, Callable[[], Any]], reports: int, rounds: int) -> None:
    """Rounds in turns; medians, and ratios to DuckDB's. Answers of the same tables must be equal."""
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    answers: dict[str, Any] = {}
    for _ in range(rounds):
        for name, ask in asks.items():
            took, answers[name] = _timed(ask)
            seconds[name].append(took)
    middle = {name: statistics.median(each) for name, each in seconds.items()}
    for name, each in middle.items():
        speed = f"{reports / each / 1e6:6.1f} million reports/s"
        print(f"{what + ', ' + name:40} {each:8.2f} s {speed}  {each / middle['DuckDB']:5.2f} x DuckDB", flush=True)
    groups: dict[str, dict[str, list[pa.Table]]] = {}  # by schemas, by name
    for name, answer in answers.items():
        tables = answer if isinstance(answer, list) else [answer]
        if all(isinstance(table, pa.Table) for table in tables):
            group = groups.setdefault(str([table.schema for table in tables]), {})
            first = next(iter(group.values()), tables)
            assert all(mine.equals(other) for mine, other in zip(tables, first, strict=True)), f"{what}: {name} differs"
            group[name] = tables
    print(f"({what}: equal answers of {'; '.join(', '.join(group) for group in groups.values() if len(group) > 1)})")


def _all_views(spark: aggregate.SparkEngine, pinned: delta.Snapshot) -> list[pa.Table]:
    """All of a day but its hours, as batch_layer.views.drones asks for it."""
    days, hours = spark.drone_days(pinned, START.date()), list(pinned.hours)
    return [days, *spark.cells_of(day_views.VIEWS, pinned, hours), spark.repeats(pinned, hours)]


def _peak_mb(spark: aggregate.SparkEngine) -> float:
    gateway: Any = spark.spark(0).sparkContext._gateway
    status = Path(f"/proc/{gateway.proc.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _settings(pinned: delta.Snapshot, reports: int, scratch: Path) -> None:
    everything = tuple(AS_SPARK_COMES.items())
    without: list[tuple[str, tuple[tuple[str, str], ...]]] = [(f"without {each[0]}", (each,)) for each in everything]
    for name, extra in [("as shipped", ()), ("as Spark comes", everything), *without, ("as shipped, again", ())]:
        with aggregate.start(session.SparkConfig(java=java(), scratch=scratch, extra=extra)) as spark:
            spark.spark(session.QUICK_BYTES)
            spark.cells(HOURS, pinned, list(pinned.hours))
            seconds = [_timed(lambda: spark.cells(HOURS, pinned, list(pinned.hours)))[0] for _ in range(REPEATS)]
            _row(name, min(seconds), reports)


def _timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    answer = ask()
    return time.perf_counter() - began, answer


def _row(what: str, seconds: float, reports: int) -> None:
    print(f"{what:60} {seconds:8.2f} s {reports / seconds / 1e6:8.1f} million reports/s", flush=True)


def _ask_duckdb(query: str, files: list[str]) -> pa.Table:
    relation = duckdb.sql(query, params={"files": files})
    assert relation is not None, "a SELECT gives rows"
    return relation.arrow().read_all()


def _duckdb(files: list[str]) -> pa.Table:
    keys = ", ".join(HOURS.key_names)
    query = f"SELECT {keys}, {MEASURES} FROM read_parquet($files, hive_partitioning = false) GROUP BY {keys}"
    return HOURS.merge([_ask_duckdb(query, files).cast(HOURS.schema)])


def _polars(files: list[str]) -> pa.Table:
    measures = [
        polars.len().cast(polars.Int64).alias("reports")
        if measure.fold == "count"
        else polars.col(measure.column).cast(polars.Int64).sum().alias(measure.name)
        for measure in HOURS.measures
    ]
    scan = polars.scan_parquet(files, hive_partitioning=False).group_by(HOURS.key_names).agg(measures)
    return HOURS.merge([scan.collect().to_arrow().select(HOURS.schema.names).cast(HOURS.schema)])


def _duckdb_drones(files: list[str]) -> pa.Table:
    """The day of each drone; DuckDB answers a row a drone, which the product's own fold turns into figures."""
    hours = list(hours_of_day(START.date()))
    place = "(((last_state >> 17) % 86400000) << 36) | ((last_state & 131071) << 19) | (kafka_offset & 524287)"
    spoke = ", ".join(
        f"bit_or(CASE WHEN event_hour = {hour} THEN 1::BIGINT << ((last_state >> 17) % 3600000 // 60000)::INT "
        f"ELSE 0 END) AS {drone_days.spoke(hour)}"
        for hour in hours
    )
    ends = ", ".join(
        f"arg_{way}({name}, {place}) AS {end}_{name}"
        for way, end in (("min", "first"), ("max", "last"))
        for name in drone_days.POSITIONS.names[2:]
    )
    answer = _ask_duckdb(
        f"""SELECT drone_id, count(*) AS reports, sum(alert_count)::BIGINT AS alerts,
        min(last_state & 131071) AS lowest_battery, max({place}) AS last_place, min({place}) AS first_place, {ends},
        {spoke} FROM read_parquet($files, hive_partitioning = false) GROUP BY drone_id""",
        files,
    )
    folded = drone_days.Fold(START.date())
    folded.add(hours, answer)
    for end in ("first", "last"):
        names = ["drone_id", f"{end}_place", *(f"{end}_{name}" for name in drone_days.POSITIONS.names[2:])]
        folded.add_positions(answer.select(names).rename_columns(drone_days.POSITIONS.names))
    return folded.table()


def _polars_drones(files: list[str]) -> Any:
    last = polars.col("last_state")
    names = ("latitude", "longitude")
    minute = (last // (1 << 17)) % 86_400_000 // 60_000
    scan = polars.scan_parquet(files, hive_partitioning=False).group_by("drone_id")
    found = scan.agg(
        polars.len().alias("reports"),
        polars.col("alert_count").sum(),
        (last % (1 << 17)).min().alias("lowest_battery"),
        last.max().alias("last"),
        last.min().alias("first"),
        minute.n_unique().alias("minutes"),
        *(polars.col(name).sort_by("last_state").first().alias(f"first_{name}") for name in names),
        *(polars.col(name).sort_by("last_state").last().alias(f"last_{name}") for name in (*names, "country", "city")),
    )
    return found.collect()


def _duckdb_views(files: list[str]) -> list[pa.Table]:
    """The questions of `_all_views`, each by itself, as DuckDB is asked best."""
    identity = "hash(drone_id, report_id, last_state >> 17) AS i"
    where = "FROM read_parquet($files, hive_partitioning = false) GROUP BY ALL"
    ends = "".join(
        f"WHEN epoch_us(received_at) - epoch_us(reported_at) < {end * 1_000_000} THEN {number} "
        for number, end in enumerate(day_views.DELAY_BUCKETS)
    )
    few = "count(*) AS reports, sum(alert_count)::BIGINT AS alerts"
    cells = "floor(latitude * 2)::INT AS latitude_cell, floor(longitude * 2)::INT AS longitude_cell"
    asked = {
        views.CITIES: f"SELECT country, city, {MEASURES} {where}",
        views.PLACES: f"SELECT {cells}, {few} {where}",
        views.DELAYS: f"SELECT CASE {ends} ELSE 8 END AS delay_bucket, {few} {where}",
    }
    answers = [_duckdb_drones(files)]
    for cube, query in asked.items():
        found = _ask_duckdb(query, files)
        answers.append(cube.merge([found.select(cube.schema.names).cast(cube.schema)]))
    query = f"SELECT event_hour FROM (SELECT event_hour, count(*) AS n, {identity} {where}) WHERE n > 1"
    repeats = _ask_duckdb(query, files)
    assert not repeats.num_rows, "the bench's lake has no duplicates"
    return [*answers, identities.REPEATS.empty_table()]


if __name__ == "__main__":
    main()
