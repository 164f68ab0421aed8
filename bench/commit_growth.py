"""How the cost of a commit grows with the number of active files, and what compaction keeps it at.

    script/bench commit_growth [FILES ...]

A week of one commit in five seconds is 120,960 commits of one file. Open hours compacted, a week is some 168 files and
those of the last minutes. The table is made with that many files in its log (a commit looks at none of them), and then
landing's own commit is timed, steps 1 to 4, with a file of 100 rows; every 100th writes a checkpoint.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import psutil
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.transaction import AddAction

from bench.machine import machine
from fleet.reports.landed import PARTITION_BY
from speed_layer.landing.commit import Lake, OffsetRange
from tests.support.lakes import some_rows, table

FILES = (0, 168, 1_000, 3_600, 20_000, 60_480, 120_960)
COMMITS = 120


def add(number: int) -> AddAction:
    hour = number % 168
    day = (date(2026, 11, 17) + timedelta(days=hour // 24)).isoformat()
    stats = {
        "numRecords": 45_000,
        "minValues": {"kafka_partition": 0, "kafka_offset": number * 45_000},
        "maxValues": {"kafka_partition": 5, "kafka_offset": (number + 1) * 45_000},
        "nullCount": {"kafka_partition": 0, "kafka_offset": 0},
    }
    path = f"date={day}/hour={hour % 24}/part-{number:012}.zstd.parquet"
    values = {"date": day, "hour": str(hour % 24)}
    return AddAction(path, 1_000_000, values, 1_700_000_000_000, data_change=True, stats=json.dumps(stats))


def measure(files: int, rows: pa.Table) -> str:
    with tempfile.TemporaryDirectory(prefix="peacewatch-bench-") as folder:
        Lake(folder)
        made = DeltaTable(f"{folder}/reports")
        if files:
            made.create_write_transaction([add(n) for n in range(files)], "append", made.schema(), list(PARTITION_BY))
            made.update_incremental()
            made.create_checkpoint()
        opened = time.perf_counter()
        lake = Lake(folder)
        opened = time.perf_counter() - opened
        took, cpu = [], []
        for number in range(COMMITS):
            began, busy = time.perf_counter(), time.process_time()
            lake.commit(rows, [OffsetRange("topic/0", number, number + 1)], lambda: None)
            took.append((time.perf_counter() - began) * 1000)
            cpu.append((time.process_time() - busy) * 1000)
        log = sum(path.stat().st_size for path in Path(folder, "reports", "_delta_log").iterdir()) / 1e6
    memory = psutil.Process().memory_info().rss / 1e6
    ordered = sorted(took)
    return (
        f"| {files:,} | {opened * 1000:,.0f} | {statistics.median(took):.1f} | {ordered[int(0.9 * COMMITS)]:.1f} "
        f"| {ordered[-1]:.0f} | {statistics.median(cpu):.1f} | {log:.1f} | {memory:,.0f} |"
    )


if __name__ == "__main__":
    print(machine())
    print(
        "| active files | open ms | commit ms, median | p90 | with checkpoint | CPU ms, median | log MB | process MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    some = table(some_rows(100, hours=1))
    for wanted in [int(word) for word in sys.argv[1:]] or FILES:
        print(measure(wanted, some), flush=True)
