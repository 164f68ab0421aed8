"""The main job as people run it, whole: `peacewatch demo` with Airflow and the stand-in for Discord."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.test_original_data import ROWS, same
from tests.support import oracle

STEPS = ["start", "send", "land", "alert", "airflow", "deliver", "answers"]
SECONDS = 900


def environ(home: Any) -> Any:
    return {**os.environ, "PEACEWATCH_HOME": str(home)}


def demo(home: Any, *arguments: Any) -> Any:
    command = [sys.executable, "-m", "cli", "demo", *map(str, arguments)]
    return subprocess.Popen(command, env=environ(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def left_behind(home: Any) -> Any:
    """Command lines of processes that work in the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        if str(home) in " ".join([*(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]):
            found.append(process.info["cmdline"])
    return found


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("every", [10, pytest.param(1, marks=pytest.mark.slow)])
def test_one_round_on_the_original_data(every: int, tmp_path: Path) -> None:
    """Every tenth row of it: what all of them give is shown by test_original_data.py."""
    csv, summary = tmp_path / "rows.csv", tmp_path / "summary.json"
    rows = ROWS[::every]
    alerts = sum(row["Alert"] == "1" for row in rows)
    oracle.write(csv, rows)
    start = oracle.start_of(2021)
    expected, _ = oracle.answers(rows, start, "fleet")
    home = tmp_path / "home"

    child = demo(home, "--once", "--csv", csv, "--start", start.isoformat(), "--clock", "fleet", "--summary", summary)
    out, err = child.communicate(timeout=SECONDS)

    assert (child.returncode, err) == (0, ""), err
    found = json.loads(summary.read_text(encoding="utf-8"))
    assert found["reports"] == {"sent": len(rows), "landed": len(rows), "rejected": 0}
    assert found["alerts"]["raised"]["unrest"] == found["alerts"]["delivered"]["unrest"] == alerts
    assert 0 < found["alerts"]["messages"] < alerts
    assert {name for name in expected if not same(found["statistics"][name], expected[name])} == set()
    assert list(found["seconds"]) == STEPS
    for text in (
        "Countries with the most alerts",
        "Alerts by day of the week",
        f"{len(rows):,}",
        "Asking the REST API",
    ):
        assert text in out
    assert left_behind(home) == []


@pytest.mark.slow  # a start of everything for what the round above nearly shows
@pytest.mark.timeout(SECONDS)
def test_the_live_demo_streams_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    child = demo(tmp_path, "--drones", 40, "--rate", 40)
    lines = []
    for line in child.stdout:
        lines.append(line)
        if line.startswith("reports sent") and "landed 0;" not in line:
            break
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, err) == (0, "")
    assert any("user admin, password" in line for line in lines)
    assert out.startswith("reports sent")
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--csv", "x.csv"], "--csv: goes with --once"),
        (["--once", "--csv", "x.csv"], "--csv: needs --start and --clock"),
        (["--once", "--start", "2021-03-22T00:00:00Z"], "--start: goes with --csv"),
        (["--once", "--csv", "x.csv", "--start", "2021-03-22T00:00:00Z", "--clock", "fleet"], "x.csv: cannot be read"),
        (["--rate", "0"], "--rate: 0 is not a rate"),
        (["--drones", "0"], "drones: at least one"),
    ],
)
def test_bad_options_are_one_sentence_and_start_nothing(tmp_path: Path, arguments: Any, says: Any) -> None:
    child = demo(tmp_path, *arguments)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"peacewatch: {says}")
    assert not (tmp_path / "demo").exists()
