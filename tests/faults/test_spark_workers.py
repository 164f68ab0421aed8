"""A Spark cluster of a master and two workers: a worker or the driver is killed during a run, and no answer changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from batch_layer.engine import Engine
from batch_layer.job import Job
from batch_layer.spark import aggregate, session
from batch_layer.views import drones, hours
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java
from infra.mongo.client import Documents
from serving.figures.merge import Merge
from tests.support import lakes, spark_cluster
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START = datetime(2026, 11, 24, tzinfo=UTC)
HOURS_OF_LAKE = range(int(START.timestamp()) // 3600, int(START.timestamp()) // 3600 + 6)
WAIT_SECONDS = 240


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[spark_cluster.Cluster]:
    with spark_cluster.serving(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hours, each of them in ten files."""
    folder = tmp_path_factory.mktemp("lake")
    lakes.make(folder)
    for number in range(10):
        lakes.land(
            folder, lakes.some_rows(2000, seed=number, hours=len(HOURS_OF_LAKE), start=START, first=number * 2000)
        )
    return folder


def figures(database: Documents) -> pa.Table:
    served = Merge(database, max_age=0).served(HOURS_OF_LAKE)
    return HOURS.merge(list(served.hours.values()))


@pytest.mark.parametrize("options", [pytest.param((), id="run"), pytest.param(("--rebuild",), id="rebuild")])
def test_after_a_killed_driver_the_same_command_computes_everything(
    cluster: spark_cluster.Cluster,
    lake: Path,
    mongo_uri: str,
    mongo_database: Documents,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    """`peacewatch aggregate` itself. It runs before the tests with `engine`, which keeps all of the cluster's cores."""
    environ = {
        **os.environ,
        **cluster.environment,
        "PEACEWATCH_HOME": str(tmp_path),
        "PEACEWATCH_LAKE": str(lake),
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_SPARK_MASTER": cluster.master,
        "PEACEWATCH_COMET": "off",
    }
    command = [sys.executable, "-m", "cli", "aggregate", "--views", "hours", *options]
    log = tmp_path / "aggregate.log"
    with log.open("wb") as out, subprocess.Popen(command, env=environ, stdout=out, stderr=out) as driver:

        def computes() -> bool:
            assert driver.poll() is None, log.read_text()
            running = [app for app in cluster.state()["activeapps"] if app["state"] == "RUNNING"]
            return bool(running) and "Spark started" in log.read_text()

        wait_for(computes, WAIT_SECONDS, "the run on the cluster")
        driver.kill()
    assert mongo_database.hours.count_documents({}) == 0
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{len(HOURS_OF_LAKE)} computed" in done.stdout
    assert figures(mongo_database) == HOURS.fold(lakes.everything(lake))


class Rendezvous:
    """After `expect_two`, the next two queries end only together."""

    def __init__(self) -> None:
        self._barrier, self._lock = threading.Barrier(2), threading.Lock()
        self._expected = 0

    def expect_two(self) -> None:
        self._expected = 2

    def __call__(self, _query: object) -> None:
        with self._lock:
            meets = self._expected > 0
            self._expected -= meets
        if meets:
            self._barrier.wait(WAIT_SECONDS)


@pytest.fixture(scope="module")
def rendezvous() -> Rendezvous:
    return Rendezvous()


@pytest.fixture(scope="module")
def engine(cluster: spark_cluster.Cluster, rendezvous: Rendezvous) -> Iterator[aggregate.SparkEngine]:
    """Each hour is a portion of its own."""
    session.end_java()  # another class path
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        with aggregate.start(session.SparkConfig(cluster.master, java=java()), rendezvous, portion=1) as running:
            yield running
        session.end_java()


@contextmanager
def worker_killed(engine: aggregate.SparkEngine, cluster: spark_cluster.Cluster) -> Iterator[None]:
    """While Spark works on what runs within. A new worker replaces it at the end."""
    tracker = engine.spark(0).sparkContext.statusTracker()
    unfinished: list[object] = []

    def kill() -> None:
        ends = time.monotonic() + WAIT_SECONDS
        while not tracker.getActiveJobsIds() and time.monotonic() < ends:
            time.sleep(0.01)
        cluster.kill_worker()
        unfinished.extend(tracker.getActiveJobsIds())

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        killer.join()
        cluster.start_worker()
    assert unfinished, "Spark had no job when the worker died"


def cells(engine: Engine, pinned: delta.Snapshot) -> pa.Table:
    return engine.cells(HOURS, pinned, list(pinned.hours))


def drone_days(engine: Engine, pinned: delta.Snapshot) -> pa.Table:
    return engine.drone_days(pinned, START.date())


def test_portions_of_drone_days_run_side_by_side(
    engine: aggregate.SparkEngine, lake: Path, rendezvous: Rendezvous
) -> None:
    pinned = delta.pin(str(lake))
    rendezvous.expect_two()
    assert drone_days(engine, pinned) == drone_days(lakes.ArrowEngine(), pinned)


@pytest.mark.parametrize("ask", [cells, drone_days])
def test_a_worker_that_is_killed_in_a_query_changes_no_answer(
    engine: aggregate.SparkEngine,
    cluster: spark_cluster.Cluster,
    lake: Path,
    ask: Callable[[Engine, delta.Snapshot], pa.Table],
) -> None:
    pinned = delta.pin(str(lake))
    with worker_killed(engine, cluster):
        answer = ask(engine, pinned)
    assert answer == ask(lakes.ArrowEngine(), pinned)


def test_a_worker_that_is_killed_in_a_rebuild_changes_no_figure(
    engine: aggregate.SparkEngine, cluster: spark_cluster.Cluster, lake: Path, mongo_database: Documents
) -> None:
    @contextmanager
    def start() -> Iterator[aggregate.SparkEngine]:
        yield engine

    job = Job(mongo_database, str(lake), start, chunk=2)
    hours.run(Job(mongo_database, str(lake), lakes.arrow_engine))
    before = figures(mongo_database)
    with worker_killed(engine, cluster):
        assert hours.run(job, rebuild=True).computed == len(HOURS_OF_LAKE)
        drones.run(job, rebuild=True)
    assert figures(mongo_database) == before == HOURS.fold(lakes.everything(lake))
    assert mongo_database.drone_days.count_documents({}) > 0
