"""A compaction by two threads, killed with SIGKILL at each step: each row is there once, and the next one ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from batch_layer.lake import compact
from infra import delta
from tests.support import lakes
from tests.support.slow import slow

HOURS: Final = 5
LONG_AFTER: Final = int(lakes.START.timestamp()) // 3600 + 100

RUN = """
import sys
from batch_layer.lake import compact
from infra import delta

lake, this_hour, step, times = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
seen = 0

def reached(done):
    global seen
    seen += done == step
    if done == step and seen == times:
        print("here", flush=True)
        sys.stdin.read()  # killed before it ends

options = compact.CompactionOptions(lambda _done: reached("committed"), failpoint=reached, at_once=compact.AT_ONCE)
compact.run(lake, compact.groups(delta.pin(lake), this_hour), options)
"""


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """Five hours of four files each."""
    lakes.make(tmp_path)
    for number in range(4 * HOURS):
        start = lakes.START + timedelta(hours=number % HOURS)
        lakes.land(tmp_path, lakes.some_rows(30, seed=number, hours=1, start=start, first=number * 30))
    return str(tmp_path)


@pytest.mark.parametrize("other_runs", [False, True], ids=["alone", "next to another"])
@pytest.mark.parametrize(
    "kill",
    [
        *(("written", 2), ("committed", 1)),
        *slow(("written", 1), *(("written", n) for n in range(3, HOURS + 1))),
        *slow(*(("committed", n) for n in range(2, HOURS + 1))),
    ],
    ids=lambda kill: f"{kill[0]} {kill[1]}",
)
def test_each_row_is_there_once_after_a_kill(lake: str, kill: tuple[str, int], other_runs: bool) -> None:
    """`written`: a file is in the store, and no version names it. `committed`: the next file is being made."""
    step, times = kill
    before, version = rows_of(lake), delta.pin(lake).version
    command = [sys.executable, "-c", RUN, lake, str(LONG_AFTER), step, str(times)]
    killed = subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "here\n"
        others = compacted(lake) if other_runs else []
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    own = times if step == "committed" else times - 1
    assert [done.reason for done in others] == [""] * (HOURS - own if other_runs else 0)
    assert delta.pin(lake).version == version + own + len(others)
    assert rows_of(lake) == before
    rest = compacted(lake)
    assert [done.reason for done in rest] == [""] * (HOURS - own - len(others))
    assert [len(files) for files in delta.pin(lake).hours.values()] == [1] * HOURS
    assert rows_of(lake) == before


def compacted(lake: str) -> list[compact.Compacted]:
    planned = compact.groups(delta.pin(lake), LONG_AFTER)
    return compact.run(lake, planned, compact.CompactionOptions(at_once=compact.AT_ONCE))


def rows_of(lake: str) -> list[object]:
    rows: list[object] = lakes.everything(Path(lake)).sort_by("report_id").to_pylist()
    return rows
