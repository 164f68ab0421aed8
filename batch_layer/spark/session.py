"""The one place that makes a Spark session, with every setting that was measured to matter (docs/measurements.md).

Settings of `spark-submit --conf` and `spark-defaults.conf` override those here for speed and size, such as memory, but
not those that make answers right.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyspark
import structlog
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark import SparkConf, SparkContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from batch_layer.spark import class_archive, comet
from fleet.reports import landed

_log = structlog.get_logger()

JAVA_GONE: Final = (Py4JNetworkError, OSError, EOFError)
"""What pyspark and py4j raise when their Java has ended."""


HEAP_EXHAUSTED: Final = 52
"""The exit code of a Java whose heap was exhausted: SparkExitCode.OOM in Spark's sources."""

_EXIT_SECONDS: Final = 10.0
"""Seconds from the end of Java's connection to Java's end: its hooks delete files in between."""


def broke_off(error: Exception) -> bool:
    """Whether a call to Java had no answer, because Java ended meanwhile: the plain Py4JError that names nothing else.

    What Java itself raises is a subclass; a call that Java does not know brings its trace.
    """
    return type(error) is Py4JError and "Trace:" not in str(error)


_LOGGING: Final = Path(__file__).with_name("log4j2.properties")
_FIRST_ROW: Final = {
    # The UI of a job of seconds is not needed; its server takes half a second of the start.
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    # Files are named one by one; below this many the driver looks them up itself, without a Spark job.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    # No Hive, no warehouse folder made in the working directory.
    "spark.sql.catalogImplementation": "in-memory",
}
_SPEED: Final = {
    "spark.serializer": "org.apache.spark.serializer.KryoSerializer",
    "spark.memory.offHeap.enabled": "true",
    "spark.memory.offHeap.size": "768m",
    # The rows are flat: decoded columns go straight into generated code, in fewer and larger batches.
    "spark.sql.parquet.columnarReaderBatchSize": "8192",
    "spark.sql.files.maxPartitionBytes": "256m",
    # Opening a small file costs no 4 MB of reading here (the default): one task takes many of a commit's files.
    "spark.sql.files.openCostInBytes": "262144",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # A task's larger answers are kept as blocks on their way: where the heap is short they go, and all one hears of it
    # is "TaskResultLost".
    "spark.task.maxDirectResultSize": "16m",
}
_RIGHT: Final = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, never a wrong sum
    "spark.sql.files.ignoreMissingFiles": "false",
    "spark.sql.files.ignoreCorruptFiles": "false",
}

QUICK_BYTES: Final = 512 * 1024 * 1024
"""A job that reads less ends sooner where Java compiles quickly instead of well (docs/measurements.md). With Comet
every job does: what is worth good code is native, and Java's compiler takes the cores from it.
"""

_CLASS_PATH_END: Final = "SPARK_DIST_CLASSPATH"
"""Where Spark looks for what comes last on the class path of a Java that it starts."""

QUICK_JAVA: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""The same options as in dags/common.py, for Airflow's tasks."""


@dataclass(frozen=True)
class SparkConfig:
    """`master` as Spark names it; `java` is the java to run; `memory` is the driver's heap, in Java's words.

    `jars`, comma-separated: what drivers and workers need in addition to Spark's own. `comet`: the path of Comet's jar
    (batch_layer.spark.comet.jar); None: plain Spark computes. `extra`: further settings of Spark. `class_sharing`:
    Java's options for it; None: those of the archive that fits.
    """

    master: str = "local[2]"
    java: Path | None = None
    memory: str = "1g"
    scratch: Path | None = None
    jars: str | None = None
    comet: str | None = None
    extra: tuple[tuple[str, str], ...] = ()
    class_sharing: tuple[str, ...] | None = None


def builder(config: SparkConfig, bytes_to_read: int) -> SparkSession.Builder:
    """A builder with all settings; `getOrCreate` on it starts Java, or joins what spark-submit started."""
    settings = {**_FIRST_ROW, **_SPEED}
    native = comet.SETTINGS if config.comet else {}
    if config.comet:
        settings |= comet.MEMORY
    quick = config.comet is not None or bytes_to_read < QUICK_BYTES
    options = [f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}", *(QUICK_JAVA if quick else ())]
    if is_local(config.master):  # a cluster's own settings know its size and disks; small parts Spark joins itself
        settings["spark.sql.shuffle.partitions"] = str(cores(config.master))
        # One Java, which finds the jars where they are (`jars`: see _at_the_end_of_the_class_path); with `spark.jars`
        # its executor would get files of its own.
        if config.comet:
            native = native | {"spark.driver.extraClassPath": config.comet}
        if config.scratch is not None:
            settings["spark.local.dir"] = str(config.scratch)
        options.extend(_class_sharing(config))
    elif jars := [jar for jar in (config.jars, config.comet) if jar]:
        native = native | {"spark.jars": ",".join(jars)}
    if config.comet and (library := comet.library(config.comet)):
        options.append(f"-Djava.library.path={library}")
    made = SparkSession.builder.appName("peacewatch")
    if not _submitted():
        settings["spark.driver.memory"] = config.memory
        made = made.master(config.master)
        made = made.config("spark.driver.extraJavaOptions", " ".join(f'"{option}"' for option in options))
    wins = set_by_the_user()
    settings = {name: value for name, value in settings.items() if name not in wins}
    for name, value in {**settings, **native, **_RIGHT, **dict(config.extra)}.items():
        made = made.config(name, value)
    return made


def set_by_the_user() -> frozenset[str]:
    """Names of the settings that spark-submit was given, or that `spark-defaults.conf` has."""
    if _submitted():
        _submitted_java()
        return frozenset(name for name, _ in SparkConf().getAll())
    folder = os.environ.get("SPARK_CONF_DIR") or Path(pyspark.__file__).parent / "conf"
    with suppress(FileNotFoundError, NotADirectoryError):
        text = Path(folder, "spark-defaults.conf").read_text(encoding="utf-8", errors="replace")
        return frozenset(re.findall(r"^[ \t]*(spark\.[^\s=:]+)", text, re.MULTILINE))
    return frozenset()


@contextmanager
def session(config: SparkConfig, bytes_to_read: int) -> Iterator[SparkSession]:
    """A running session, for a job that reads so much; it is stopped at the end."""
    if is_local(
        config.master
    ):  # a laptop's own name often does not resolve; on a cluster, workers must find the driver
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    if config.java is not None:
        os.environ["JAVA_HOME"] = str(config.java.resolve().parent.parent)
    if config.comet:
        os.environ.update(comet.ENVIRONMENT)
        if _submitted() and not comet.is_on_class_path(_submitted_java()):
            config = replace(config, comet=None)
            _log.warning("plain Spark computes", reason="spark-submit was given no jar of Comet (--jars)")
    with _at_the_end_of_the_class_path(config):
        spark = builder(config, bytes_to_read).getOrCreate()
    try:
        yield spark
    finally:
        with suppress(*JAVA_GONE):
            spark.stop()


def exhausted_its_heap() -> bool:
    """Whether the Java that this process started has ended because its heap was exhausted."""
    process: Any = getattr(SparkContext._gateway, "proc", None)  # none where spark-submit started this process
    with suppress(subprocess.TimeoutExpired):
        return process is not None and process.wait(_EXIT_SECONDS) == HEAP_EXHAUSTED
    return False


def end_java() -> None:
    """Ends the Java of this process: its class path and options are those of the first session until then."""
    gateway: Any = SparkContext._gateway
    if gateway is not None:
        with suppress(*JAVA_GONE):
            gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()
        # State that a context could not clear because its Java had died.
        SparkContext._gateway = SparkContext._jvm = SparkContext._active_spark_context = None
        SparkSession._instantiatedSession = None


def read(spark: SparkSession, files: Sequence[str], columns: Iterable[str]) -> DataFrame:
    """Exactly these Parquet `files` of the lake, with these columns of fleet.reports.landed.SCHEMA."""
    wanted = pa.schema([landed.SCHEMA.field(name) for name in columns])
    # The schema is known, and the names are not patterns: Spark neither opens a file to guess nor expands "[".
    reader: Any = spark.read.schema(from_arrow_schema(wanted)).option("__globPaths__", "false")
    frame: DataFrame = reader.parquet(*files)
    return frame


@contextmanager
def setting(spark: SparkSession, name: str, value: str) -> Iterator[None]:
    """Another value of a setting of Spark's SQL for the queries within."""
    before: str = spark.conf.get(name) or ""
    spark.conf.set(name, value)
    try:
        yield
    finally:
        with suppress(*JAVA_GONE):
            spark.conf.set(name, before)


def is_local(master: str) -> bool:
    """Whether all of Spark runs in this process's own Java."""
    return master.partition("[")[0] == "local"


def cores(master: str) -> int:
    """How many tasks a local master runs at once: shuffles have as many parts. `local[*]`: this machine's cores."""
    inside = master.partition("[")[2].rstrip("]").partition(",")[0]
    return int(inside) if inside.isdigit() else os.cpu_count() or 2


def _class_sharing(config: SparkConfig) -> tuple[str, ...]:
    if config.class_sharing is not None or config.java is None:
        return config.class_sharing or ()
    return class_archive.options(config.java, config.comet)


@contextmanager
def _at_the_end_of_the_class_path(config: SparkConfig) -> Iterator[None]:
    """A local Java that starts within has `config.jars` after all other jars: an archive covers only those before."""
    before = os.environ.get(_CLASS_PATH_END)
    jars = [*filter(None, [before]), *filter(None, (config.jars or "").split(","))]
    if not jars or not is_local(config.master):
        yield
        return
    os.environ[_CLASS_PATH_END] = ":".join(jars)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CLASS_PATH_END]
        else:
            os.environ[_CLASS_PATH_END] = before


def _submitted_java() -> Any:
    SparkContext._ensure_initialized()
    return SparkContext._jvm


def _submitted() -> bool:
    """Whether spark-submit started this process; then it decides on master and memory."""
    return "PYSPARK_GATEWAY_PORT" in os.environ
