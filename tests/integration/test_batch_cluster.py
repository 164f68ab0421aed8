"""Spark's jobs on a cluster, with Comet sent to its executors and without: equal answers, also when one is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from batch_layer.spark import aggregate, comet, session
from batch_layer.views import day_views
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java
from tests.integration.test_batch_native import is_native, plan
from tests.support import lakes, spark_cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START = datetime(2026, 11, 24, tzinfo=UTC)
WAIT_SECONDS = 120


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[spark_cluster.Cluster]:
    with spark_cluster.serving(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture(scope="module")
def queries() -> list[DataFrame]:
    return []


@pytest.fixture(scope="module", params=[comet.AUTO, comet.OFF])
def engine(
    request: pytest.FixtureRequest, cluster: spark_cluster.Cluster, queries: list[DataFrame]
) -> Iterator[aggregate.SparkEngine]:
    session.end_java()  # another class path
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        config = session.SparkConfig(cluster.master, java=java(), comet=comet.jar(request.param))
        with aggregate.start(config, queries.append) as found:
            yield found
        session.end_java()


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> delta.Snapshot:
    lake = tmp_path_factory.mktemp("lake")
    lakes.make(lake)
    lakes.land(lake, lakes.some_rows(3000, hours=24, start=START))
    return delta.pin(str(lake))


def expected(pinned: delta.Snapshot) -> list[pa.Table]:
    arrow = lakes.ArrowEngine()
    cells = [arrow.cells(cube, pinned, list(pinned.hours)) for cube in (HOURS, *day_views.VIEWS)]
    return [*cells, arrow.drone_days(pinned, START.date())]


def answers(engine: aggregate.SparkEngine, pinned: delta.Snapshot) -> list[pa.Table]:
    hours = list(pinned.hours)
    views = engine.cells_of(day_views.VIEWS, pinned, hours)
    return [engine.cells(HOURS, pinned, hours), *views, engine.drone_days(pinned, START.date())]


def test_the_answers_are_those_of_plain_loops(
    engine: aggregate.SparkEngine, pinned: delta.Snapshot, queries: list[DataFrame]
) -> None:
    queries.clear()
    assert answers(engine, pinned) == expected(pinned)
    native = comet.loaded(engine.spark(0))
    assert ("Comet" in engine.name) == native
    for query in queries if native else ():
        assert is_native(plan(query)), plan(query)


def test_an_executor_that_is_killed_in_the_middle_changes_no_answer(
    engine: aggregate.SparkEngine, pinned: delta.Snapshot
) -> None:
    context = engine.spark(0).sparkContext
    killed: list[int] = []

    def kill() -> None:
        ends = time.monotonic() + WAIT_SECONDS
        while not context.statusTracker().getActiveJobsIds() and time.monotonic() < ends:
            time.sleep(0.01)
        pid = executor(str(context.applicationId))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    killer = threading.Thread(target=kill)
    killer.start()
    found = answers(engine, pinned)
    killer.join()
    assert killed
    assert found == expected(pinned)


def executor(application: str) -> int:
    for process in psutil.process_iter():
        try:
            command: list[Any] = process.cmdline()
        except psutil.Error:
            continue
        if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in command and application in command:
            return process.pid
    raise AssertionError(f"{application} has no executor")


def test_the_jar_travels_with_the_job(engine: aggregate.SparkEngine) -> None:
    jars = [Path(jar).name for jar in engine.spark(0).conf.get("spark.jars", "").split(",") if jar]  # type: ignore[union-attr]
    assert jars == ([f"comet-spark-spark{comet.SPARK}_2.13-{comet.VERSION}.jar"] if "Comet" in engine.name else [])
