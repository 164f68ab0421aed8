"""A cube's cells out of whole hours, in Spark: one pass over the flat columns that the cube names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer import session
from batch_layer.hours import CellsOf
from batch_layer.session import SparkConfig
from batch_layer.snapshot import Snapshot
from fleet.cube import Cube, Measure
from fleet.errors import ServiceUnavailable


def fold(cube: Cube, rows: DataFrame) -> DataFrame:
    """The cells of landed `rows`, unsorted; measures are longs, exact in any order."""
    return rows.groupBy(*cube.key_names).agg(*(_measure(measure) for measure in cube.measures))


def cells(spark: SparkSession, cube: Cube, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
    """The cells of all reports of `hours` at the snapshot, sorted by keys.

    Raises ServiceUnavailable that names what is wrong with the lake's files.
    """
    files = snapshot.uris(hours)
    if not files:
        return cube.empty()
    try:
        found = fold(cube, session.read(spark, files, cube.columns)).toArrow()
    except (PySparkException, Py4JError) as error:
        raise ServiceUnavailable(
            f"Spark cannot read the lake at version {snapshot.version}: {_reason(error)}"
        ) from None
    return cube.merge([found.cast(cube.schema)])


@contextmanager
def engine(config: SparkConfig) -> Iterator[CellsOf]:
    """Spark, started; see batch_layer.hours.Engine."""
    with session.session(config) as spark:
        yield lambda cube, snapshot, hours: cells(spark, cube, snapshot, hours)


def _measure(measure: Measure) -> Column:
    if measure.fold == "count":
        column = F.count(F.lit(1))
    else:
        column = {"sum": F.sum, "min": F.min, "max": F.max}[measure.fold](measure.column)
    return column.cast("long").alias(measure.name)


def _reason(error: Exception) -> str:
    """The innermost cause in one line; Spark wraps it in pages."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or [line for line in lines if line] or [type(error).__name__])[-1 if causes else 0][:300]
