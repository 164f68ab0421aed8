"""What `status` and `down` say of a stack that runs, of one that is gone, and of parts that do not answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from stack import down, leftovers, ports, running, settings, status, status_facts
from stack.settings import Settings

ROW = {
    "name": "land",
    "state": "pausing",
    "since": (datetime.now(UTC) - timedelta(minutes=3)).isoformat(),
    "pid": None,
    "address": "",
    "restarts": 4,
    "last_exit": "was ended by SIGKILL",
    "log": "land.log",
}


@pytest.fixture
def nothing(tmp_path: Path) -> Settings:
    """Settings under which no service answers."""
    free = {name: ports.free_port() for name in ("kafka_port", "mongo_port")}
    return settings.load({}, home=tmp_path, **free)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_facts, "_WAIT_MS", 50)


@pytest.fixture
def sleeper() -> Iterator[psutil.Process]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield psutil.Process(process.pid)
        process.kill()


def write(home: Path, pid: int, started: float) -> None:
    (home / running.FILE).write_text(json.dumps({"pid": pid, "started": started, "services": [ROW]}))


def test_no_stack(nothing: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    status.show(nothing, as_json=False)
    told = capsys.readouterr().out
    assert f"No stack runs in {nothing.home}; `peacewatch up` starts one." in told
    assert "kafka        does not answer" in told
    assert "last commit  none yet" in told


def test_json_without_a_stack(nothing: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    status.show(nothing, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["running"], found["pid"], found["services"], found["lag"]) == (False, None, [], {})
    assert set(found["away"]) == {"kafka", "mongo"}


def test_a_service_that_was_started_again(nothing: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    me = psutil.Process()
    write(nothing.home, me.pid, me.create_time())
    status.show(nothing, as_json=False)
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("land"))
    assert row.split() == ["land", "pausing", "3", "min", "4", "0", "was", "ended", "by", "SIGKILL"]


def test_a_pid_that_was_used_again_is_no_stack(nothing: Settings, sleeper: psutil.Process) -> None:
    write(nothing.home, sleeper.pid, sleeper.create_time() - 100)
    assert not status.read(nothing)["running"]
    assert down.run(nothing.home) == f"no stack runs in {nothing.home}"
    assert sleeper.is_running()


def test_down_ends_the_supervisor(nothing: Settings, sleeper: psutil.Process) -> None:
    write(nothing.home, sleeper.pid, sleeper.create_time())
    assert down.run(nothing.home) == f"the stack in {nothing.home} is stopped; the data stays"
    assert not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE


def test_down_ends_what_a_crash_left(nothing: Settings) -> None:
    env = {**os.environ, leftovers.VARIABLE: f"{nothing.home.resolve()}#run#land"}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env=env) as left:
        told = down.run(nothing.home)
        left.wait()
    assert told.endswith("; 1 processes of one that crashed are ended")


def test_half_a_file_is_no_stack(nothing: Settings) -> None:
    (nothing.home / running.FILE).write_text('{"pid": 1')
    assert not status.read(nothing)["running"]


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=5), "5 s"),
        (timedelta(seconds=90), "1 min"),
        (timedelta(hours=5), "5 h"),
        (timedelta(3), "3 d"),
    ],
)
def test_times_are_for_people(ago: timedelta, said: str) -> None:
    assert status._ago((datetime.now(UTC) - ago).isoformat()) == said
