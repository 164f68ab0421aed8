"""Every query of a batch job runs natively to its end: no operator falls back to Spark in silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from batch_layer.spark import aggregate, comet, session
from batch_layer.views import day_views
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java
from tests.support import lakes

pytestmark = pytest.mark.timeout(900)

START = datetime(2026, 11, 24, tzinfo=UTC)

JAVA_EXPRESSIONS = {"delay_days": 1, "views of a day": 1}
"""The delay's `unix_micros`: Comet has none of its own, and runs Spark's generated Java for it over its columns. To
compare times by casts would round microseconds.
"""


def plan(query: DataFrame) -> str:
    """The plan that ran, with what fell back and why; its last lines count operators."""
    frame: Any = query
    explained = frame.sparkSession._jvm.org.apache.comet.ExtendedExplainInfo()
    return str(explained.generateExtendedInfo(frame._jdf.queryExecution().executedPlan()))


def is_native(explained: str) -> bool:
    """To the end: the answer alone leaves as rows, which pyspark makes Arrow of."""
    counted = re.search(r"accelerated (\d+) out of (\d+) eligible operators", explained)
    assert counted, explained
    return counted[1] == counted[2] and "[COMET:" not in explained and explained.count("ColumnarToRow") <= 1


@pytest.fixture(scope="module")
def queries() -> list[DataFrame]:
    """What the engine has asked, with the plans that ran."""
    return []


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, queries: list[DataFrame]) -> Iterator[aggregate.SparkEngine]:
    config = session.SparkConfig(java=java(), scratch=tmp_path_factory.mktemp("spark"), comet=comet.jar(comet.AUTO))
    session.end_java()  # another class path
    with aggregate.start(config, queries.append) as found:
        yield found


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> delta.Snapshot:
    lake = tmp_path_factory.mktemp("lake")
    lakes.make(lake)
    lakes.land(lake, lakes.some_rows(500, hours=24, start=START))
    lakes.land(lake, lakes.some_rows(9, hours=24, start=START))  # duplicates
    return delta.pin(str(lake))


@pytest.mark.parametrize(
    ("job", "many"),
    [
        *(pytest.param(cube.name, 1, id=cube.name) for cube in (HOURS, *day_views.VIEWS)),
        *(("views of a day", 1), ("repeats", 2), ("drone days", 2)),
    ],
)
def test_every_operator_is_native(
    job: str, many: int, engine: aggregate.SparkEngine, pinned: delta.Snapshot, queries: list[DataFrame]
) -> None:
    hours, day = list(pinned.hours), START.date()
    jobs: dict[str, Any] = {
        **{cube.name: lambda cube=cube: engine.cells(cube, pinned, hours) for cube in (HOURS, *day_views.VIEWS)},
        "views of a day": lambda: engine.cells_of(day_views.VIEWS, pinned, hours),
        "repeats": lambda: engine.repeats(pinned, hours),
        "drone days": lambda: engine.drone_days(pinned, day),
    }
    queries.clear()
    assert jobs[job]()
    assert len(queries) == many
    for query in queries:
        explained = plan(query)
        assert is_native(explained), explained
        assert f"{JAVA_EXPRESSIONS.get(job, 0)} codegen dispatch" in explained, explained


def test_operators_that_are_not_native_are_found(engine: aggregate.SparkEngine, pinned: delta.Snapshot) -> None:
    """The test of the test: an aggregate that Comet has not."""
    rows = session.read(engine.spark(0), pinned.uris(pinned.hours), ["country", "city"])
    query = rows.groupBy("country").agg(F.max_by("city", "country"))
    assert query.toArrow().num_rows
    assert not is_native(plan(query))
