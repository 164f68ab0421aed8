"""Spark's Java killed between two questions. By itself: one process has one Java, and other modules keep theirs."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pyspark import SparkContext

from batch_layer.spark import aggregate, comet, session
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java
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


def _kill_java() -> None:
    gateway: Any = SparkContext._gateway
    os.kill(gateway.proc.pid, signal.SIGKILL)
    gateway.proc.wait()
    gateway.proc.stdin.close()
