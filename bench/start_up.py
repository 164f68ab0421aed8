"""What does a batch job cost before its first row, and what do the options of Java change about it?

`python -m bench.start_up [--reports 6000000]`: for each set of options a fresh process starts Spark and asks for the
hour views of a small lake (an incremental run), and of a large one (a rebuild). Prints the best of three.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from batch_layer.spark import aggregate, session
from bench import fleet_day
from bench.machine import machine
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java

START: Final = datetime(2026, 11, 23, tzinfo=UTC)
LOGGING: Final = f"-Dlog4j2.configurationFile={Path(session.__file__).with_name('log4j2.properties').as_uri()}"
OPTIONS: Final = {
    "as Java comes": "",
    "C1 only": "-XX:TieredStopAtLevel=1",
    "parallel collector": "-XX:+UseParallelGC",
    "C1 only, serial collector": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "shared classes": "-XX:SharedArchiveFile={archive}",
    "shared classes, C1 only, serial collector": (
        "-XX:SharedArchiveFile={archive} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    ),
    "shared classes, serial collector": "-XX:SharedArchiveFile={archive} -XX:+UseSerialGC",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=int, default=6_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("LAKE", "OPTIONS"))
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        small, large, archive = Path(folder, "small"), Path(folder, "large"), Path(folder, "spark.jsa")
        fleet_day.make(small, 1_000, 60, START, 10)
        fleet_day.make(large, options.reports // 120, 120, START)
        _ask(small, f"-XX:ArchiveClassesAtExit={archive} -XX:+UseSerialGC")
        print(f"{'':45} {'small: start':>14} {'first answer':>14} {'process':>10} {'large: process':>16}")
        for name, java in OPTIONS.items():
            text = java.format(archive=archive)
            runs = [_ask(small, text) for _ in range(options.repeats)]
            best = [min(each[n] for each in runs) for n in range(3)]
            slow = _ask(large, text)[2]
            print(f"{name:45} {best[0]:12.1f} s {best[1]:12.1f} s {best[2]:8.1f} s {slow:14.1f} s", flush=True)


def _ask(lake: Path, options: str) -> tuple[float, float, float]:
    """(seconds to start Spark, to the answer after it, of the whole process)."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "bench.start_up", "--child", str(lake), f"{LOGGING} {options}"]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(words[0]), float(words[1]), time.perf_counter() - began


def _child(lake: str, options: str) -> None:
    pinned = delta.pin(lake)
    config = session.SparkConfig(java=java(), extra=(("spark.driver.extraJavaOptions", options),))
    began = time.perf_counter()
    with aggregate.start(config) as spark:
        spark.spark(0)
        started = time.perf_counter()
        spark.cells(HOURS, pinned, list(pinned.hours))
        print(started - began, time.perf_counter() - started)


if __name__ == "__main__":
    main()
