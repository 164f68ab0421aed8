"""Cells and drone days of whole hours, by Spark: one pass over the flat columns that are needed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import date
from typing import Final

import pyarrow as pa
import structlog
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.ranges import hours_of_day
from batch_layer.spark import comet, session
from batch_layer.spark.session import SparkConfig
from batch_layer.views import day_views, drone_days, identities
from fleet.errors import ServiceUnavailable, Unreadable
from fleet.figures.cube import Cube, Measure
from fleet.text import sentence
from infra.delta import Snapshot

_log = structlog.get_logger()

PIECES: Final = 64
"""Parts of a fleet's answer."""
PARTS_OF_IDENTITIES: Final = 32
"""Parts in which identities are counted: nearly each identity has one row, and a small hash table stays in the
cache."""
PORTION: Final = 1024**3
"""Bytes of the hours that drone days are folded from at once; a larger hour is folded alone."""

SIDE_BY_SIDE: Final = 4
"""Portions that a cluster computes at once: the first tasks of one use the cores that the last tasks of another leave
idle. No more, since each answer, a row a drone, is held in the driver until it is folded."""


Seen = Callable[[DataFrame], None]
"""Called with each query after its answer, for tests that read its plan."""


class SparkEngine:
    """batch_layer.engine.Engine.

    Spark starts for the first question, with settings for as much as that one reads.
    """

    def __init__(
        self, config: SparkConfig, running: ExitStack, seen: Seen = lambda _query: None, portion: int = PORTION
    ) -> None:
        """What is started ends with `running`. `portion`: see PORTION."""
        self.portion = portion
        self._config, self._running, self._seen = config, running, seen
        self._spark: SparkSession | None = None
        self._name = ""

    @property
    def name(self) -> str:
        return self._name

    def spark(self, bytes_to_read: int) -> SparkSession:
        if self._spark is None:
            self._spark = self._running.enter_context(session.session(self._config, bytes_to_read))
            native = f" with Comet {comet.version(self._spark)}" if comet.loaded(self._spark) else ""
            self._name = f"Spark {self._spark.version}{native}"
            _log.info("Spark started", engine=self._name, master=self._config.master)
        return self._spark

    def cells(self, cube: Cube, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        (found,) = self.cells_of([cube], snapshot, hours)
        return found

    def cells_of(self, cubes: Sequence[Cube], snapshot: Snapshot, hours: Sequence[int]) -> list[pa.Table]:
        files = snapshot.uris(hours)
        if not files:
            return [cube.empty() for cube in cubes]
        cube = together(cubes)
        with _errors(snapshot):
            rows = session.read(self.spark(snapshot.size(hours)), files, day_views.landed_columns(cube))
            found = self._answer(fold(cube, rows.selectExpr(*day_views.expressions(cube)))).cast(cube.schema)
        return [each.merge([found]) for each in cubes]

    def drone_days(self, snapshot: Snapshot, day: date) -> pa.Table:
        folded, size = drone_days.Fold(day), snapshot.size(hours_of_day(day))
        portions = list(snapshot.portions(hours_of_day(day), self.portion))
        if not portions:
            return folded.table()
        with _errors(snapshot):
            spark = self.spark(size)

            def drones(hours: Sequence[int]) -> DataFrame:
                return fold_drones(spark, snapshot.uris(hours), hours)

            def positions(hours: Sequence[int]) -> DataFrame:
                return find_positions(spark, snapshot.uris(hours), folded.wanted(hours))

            with self._few_tasks(spark):
                for hours, answer in self._answers(spark, portions, drones):
                    folded.add(hours, answer)
            portions = list(snapshot.portions(folded.position_hours(), self.portion))
            for _, answer in self._answers(spark, portions, positions):
                folded.add_positions(answer)
        return folded.table()

    def repeats(self, snapshot: Snapshot, hours: Sequence[int]) -> pa.Table:
        size, parts = snapshot.size(hours), [identities.REPEATS.empty_table()]
        for portion in snapshot.portions(hours, self.portion):  # an identity is in one hour
            with _errors(snapshot):
                spark = self.spark(size)
                with_repeats = self._answer(find_repeats(spark, snapshot.uris(portion)))["event_hour"].to_pylist()
                if with_repeats:
                    query = count_repeats(spark, snapshot.uris(with_repeats))
                    parts.append(self._answer(query).cast(identities.REPEATS))
        return pa.concat_tables(parts).sort_by("event_hour").combine_chunks()

    def _answers(
        self, spark: SparkSession, portions: Sequence[Sequence[int]], query: Callable[[Sequence[int]], DataFrame]
    ) -> Iterator[tuple[Sequence[int], pa.Table]]:
        """Each portion with its answer, in the order of the portions.

        A cluster computes SIDE_BY_SIDE of them at once, a single machine one.
        """
        at_once = 1 if session.is_local(str(spark.sparkContext.master)) else SIDE_BY_SIDE
        running: deque[tuple[Sequence[int], Future[pa.Table]]] = deque()
        with ThreadPoolExecutor(at_once, "portion") as pool:
            for hours in portions:
                if len(running) == at_once:
                    oldest, answer = running.popleft()
                    yield oldest, answer.result()
                running.append((hours, pool.submit(self._answer, query(hours))))
            for oldest, answer in running:
                yield oldest, answer.result()

    def _answer(self, query: DataFrame) -> pa.Table:
        answer = query.toArrow()
        self._seen(query)
        return answer

    @contextmanager
    def _few_tasks(self, spark: SparkSession) -> Iterator[SparkSession]:
        """Each task has all drones in its hash table, and passes on a row of each: one task a core passes on the
        fewest. On a cluster its own settings decide.
        """
        local = session.is_local(str(spark.sparkContext.master))
        with session.setting(spark, "spark.sql.files.maxPartitionBytes", "2g") if local else nullcontext():
            yield spark


@contextmanager
def start(config: SparkConfig, seen: Seen = lambda _query: None, portion: int = PORTION) -> Iterator[SparkEngine]:
    """Spark, not started before it is needed, and stopped at the end."""
    with ExitStack() as running:
        yield SparkEngine(config, running, seen, portion)


def together(cubes: Sequence[Cube]) -> Cube:
    """A cube whose cells merge to those of each of `cubes`, with all their keys and measures: one reading for all."""
    keys = {name: kind for cube in cubes for name, kind in cube.keys}
    measures = {measure.name: measure for cube in cubes for measure in cube.measures}
    return Cube("+".join(cube.name for cube in cubes), tuple(keys.items()), tuple(measures.values()))


def fold(cube: Cube, rows: DataFrame) -> DataFrame:
    """The cells of landed `rows`, unsorted; measures are longs, exact in any order."""
    # Spark's fast hash table takes keys in the order they are named. Small integers at the front bring most cells onto
    # each other, and it gives each row of those to a slower one (57 % of the cells of a day's hours, 7 % this way).
    keys = sorted(cube.keys, key=lambda key: key[1] != pa.string())
    folded = rows.groupBy(*(name for name, _ in keys)).agg(*(_measure(measure) for measure in cube.measures))
    return folded.select(*cube.schema.names)


def fold_drones(spark: SparkSession, files: Sequence[str], hours: Sequence[int]) -> DataFrame:
    """The first pass of drone days (batch_layer.views.drone_days): a row a drone, in PIECES parts."""
    rows = session.read(spark, files, drone_days.COLUMNS)
    measures = [F.expr(measure) for measure in drone_days.fold_expressions(hours)]
    # A task's answer is one piece: a fleet's 540,000 drones in two pieces were too large for Java's heap.
    return rows.groupBy("drone_id").agg(*measures).repartition(PIECES, "drone_id")


def find_positions(spark: SparkSession, files: Sequence[str], wanted: pa.Table) -> DataFrame:
    """The second pass: positions and names of the `wanted` places, a row or two a drone."""
    rows = session.read(spark, files, drone_days.POSITION_COLUMNS).selectExpr(*drone_days.position_expressions())
    # By the drone, too: two may have reported in the same millisecond with the same battery.
    return rows.join(F.broadcast(spark.createDataFrame(wanted)), ["drone_id", "place"])


def find_repeats(spark: SparkSession, files: Sequence[str]) -> DataFrame:
    """The event hours in which an identity (batch_layer.views.identities) has more than one row: a row each."""
    rows = session.read(spark, files, ["event_hour", *identities.IDENTITY])
    ids = rows.selectExpr("event_hour", f"{identities.IDENTITY_HASH} AS i").repartition(PARTS_OF_IDENTITIES, "i")
    counted = ids.groupBy("i").agg(F.count(F.lit(1)).alias("n"), F.min("event_hour").alias("event_hour"))
    return counted.where("n > 1").groupBy("event_hour").agg(F.count(F.lit(1)).alias("n"))


def count_repeats(spark: SparkSession, files: Sequence[str]) -> DataFrame:
    """A row of batch_layer.views.identities.REPEATS an event hour. It reads nearly all columns of reports."""
    rows = session.read(spark, files, ["event_hour", *identities.IDENTITY, *identities.CONTENT])
    rows = rows.selectExpr("event_hour", f"{identities.IDENTITY_HASH} AS i", f"{identities.CONTENT_HASH} AS content")
    hour = F.min("event_hour").alias("event_hour")
    contents = rows.groupBy("i", "content").agg(F.count(F.lit(1)).alias("n"), hour)
    ids = contents.groupBy("i").agg(F.sum("n").alias("n"), F.count(F.lit(1)).alias("contents"), hour).where("n > 1")
    return ids.groupBy("event_hour").agg(
        F.expr("sum(n - contents)").alias("duplicates"), F.expr("sum(contents - 1)").alias("conflicts")
    )


def _measure(measure: Measure) -> Column:
    if measure.fold == "count":
        column = F.count(F.lit(1))
    else:
        column = {"sum": F.sum, "min": F.min, "max": F.max}[measure.fold](measure.column)
    return column.cast("long").alias(measure.name)


@contextmanager
def _errors(snapshot: Snapshot) -> Iterator[None]:
    try:
        yield
    except (PySparkException, Py4JError, *session.JAVA_GONE) as error:
        if isinstance(error, session.JAVA_GONE) or session.broke_off(error):
            if session.exhausted_its_heap():
                raise ServiceUnavailable("Spark has too little memory on its heap (spark.driver.memory)") from None
            what = "Spark's Java has ended, perhaps for lack of memory"
            raise ServiceUnavailable(f"{what} ({sentence(error)}); run the same command again") from None
        reason = _reason(error)
        if _OUT_OF_MEMORY.search(reason):
            where = "on its heap (spark.driver.memory, spark.executor.memory) or off it (spark.memory.offHeap.size)"
            raise ServiceUnavailable(f"Spark has too little memory {where}: {reason}") from None
        named = [] if ".parquet" in reason else snapshot.unreadable()[:1]  # some of Parquet's errors name no file
        files = "".join(f" ({path})" for path in named)
        raise Unreadable(f"Spark cannot read the lake at version {snapshot.version}: {reason}{files}") from None


_OUT_OF_MEMORY: Final = re.compile(
    r"allocation failed|resources exhausted|unable to acquire|failed to acquire|failed to allocate|out ?of ?memory",
    re.IGNORECASE,
)
"""The texts of Spark, Comet (DataFusion's memory pool) and Java for exhausted memory."""


def _reason(error: Exception) -> str:
    """The innermost cause in one line; Spark wraps it in pages."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    return (causes or [line for line in lines if line] or [type(error).__name__])[-1 if causes else 0][:300]
