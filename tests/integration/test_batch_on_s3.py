"""A lake on S3, read by Spark's native engine: equal answers, and no operator falls back to Spark.

By itself: one process has one Java.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from batch_layer.job import Job
from batch_layer.spark import comet, session
from batch_layer.views import day_views, hours
from fleet.figures.cube import HOURS
from infra import delta, s3
from infra.mongo.client import Documents
from tests.integration.test_batch_native import is_native, plan
from tests.support import lakes, spark_engines
from tests.support import s3 as s3_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

START = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with s3_server.serving(tmp_path) as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store.lake
        session.end_java()  # it has this store's keys


def test_a_lake_on_s3_is_read_natively(lake: str, tmp_path: Path, mongo_database: Documents) -> None:
    lakes.make(lake)
    lakes.land(lake, lakes.some_rows(500, hours=24, start=START))
    lakes.land(lake, lakes.repeated(START + timedelta(days=1)))
    pinned, queries = delta.pin(lake), list[DataFrame]()
    assert all(uri.startswith("s3://") for uri in pinned.uris(pinned.hours))
    settings = s3.spark_settings(lake, os.environ)
    with spark_engines.running(comet.AUTO, tmp_path / "spark", queries.append, s3.jars(lake), **settings) as engine:
        expected, every = lakes.ArrowEngine(), list(pinned.hours)
        for cube in (HOURS, *day_views.VIEWS):
            assert engine.cells(cube, pinned, every).equals(expected.cells(cube, pinned, every)), cube.name
        assert engine.drone_days(pinned, START.date()).equals(expected.drone_days(pinned, START.date()))
        assert engine.repeats(pinned, every).equals(expected.repeats(pinned, every))
        for query in queries:
            assert is_native(plan(query)), plan(query)
        hours.run(Job(mongo_database, lake, lambda: nullcontext(engine)))
    (run,) = mongo_database.runs.find({"kind": "hours"})
    assert (run["state"], run["engine"]) == ("complete", spark_engines.NATIVE)
