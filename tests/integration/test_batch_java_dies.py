"""Spark's Java killed between two questions. By itself: one process has one Java, and other modules keep theirs."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext

from batch_layer.job import Job
from batch_layer.spark import aggregate, comet, session
from batch_layer.views import hours
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java
from infra.mongo.client import Documents
from tests.support import lakes

pytestmark = pytest.mark.timeout(900)


def test_java_that_dies_is_one_sentence(tmp_path: Path) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(20, hours=1))
    pinned = delta.pin(str(tmp_path))
    config = session.SparkConfig(java=java(), scratch=tmp_path / "spark", comet=comet.jar(comet.AUTO))
    with aggregate.start(config) as engine:
        assert engine.cells(HOURS, pinned, list(pinned.hours)).num_rows
        _kill_java()
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match=r"^Spark's Java has ended[^\n]*$"):
                engine.drone_days(pinned, lakes.START.date())
    session.end_java()  # or the next session speaks to the dead one


def test_native_memory_that_is_exhausted_is_one_sentence_and_nothing_is_published(
    tmp_path: Path, mongo_database: Documents
) -> None:
    lakes.make(tmp_path)
    lakes.land(tmp_path, [lakes.row(n, lakes.START, country=f"{n:0200}") for n in range(20_000)])
    tiny = (("spark.memory.offHeap.size", "4m"),)
    config = session.SparkConfig(java=java(), scratch=tmp_path / "spark", comet=comet.jar(comet.AUTO), extra=tiny)
    session.end_java()
    with aggregate.start(config) as engine:
        job = Job(mongo_database, str(tmp_path), lambda: nullcontext(engine))
        with pytest.raises(ServiceUnavailable, match=r"^Spark has too little memory [^\n]*offHeap[^\n]*$"):
            hours.run(job)
    assert mongo_database.hours.count_documents({}) == 0
    assert [each["state"] for each in mongo_database.runs.find({"kind": "hours"})] == ["failed"]
    session.end_java()


def _kill_java() -> None:
    gateway: Any = SparkContext._gateway
    os.kill(gateway.proc.pid, signal.SIGKILL)
    gateway.proc.wait()
    gateway.proc.stdin.close()
