"""What do hour views and drone days cost in Spark, and against DuckDB and Polars over the same files?

`python -m bench.aggregate [--drones 54000] [--minutes 600] [--every 1] [--settings]`: makes a lake in a temporary
folder, asks each engine the same question on the machine's cores until it is warm, then three times, checks that the
answers are equal, and prints the best time. `--settings` starts Spark anew, as shipped and with each of its settings
taken away, in turns, and says what that costs.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa

from batch_layer.lake import compact
from batch_layer.spark import aggregate, session
from bench import fleet_day
from bench.machine import machine
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
    asked.add_argument("--settings", action="store_true")
    asked.add_argument("--extra", nargs="*", default=[], help="Spark settings to try, name=value")
    given = asked.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder, "lake")
        began = time.perf_counter()
        reports = fleet_day.make(lake, given.drones, given.minutes, START, given.every)
        pinned = delta.pin(str(lake))
        size = sum(file.size for files in pinned.hours.values() for file in files)
        print(f"{reports:,} reports, {given.drones:,} drones, {size / 1e6:,.0f} MB of Parquet")
        print(f"(made at {reports / (time.perf_counter() - began):,.0f} reports/s)")
        extra = tuple(tuple(each.split("=", 1)) for each in given.extra)
        _compare(pinned, reports, session.SparkConfig(java=java(), scratch=Path(folder, "spark"), extra=extra))
        if given.settings:
            _settings(pinned, reports, Path(folder, "spark"))
        began = time.perf_counter()
        done = compact.run(str(lake), compact.groups(pinned, max(pinned.hours) + 10))
        took = time.perf_counter() - began
        after = sum(each.size for each in done)
        print(f"compact: {took:.1f} s, {size / took / 1e6:,.0f} MB/s, {size / 1e6:,.0f} MB -> {after / 1e6:,.0f} MB")


def _compare(pinned: delta.Snapshot, reports: int, config: session.SparkConfig) -> None:
    files, hours = pinned.uris(pinned.hours), list(pinned.hours)
    cores = session.cores(config.master)
    duckdb.sql(f"SET threads = {cores}")
    began = time.perf_counter()
    with aggregate.start(config) as spark:
        spark.spark(session.QUICK_BYTES)  # with Java as a large job has it
        started = time.perf_counter() - began
        first, spark_cells = _timed(lambda: spark.cells(HOURS, pinned, hours), 1)
        print(f"Spark starts in {started:.1f} s, its first answer takes {first:.1f} s")
        _timed(lambda: spark.cells(HOURS, pinned, hours), WARM_UP)
        spark_seconds, _ = _timed(lambda: spark.cells(HOURS, pinned, hours))
        _row("hours, Spark", spark_seconds, reports)
        duck_seconds, duck = _timed(lambda: _duckdb(files))
        _row("hours, DuckDB", duck_seconds, reports)
        polars_seconds, pola = _timed(lambda: _polars(files))
        _row("hours, Polars", polars_seconds, reports)
        assert spark_cells.equals(duck), "Spark and DuckDB disagree"
        assert spark_cells.equals(pola), "Spark and Polars disagree"
        print(f"Spark / DuckDB: {spark_seconds / duck_seconds:.1f}")
        drones_seconds, drones = _timed(lambda: spark.drone_days(pinned, START.date()), 2)
        _row(f"drone_days, Spark ({drones.num_rows:,} drones)", drones_seconds, reports)
        duck_seconds, _ = _timed(lambda: _duckdb_drones(files), 2)
        _row("drone_days, DuckDB", duck_seconds, reports)


def _settings(pinned: delta.Snapshot, reports: int, scratch: Path) -> None:
    everything = tuple(AS_SPARK_COMES.items())
    without: list[tuple[str, tuple[tuple[str, str], ...]]] = [(f"without {each[0]}", (each,)) for each in everything]
    for name, extra in [("as shipped", ()), ("as Spark comes", everything), *without, ("as shipped, again", ())]:
        with aggregate.start(session.SparkConfig(java=java(), scratch=scratch, extra=extra)) as spark:
            spark.spark(session.QUICK_BYTES)
            spark.cells(HOURS, pinned, list(pinned.hours))
            seconds, _ = _timed(lambda: spark.cells(HOURS, pinned, list(pinned.hours)))
            _row(name, seconds, reports)


def _timed(ask: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, Any]:
    best, answer = float("inf"), None
    for _ in range(repeats):
        began = time.perf_counter()
        answer = ask()
        best = min(best, time.perf_counter() - began)
    return best, answer


def _row(what: str, seconds: float, reports: int) -> None:
    print(f"{what:60} {seconds:8.2f} s {reports / seconds / 1e6:8.1f} million reports/s", flush=True)


def _duckdb(files: list[str]) -> pa.Table:
    keys = ", ".join(HOURS.key_names)
    query = f"SELECT {keys}, {MEASURES} FROM read_parquet($files, hive_partitioning = false) GROUP BY {keys}"
    found = duckdb.sql(query, params={"files": files}).arrow().read_all()
    return HOURS.merge([found.cast(HOURS.schema)])


def _polars(files: list[str]) -> pa.Table:
    measures = [
        polars.len().cast(polars.Int64).alias("reports")
        if measure.fold == "count"
        else polars.col(measure.column).cast(polars.Int64).sum().alias(measure.name)
        for measure in HOURS.measures
    ]
    scan = polars.scan_parquet(files, hive_partitioning=False).group_by(HOURS.key_names).agg(measures)
    return HOURS.merge([scan.collect().to_arrow().select(HOURS.schema.names).cast(HOURS.schema)])


def _duckdb_drones(files: list[str]) -> Any:
    spoke = ", ".join(
        f"bit_or(CASE WHEN event_hour % 24 = {hour} THEN 1::BIGINT << ((last_state >> 17) % 3600000 // 60000)::INT "
        f"ELSE 0 END)"
        for hour in range(24)
    )
    return (
        duckdb.sql(
            f"""SELECT drone_id, count(*), sum(alert_count), min(last_state & 131071),
        max(last_state), min(last_state),
        arg_min(latitude, last_state), arg_min(longitude, last_state), arg_max(latitude, last_state),
        arg_max(longitude, last_state), arg_max(hash(country, city), last_state), {spoke}
        FROM read_parquet($files, hive_partitioning = false) GROUP BY drone_id""",
            params={"files": files},
        )
        .arrow()
        .read_all()
    )


if __name__ == "__main__":
    main()
