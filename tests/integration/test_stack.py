"""The whole stack, all real: `peacewatch demo` runs a round, with the hourly job in Airflow, and ends; `peacewatch up`
starts again with its data. Airflow is started twice here, which takes most of the time; test_airflow.py has every DAG
and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.errors import ServiceUnavailable
from infra import state_file
from infra.settings import Settings
from laptop.supervision import reaper
from tests.support import demo_round
from tests.support.demo_round import DemoRound
from tests.support.laptop import (
    api_of,
    command,
    environment,
    new,
    peacewatch,
    reports,
    status,
    up,
)
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(900)  # two starts of everything, on two cores that others use, too

REPORTS = 500
DAY = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"


@pytest.fixture(scope="module")
def first_round(tmp_path_factory: pytest.TempPathFactory) -> DemoRound:
    """The demo on every tenth row of the original data; test_original_data.py shows what all of them give."""
    return demo_round.run(tmp_path_factory.mktemp("first"), every=10)


@pytest.fixture(scope="module")
def laptop(first_round: DemoRound) -> Settings:
    """The home that the round has left, and ports of this test's own."""
    return new(first_round.home)


@pytest.fixture(scope="module")
def stack(laptop: Settings) -> Iterator[subprocess.Popen[str]]:
    with up(laptop) as process:
        yield process


def test_one_round_on_the_original_data(first_round: DemoRound) -> None:
    first_round.check()


def test_it_starts_again_with_its_data(first_round: DemoRound, laptop: Settings, stack: subprocess.Popen[str]) -> None:
    first, last = map(str, first_round.days)
    assert reports(laptop, first, last) == len(first_round.rows)
    with closing(api_of(laptop)) as api:
        assert api.knows("hourly_views")
        assert api.succeeded("hourly_views", datetime(2021, 1, 1, tzinfo=UTC)), "the round's run"


def test_all_of_it_runs(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    found = status(laptop)
    assert found["running"]
    assert found["pid"] == stack.pid
    assert {row["state"] for row in found["services"]} <= {"running", "done"}
    assert {row["name"] for row in found["services"]} >= {
        "kafka",
        "mongo",
        "land",
        "notify",
        "serve",
        "airflow-scheduler",
    }
    assert found["away"] == {}
    assert all((laptop.home / "log" / f"{row['name']}.log").exists() for row in found["services"])
    assert 300 < found["memory_mb"] < 2500
    assert "password" not in json.dumps(found)


def test_wrong_days_are_refused_before_a_run(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    with closing(api_of(laptop)) as api, pytest.raises(ServiceUnavailable, match="400"):
        api.trigger("rebuild_views", {"first": "yesterday", "last": "2026-01-01"})


def test_nothing_of_the_home_is_for_others(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    """Data, keys, and logs, those of tasks too."""
    made = [path for path in (laptop.home, *laptop.home.rglob("*")) if not path.is_symlink()]
    modes = {}
    for path in made:
        with suppress(FileNotFoundError):  # a file of a moment
            modes[str(path.relative_to(laptop.home))] = path.stat().st_mode
    assert len(modes) > 100
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_one_that_dies_comes_back(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    def row() -> dict[str, Any]:
        found = state_file.read(laptop.home)
        assert found
        return next(row for row in found.services if row["name"] == "alerting")

    before = row()["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: row()["state"] == "running" and row()["pid"] != before)
    assert row()["restarts"] == 1
    assert "SIGKILL" in peacewatch(laptop, "status")


def test_a_second_one_is_refused(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    done = subprocess.run(command("up"), env=environment(laptop), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_it_stops_and_a_start_that_is_killed_leaves_nothing(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    assert "is stopped" in peacewatch(laptop, "down")
    assert stack.wait(60) == 0
    assert reaper.marked(f"{laptop.home.resolve()}#") == []
    assert "No stack runs" in peacewatch(laptop, "status")
    assert "no stack runs" in peacewatch(laptop, "down")

    mark = f"{laptop.home.resolve()}#"
    with subprocess.Popen(command("up"), env=environment(laptop), stdout=subprocess.DEVNULL) as again:
        wait_for(lambda: all(reaper.marked(mark, name) for name in ("kafka", "mongo", "serve", "airflow-api-server")))
        again.kill()
    wait_for(lambda: reaper.marked(mark) == [])
