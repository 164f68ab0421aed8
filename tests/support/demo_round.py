"""`peacewatch demo --once` on rows of the original data, as people run it, and what must come of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from tests.support import oracle
from tests.support.original import ROWS, same

STEPS = ["start", "send", "land", "alert", "airflow", "deliver", "answers"]
SECONDS = 900
"""How long a round may take; the machine may be busy."""

START = oracle.start_of(2021)
CLOCK = "fleet"


def demo(home: Path, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "cli", "demo", *map(str, arguments)]
    env = {**os.environ, "PEACEWATCH_HOME": str(home)}
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_behind(home: Path) -> list[list[str]]:
    """Command lines of processes that work in the folder."""
    lines = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        if str(home) in " ".join([*(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]):
            lines.append(process.info["cmdline"])
    return lines


@dataclass(frozen=True)
class DemoRound:
    """A round that has ended. `folder` is the PEACEWATCH_HOME it ran with; the demo's own home lies below."""

    folder: Path
    rows: list[dict[str, str]]
    exit_code: int
    out: str
    err: str
    left_behind: list[list[str]]

    @property
    def home(self) -> Path:
        """Where the demo kept its data."""
        (home,) = (self.folder / "demo").glob("*/")
        return home

    @property
    def days(self) -> tuple[date, date]:
        """The first and the last day of its reports."""
        _, (first, last) = oracle.answers(self.rows, START, CLOCK)
        return first, last

    def check(self) -> None:
        """Everything arrived and was answered as the oracle says, and nothing is left running."""
        assert (self.exit_code, self.err) == (0, ""), self.err
        summary = json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))
        alerts = sum(row["Alert"] == "1" for row in self.rows)
        expected, _ = oracle.answers(self.rows, START, CLOCK)
        assert summary["reports"] == {"sent": len(self.rows), "landed": len(self.rows), "rejected": 0}
        assert summary["alerts"]["raised"]["unrest"] == summary["alerts"]["delivered"]["unrest"] == alerts
        assert 0 < summary["alerts"]["messages"] < alerts
        assert {name for name in expected if not same(summary["statistics"][name], expected[name])} == set()
        assert list(summary["seconds"]) == STEPS
        for text in (
            "Countries with the most alerts",
            "Alerts by day of the week",
            f"{len(self.rows):,}",
            "Querying the REST API",
        ):
            assert text in self.out
        assert self.left_behind == []


def run(folder: Path, every: int) -> DemoRound:
    """A round with every so many-th row of the original data."""
    csv, rows = folder / "rows.csv", ROWS[::every]
    oracle.write(csv, rows)
    arguments = ["--csv", csv, "--start", START.isoformat(), "--clock", CLOCK, "--summary", folder / "summary.json"]
    child = demo(folder, "--once", *arguments)
    out, err = child.communicate(timeout=SECONDS)
    return DemoRound(folder, rows, child.returncode, out, err, left_behind(folder))
