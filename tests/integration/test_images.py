"""Each role does its job from its image: the original data goes the whole way through images alone.

Images are built and started by ../shared/tools/build-image, for there is no container runtime here: it has neither
namespaces, limits nor health checks, so every role has loopback ports of its own, and its check is run in its image.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from pymongo import MongoClient

from infra.kafka.topics import create_topics
from laptop import ports
from laptop.airflow import server
from laptop.airflow.api import AirflowApi
from laptop.feed.run import Recording, replay_file
from laptop.supervision import processes
from tests.support import lakes, oracle, original, postgres, spark_engines, standin, verdict
from tests.support.waiting import answers, wait_for

ROOT = Path(__file__).parents[2]
TOOL = Path(os.environ.get("PEACEWATCH_BUILD_IMAGE", ROOT.parent / "shared" / "tools" / "build-image"))
ENVIRON: Final = {"STORAGE_DRIVER": "overlay", **os.environ}
"""Of the tool. Its own driver, vfs, copies a whole image for each layer and for each container that starts."""

ROLES: Final = {"land": "land", "alert": "alerting", "notify": "notify", "record": "record", "serve": "serve"}
"""Target of the Containerfile: the command that its image starts."""

USER: Final = 10001
READY_SECONDS: Final = 300.0
ROWS: Final = lakes.some_rows(500)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not TOOL.exists(), reason="../shared/tools/build-image, which builds images, is not here"),
]


@cache
def build(target: str) -> str:
    """The name of its image, which is built where this run has not done so."""
    name = f"peacewatch-{target}"
    command: list[str | Path] = [TOOL, name, ROOT, "--target", target, "-f", ROOT / "deploy" / "Containerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRON)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return name


class Machine:
    """Folders and settings that containers share, on services of the test run."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, environ
        (folder / "lake").mkdir(exist_ok=True)
        for path in (folder / "lake", *folder.glob("lake/**/*")):
            os.chown(path, USER, USER)

    def program(self, target: str, *command: str, **more: str) -> list[str | Path]:
        """`command` in the image `target`, with a home of its own."""
        home = self.folder / target
        if not home.exists():
            home.mkdir()
            os.chown(home, USER, USER)
        variables = [f"--env={name}={value}" for name, value in {**self.environ, **more}.items()]
        volumes = [f"--volume={home}:/var/lib/peacewatch", f"--volume={self.folder / 'lake'}:/lake"]
        return [TOOL, "--run", build(target), *variables, *volumes, "--", *command]

    def run(self, target: str, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        program = self.program(target, *command, **more)
        return subprocess.run(program, capture_output=True, text=True, check=False, env=ENVIRON)


@pytest.fixture(scope="module")
def machine(kafka: str, mongo_server_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("images")
    folder.chmod(0o755)
    create_topics(kafka)
    with standin.serving(folder) as server:
        yield Machine(
            folder,
            {
                "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
                "PEACEWATCH_MONGO_URI": mongo_server_uri.replace("/peacewatch?", "/images?"),
                "PEACEWATCH_LAKE": "/lake",
                "PEACEWATCH_DISCORD_WEBHOOK_URL": f"http://127.0.0.1:{server.server_port}{standin.ALERTS}",
                "PEACEWATCH_WEB_PORT": str(ports.free_port()),
                "PEACEWATCH_LOG_FORMAT": "json",
            },
        )


def test_the_original_data_goes_the_whole_way_through_images(machine: Machine, kafka: str) -> None:
    rows = oracle.like_the_original()
    path = machine.folder / "rows.csv"
    oracle.write(path, rows)
    replay_file(kafka, Recording(path, oracle.start_of(2021), "fleet", False), None)
    operations = {target: ports.free_port() for target in ROLES}
    children = [
        processes.start(
            target,
            machine.program(target, "peacewatch", command, PEACEWATCH_OPERATIONS_PORT=str(operations[target])),
            machine.folder / f"{target}.log",
            env=ENVIRON,
        )
        for target, command in ROLES.items()
    ]
    try:
        for child, port in zip(children, operations.values(), strict=True):
            child.wait_ready(partial(answers, f"http://127.0.0.1:{port}/readyz"), READY_SECONDS)
        url = f"http://127.0.0.1:{machine.environ['PEACEWATCH_WEB_PORT']}/api/v1/statistics"
        expected, (first, last) = oracle.answers(rows, oracle.start_of(2021), "fleet")
        asked = {"from": first, "to": last}
        wait_for(lambda: ask(f"{url}/averages", asked).get("reports") == len(rows), 900)
        # What alerting raised, the notifier got into the channel and the recorder into MongoDB.
        wait_for(lambda: notified_of(machine, "@2021-") == sum(row["Alert"] == "1" for row in rows), 600, "the alerts")
        assert verdict.shown_alerts(machine.folder) >= notified_of(machine, "@2021-")
        aggregated = machine.run("aggregate", "peacewatch", "aggregate")
        assert aggregated.returncode == 0, aggregated.stderr
        wait_for(lambda: ask(f"{url}/low-battery", asked).get("batch_version") is not None, 300)
        found = {name: ask(f"{url}/{name}", asked) for name in expected}
        assert {name for name in expected if not original.same(found[name], expected[name])} == set()
        for target, port in operations.items():
            check = machine.program(target, "peacewatch", "healthcheck", PEACEWATCH_OPERATIONS_PORT=str(port))
            assert subprocess.run(check, check=False, env=ENVIRON).returncode == 0, target
    finally:
        for child in reversed(children):
            child.stop()


def notified_of(machine: Machine, reports: str) -> int:
    """How many reports that raised the flag, by a part of their id, people were notified of, as MongoDB has it."""
    wanted = {"kind": "unrest", "report_id": {"$regex": reports}, "delivered_at": {"$ne": None}}
    with MongoClient[dict[str, Any]](machine.environ["PEACEWATCH_MONGO_URI"]) as client:
        return client.get_default_database().alerts.count_documents(wanted)


def ask(url: str, query: dict[str, Any]) -> dict[str, Any]:
    with suppress(httpx.HTTPError):
        answer = httpx.get(url, params=query, timeout=30)
        return dict(answer.json()) if answer.is_success else {}
    return {}


SPARK = """
from pathlib import Path
from pyspark import SparkContext
from peacewatch.batch_layer.spark import aggregate, comet, session
from peacewatch.infra import s3
from peacewatch.infra.java import java

config = session.SparkConfig(java=java(), scratch=Path("/tmp/spark"), comet=comet.jar(comet.AUTO))
with aggregate.start(config) as engine:
    assert engine.spark(0).range(10).count() == 10
    print(engine.name)
    print("hadoop-aws" in s3.jars("s3://bucket/lake"))
    print("spark-classes" in Path(f"/proc/{SparkContext._gateway.proc.pid}/maps").read_text())
"""


def test_spark_in_its_image_is_native_and_starts_from_the_archive_of_classes(machine: Machine) -> None:
    """The original data is small enough for Arrow, so the whole path never starts it. Nothing can be fetched here."""
    started = machine.run("aggregate", "python", "-c", SPARK)
    assert started.returncode == 0, started.stderr
    name, reads_s3, maps_the_archive = started.stdout.splitlines()[-3:]
    assert ("with Comet" in name, reads_s3, maps_the_archive) == (True, "True", "True")


def test_airflow_starts_in_its_image_where_the_lake_is_on_s3(machine: Machine) -> None:
    """Its tasks get the jars that Spark reads S3 with; nothing can be fetched here."""
    started = machine.run("airflow", "peacewatch", "airflow", "version", PEACEWATCH_LAKE="s3://bucket/lake")
    assert started.returncode == 0, started.stderr[-3000:]


DAGS: Final = ("hourly_views", "lake_maintenance", "nightly_report", "rebuild_views")
RUN_SECONDS: Final = 900


@pytest.fixture
def airflow(kafka: str, mongo_server_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A lake with reports, and Airflow's processes on PostgreSQL, each a container of one image with one home."""
    programs = postgres.programs()
    assert programs, "Debian's package postgresql is not installed"
    create_topics(kafka)
    folder = tmp_path_factory.mktemp("airflow-image")
    lakes.make(folder / "lake")
    lakes.land(folder / "lake", ROWS)
    with postgres.serving(programs) as database:
        machine = Machine(
            folder,
            {
                "PEACEWATCH_KAFKA_BOOTSTRAP": kafka,
                "PEACEWATCH_MONGO_URI": mongo_server_uri.replace("/peacewatch?", "/airflow_image?"),
                "PEACEWATCH_LAKE": "/lake",
                "PEACEWATCH_AIRFLOW_DATABASE": database,
                "PEACEWATCH_AIRFLOW_PORT": str(ports.free_port()),
                "PEACEWATCH_AIRFLOW_PAUSED": "true",
            },
        )
        done = machine.run("airflow", "peacewatch", "airflow-setup")
        assert done.returncode == 0, done.stderr
        url = f"http://127.0.0.1:{machine.environ['PEACEWATCH_AIRFLOW_PORT']}"
        address = "--host", "127.0.0.1", "--port", machine.environ["PEACEWATCH_AIRFLOW_PORT"]
        commands = {"api-server": address, "scheduler": ("--skip-serve-logs",), "dag-processor": ()}
        children = [
            processes.start(
                name,
                machine.program("airflow", "peacewatch", "airflow", name, *arguments),
                folder / f"{name}.log",
                env=ENVIRON,
            )
            for name, arguments in commands.items()
        ]
        try:
            children[0].wait_ready(partial(answers, f"{url}/api/v2/monitor/health"), READY_SECONDS)
            yield machine
        finally:
            for child in reversed(children):
                child.stop()


def test_airflow_runs_the_hourly_job_from_its_image(airflow: Machine, mongo_server_uri: str) -> None:
    url = f"http://127.0.0.1:{airflow.environ['PEACEWATCH_AIRFLOW_PORT']}"
    password = json.loads((airflow.folder / "airflow" / "airflow" / "passwords.json").read_text())[server.USER]
    with closing(AirflowApi(url, server.USER, password)) as api:
        for dag in DAGS:
            wait_for(partial(api.knows, dag), READY_SECONDS)
        run = api.trigger("hourly_views")
        wait_for(lambda: api.state("hourly_views", run) in {"success", "failed"}, RUN_SECONDS)
        assert api.state("hourly_views", run) == "success"
    with MongoClient[dict[str, Any]](airflow.environ["PEACEWATCH_MONGO_URI"]) as client:
        database = client.get_default_database()
        hours = list(database.hours.find())
        engines = database.runs.distinct("engine", {"kind": "hours", "state": "complete"})
    assert engines == [spark_engines.NATIVE]
    built = airflow.run("airflow", "peacewatch", "report", "build", "--day", str(lakes.START.date()))
    assert built.returncode == 0, built.stderr[-3000:]
    (pdf,) = (airflow.folder / "lake" / "nightly").rglob("*.pdf")
    assert pdf.read_bytes().startswith(b"%PDF-")
    assert sum(sum(hour["cells"]["reports"]) for hour in hours) == len(ROWS)


@pytest.mark.parametrize("target", [*ROLES, "aggregate", "airflow"])
def test_an_image_is_nobodys_root_and_writes_to_its_home_alone(machine: Machine, target: str) -> None:
    writable = "find / -xdev -not -path '/proc/*' -writable -type d 2>/dev/null; id -u"
    *folders, user = machine.run(target, "sh", "-c", writable).stdout.split()
    assert user == str(USER)
    assert {folder for folder in folders if not folder.startswith(("/tmp", "/var/tmp", "/run/lock", "/dev"))} <= {
        "/var/lib/peacewatch",
        "/lake",
    }


@pytest.mark.parametrize("target", [*ROLES, "aggregate", "airflow"])
def test_an_image_lists_its_packages(machine: Machine, target: str) -> None:
    listed = machine.run(target, "cat", "/opt/peacewatch/share/sbom/peacewatch.cdx.json").stdout
    names = {component["name"] for component in json.loads(listed)["components"]}
    assert "kafka-python" in names
    assert ("pyspark" in names) == (target in {"aggregate", "airflow"})
    assert "peacewatch" in names
