"""The whole stack, as `peacewatch up` runs it: all real, stopped and started again with its data, and Airflow's own
scheduler runs the DAG. Airflow is started twice here, which takes most of the time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import IO, Any

import httpx
import pytest

from fleet.errors import ServiceUnavailable
from stack import airflow, leftovers, ports, running, services, settings
from stack.airflow_api import AirflowApi
from stack.settings import Settings

pytestmark = pytest.mark.timeout(900)  # two starts of everything, on two cores that others use, too

REPORTS = 500


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home and ports of this test's own."""
    free = {
        name: ports.free_port() for name in ("kafka_port", "mongo_port", "web_port", "airflow_port", "discord_port")
    }
    return settings.load({}, home=tmp_path_factory.mktemp("laptop"), **free)


@pytest.fixture(scope="module")
def stack(laptop: Settings) -> Iterator[subprocess.Popen[str]]:
    with up(laptop) as process:
        yield process


@contextmanager
def up(laptop: Settings) -> Iterator[subprocess.Popen[str]]:
    """`peacewatch up`; once it is ready."""
    with subprocess.Popen(command("up"), env=environment(laptop), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            said = until_ready(process.stdout)
            assert f"password {services.airflow_of(laptop).password}" in said, said
            yield process
        finally:
            process.terminate()
            process.communicate()
    assert leftovers.marked(f"{laptop.home.resolve()}#") == []


def until_ready(output: IO[str]) -> str:
    lines = []
    for line in output:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    return "".join(lines)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "stack", *arguments]


def environment(laptop: Settings) -> dict[str, str]:
    return {**os.environ, **services.environment_of(laptop)}


def peacewatch(laptop: Settings, *arguments: str) -> str:
    done = subprocess.run(command(*arguments), env=environment(laptop), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def status(laptop: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(peacewatch(laptop, "status", "--json"))
    return found


def eventually(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.5)


def reports(laptop: Settings) -> int:
    """Reports that the API counts, over all days that these could be of."""
    answer = httpx.get(
        f"{laptop.web_url}/api/v1/statistics/averages", params={"from": "2026-01-01", "to": "2026-01-02"}, timeout=30
    )
    return int(answer.raise_for_status().json()["reports"])


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


def test_the_scheduler_runs_the_dag_and_its_log_can_be_read(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    peacewatch(
        laptop,
        *("simulate", "--drones", "50", "--rate", str(REPORTS), "--start", "2026-01-01T00:00:00Z"),
        *("--duration", "1s"),
    )
    eventually(lambda: status(laptop)["lag"]["peacewatch-landing"] == 0)
    landed = status(laptop)["lake"]["version"]

    told = ran(laptop, "hourly_views", "aggregate")
    assert "Spark-Submit cmd: spark-submit" in told
    assert re.search(r"hours: (\d+ computed at|nothing to do)", told)  # the hour's own run may have been first
    assert status(laptop)["batch"]["version"] >= landed
    eventually(lambda: reports(laptop) == REPORTS)


def test_views_are_rebuilt_for_chosen_days(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    told = ran(laptop, "rebuild_views", "aggregate", {"first": "2026-01-01", "last": "2026-01-01"})
    assert re.search(r"hours: \d+ computed at version", told)
    assert reports(laptop) == REPORTS


def test_wrong_days_are_refused_before_a_run(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    with closing(api_of(laptop)) as api, pytest.raises(ServiceUnavailable, match="400"):
        api.trigger("rebuild_views", {"first": "yesterday", "last": "2026-01-01"})


def test_operators_hear_of_a_run_that_failed(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    """Days that are in the wrong order: the command refuses them, whenever it is tried."""
    with closing(api_of(laptop)) as api:
        run = api.trigger("rebuild_views", {"first": "2026-01-02", "last": "2026-01-01"})
        eventually(lambda: api.state("rebuild_views", run) == "failed", 400)
    channel = httpx.get(f"http://{laptop.host}:{laptop.discord_port}/control/messages", timeout=30).text
    assert "aggregate failed" in channel
    assert f"{laptop.airflow_port}/dags/rebuild_views/runs/" in channel


def test_one_that_dies_comes_back(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    def row() -> dict[str, Any]:
        found = running.read(laptop.home)
        assert found
        return next(row for row in found.services if row["name"] == "alerting")

    before = row()["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: row()["state"] == "running" and row()["pid"] != before)
    assert row()["restarts"] == 1
    assert "SIGKILL" in peacewatch(laptop, "status")


def test_a_second_one_is_refused(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    done = subprocess.run(command("up"), env=environment(laptop), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_it_stops_and_starts_again_with_its_data(laptop: Settings, stack: subprocess.Popen[str]) -> None:
    counted = reports(laptop)
    assert "is stopped" in peacewatch(laptop, "down")
    assert stack.wait(60) == 0
    assert leftovers.marked(f"{laptop.home.resolve()}#") == []
    assert "No stack runs" in peacewatch(laptop, "status")
    assert "no stack runs" in peacewatch(laptop, "down")

    with up(laptop) as again:
        assert reports(laptop) == counted == REPORTS
        with closing(api_of(laptop)) as api:
            assert api.knows("hourly_views")
        again.kill()
        again.wait()
        eventually(lambda: leftovers.marked(f"{laptop.home.resolve()}#") == [])


def api_of(laptop: Settings) -> AirflowApi:
    found = services.airflow_of(laptop)
    return AirflowApi(found.url, airflow.USER, found.password)


def ran(laptop: Settings, dag: str, task: str, params: dict[str, str] | None = None) -> str:
    """The log of `task` in a run of `dag` that was asked for now and has ended well."""
    with closing(api_of(laptop)) as api:
        eventually(lambda: api.knows(dag))
        run = api.trigger(dag, params)
        eventually(lambda: api.state(dag, run) in {"success", "failed"}, 400)
        told = api.log(dag, run, task)
        assert api.state(dag, run) == "success", told
        return told
