"""What does a batch job cost before and at its first answers, and what does an archive of Java's classes save of it?

`script/bench start_up [--turns 5] [--java quickly]`: a fresh process starts Spark with Comet and asks for the hour
views and the drone days of a small lake, in turns with the archive that set-up has made and without, in a Java that
compiles quickly (small jobs) and in one that compiles well (large ones). Prints medians; processor time is the
process's and its Java's.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final

from batch_layer.spark import aggregate, class_archive, comet, session
from bench import fleet_day
from bench.machine import machine
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java

START: Final = datetime(2026, 11, 23, tzinfo=UTC)
JAVAS: Final = {"quickly": 0, "well": session.QUICK_BYTES}
"""How Java compiles, and of how many bytes a job it is."""
ARCHIVES: Final = ("without", "with")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--java", choices=[*JAVAS, "both"], default="both")
    parser.add_argument("--child", nargs=3, metavar=("LAKE", "JAVA", "ARCHIVE"))
    options = parser.parse_args()
    if options.child:
        _child(*options.child)
        return
    jar = comet.jar(comet.AUTO)
    made = class_archive.find(java(), jar) if jar is not None else None
    if made is None:
        sys.exit("no archive fits this Java and these jars; run script/bootstrap")
    print(machine())
    print(f"the archive: {made.stat().st_size / 1e6:.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        fleet_day.make(Path(folder), 1_000, 60, START, 10)
        rows = list(product(JAVAS if options.java == "both" else [options.java], ARCHIVES))
        runs: dict[tuple[str, str], list[tuple[float, ...]]] = {row: [] for row in rows}
        for turn in range(options.turns):
            for row in rows if turn % 2 else reversed(rows):
                runs[row].append(_ask(folder, *row))
    print(f"load average after: {os.getloadavg()[0]:.1f}")
    print(f"{'Java compiles':15} {'archive':10} {'start':>8} {'answers':>8} {'process':>8} {'processor':>10}")
    for (compiles, archive), found in runs.items():
        figures = [median(each) for each in zip(*found, strict=True)]
        print(f"{compiles:15} {archive:10}" + "".join(f"{figure:7.1f} s" for figure in figures))


def _ask(lake: str, compiles: str, archive: str) -> tuple[float, float, float, float]:
    """Seconds to start Spark, to the answers after it, of the whole process; and processor time, Java's included."""
    began, used = time.perf_counter(), _processor_seconds()
    command = [sys.executable, "-m", "bench.start_up", "--child", lake, compiles, archive]
    words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(words[-2]), float(words[-1]), time.perf_counter() - began, _processor_seconds() - used


def _processor_seconds() -> float:
    """Of all children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _child(lake: str, compiles: str, archive: str) -> None:
    pinned = delta.pin(lake)
    config = session.SparkConfig(
        java=java(),
        scratch=Path(lake, "spark"),
        comet=comet.jar(comet.AUTO),
        class_sharing=() if archive == "without" else None,
    )
    began = time.perf_counter()
    with aggregate.start(config) as engine:
        engine.spark(JAVAS[compiles])
        started = time.perf_counter()
        engine.cells(HOURS, pinned, list(pinned.hours))
        engine.drone_days(pinned, START.date())
        print(started - began, time.perf_counter() - started)
    session.end_java()


if __name__ == "__main__":
    main()
