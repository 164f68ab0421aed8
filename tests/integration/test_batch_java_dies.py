"""Java killed between two questions and in the middle of one, or short of memory: one sentence, nothing published.

By itself: one process has one Java, and other modules keep theirs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pyspark import SparkContext

from batch_layer.job import Job
from batch_layer.spark import comet, session
from batch_layer.views import hours
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.mongo.client import Documents
from tests.support import lakes, spark_engines
from tests.support.slow import slow

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(autouse=True)
def no_java_is_left() -> Iterator[None]:
    """Or the next session speaks to a dead one."""
    yield
    session.end_java()


def test_java_that_dies_is_one_sentence(tmp_path: Path) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(20, hours=1))
    pinned = delta.pin(str(tmp_path))
    with spark_engines.running(comet.AUTO, tmp_path / "spark") as engine:
        assert engine.cells(HOURS, pinned, list(pinned.hours)).num_rows
        _kill_java()
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match=r"^Spark's Java has ended[^\n]*$"):
                engine.drone_days(pinned, lakes.START.date())


@pytest.mark.parametrize("wanted", spark_engines.ENGINES)
def test_java_that_is_killed_in_the_middle_of_a_query_publishes_nothing_and_the_next_run_all(
    wanted: str, tmp_path: Path, mongo_database: Documents
) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(200, hours=3))
    with spark_engines.running(wanted, tmp_path / "spark") as engine:
        with killed_once_a_job_runs(engine.spark(0).sparkContext) as killed:
            job = Job(mongo_database, str(tmp_path), lambda: nullcontext(engine))
            with pytest.raises(ServiceUnavailable, match=r"^Spark's Java has ended[^\n]*$"):
                hours.run(job)
        assert killed.is_set()
    assert mongo_database.hours.count_documents({}) == 0
    assert [each["state"] for each in mongo_database.runs.find({"kind": "hours"})] == ["failed"]
    with spark_engines.running(wanted, tmp_path / "spark") as engine:
        hours.run(Job(mongo_database, str(tmp_path), lambda: nullcontext(engine)))
    cells = [HOURS.from_document(each["cells"]) for each in mongo_database.hours.find()]
    assert HOURS.merge(cells).equals(HOURS.fold(lakes.everything(tmp_path)))


SHORT_OF_MEMORY = {
    "native": {"spark_memory_offHeap_size": "4m"},
    # Spark refuses a heap below 450 MB, but where its own tests reserve nothing of it.
    "heap": {"spark_driver_memory": "120m", "spark_testing_reservedMemory": "0"},
}


@pytest.mark.parametrize("memory", slow("native", "heap"))
def test_exhausted_memory_is_one_sentence_and_publishes_nothing_and_the_next_run_all(
    memory: str, tmp_path: Path, mongo_database: Documents
) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, [lakes.row(n, lakes.START, country=f"{n:0100000}") for n in range(400)])
    reason = "Spark has too little memory " + {"native": r"[^\n]*offHeap", "heap": "on its heap"}[memory]
    with spark_engines.running(
        comet.AUTO, tmp_path / "spark", lambda _query: None, None, **SHORT_OF_MEMORY[memory]
    ) as engine:
        job = Job(mongo_database, str(tmp_path), lambda: nullcontext(engine))
        with pytest.raises(ServiceUnavailable, match=rf"^({reason})[^\n]*$"):
            hours.run(job)
    assert mongo_database.hours.count_documents({}) == 0
    assert [each["state"] for each in mongo_database.runs.find({"kind": "hours"})] == ["failed"]
    with spark_engines.running(comet.AUTO, tmp_path / "spark") as engine:
        hours.run(Job(mongo_database, str(tmp_path), lambda: nullcontext(engine)))
    (document,) = mongo_database.hours.find()
    assert (
        sum(document["cells"]["reports"])
        + sum(sum(part["cells"]["reports"]) for part in mongo_database.view_parts.find({"of": document["_id"]}))
        == 400
    )


@contextmanager
def killed_once_a_job_runs(context: SparkContext) -> Iterator[Event]:
    """Kills Java while it is at a job: the first of a Java takes a second or more, for nothing is compiled yet."""
    killed, ended = Event(), Event()

    def watch() -> None:
        while not context.statusTracker().getActiveJobsIds():
            if ended.wait(0.002):
                return
        _kill_java()
        killed.set()

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        ended.set()
        watcher.join()


def _kill_java() -> None:
    gateway: Any = SparkContext._gateway
    os.kill(gateway.proc.pid, signal.SIGKILL)
    gateway.proc.wait()
    gateway.proc.stdin.close()
