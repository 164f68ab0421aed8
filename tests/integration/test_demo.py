"""The main job as people run it, whole: `peacewatch demo` with Airflow and the stand-in for Discord.

A round on every tenth row of the original data is the first start of tests/integration/test_stack.py.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support import demo_round
from tests.support.demo_round import SECONDS, demo, left_behind


@pytest.mark.slow  # a start of everything for what test_stack.py shows with fewer rows
@pytest.mark.timeout(SECONDS + 60)
def test_one_round_on_all_of_the_original_data(tmp_path: Path) -> None:
    demo_round.run(tmp_path, every=1).check()


@pytest.mark.slow  # a start of everything for what a round nearly shows
@pytest.mark.timeout(SECONDS)
def test_the_live_demo_streams_until_it_is_asked_to_stop(tmp_path: Path) -> None:
    child = demo(tmp_path, "--drones", 40, "--rate", 40)
    assert child.stdout
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
        (["--csv", "x.csv"], "--csv: needs --once"),
        (["--once", "--csv", "x.csv"], "--csv: needs --start and --clock"),
        (["--once", "--start", "2021-03-22T00:00:00Z"], "--start: needs --csv"),
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
