"""Shared by the batch layer's commands: Spark and a run's job, wired by the settings, and a progress bar."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from rich.console import Console
from rich.progress import Progress as Bar

from infra import s3
from infra.java import java

if TYPE_CHECKING:
    from batch_layer.engine import Engine, StartEngine
    from batch_layer.job import Job, Progress
    from batch_layer.lake.alert_landing import AlertLandingConfig
    from infra.mongo.client import Documents
    from infra.settings import Settings


@contextmanager
def engine(loaded: Settings) -> Iterator[Engine]:
    """Starts Spark for the first computation that is not small. Raises MissingPart if Java is needed and missing.

    With a cluster or spark-submit, Spark computes everything: a user who names one expects to see the work there.
    """
    from batch_layer.arrow_engine import small_first  # noqa: PLC0415 - pyarrow, which other commands never need

    here = loaded.spark_master.partition("[")[0] == "local" and "PYSPARK_GATEWAY_PORT" not in os.environ
    with small_first(lambda: spark(loaded)) if here else spark(loaded) as started:
        yield started


@contextmanager
def spark(loaded: Settings) -> Iterator[Engine]:
    """A started Spark. Raises MissingPart without Java."""
    from batch_layer.spark import aggregate, comet, session  # noqa: PLC0415 - pyspark, as above

    config = session.SparkConfig(
        loaded.spark_master,
        java=java(),
        scratch=loaded.home.resolve() / "spark",
        jars=loaded.spark_jars or s3.jars(loaded.lake_location),
        comet=comet.jar(loaded.comet),
        extra=tuple(s3.spark_settings(loaded.lake_location, os.environ).items()),
    )
    with aggregate.start(config) as started:
        yield started


def scratch(loaded: Settings) -> None:
    """Makes this process sort on disk below PEACEWATCH_HOME, unless TMPDIR is set: /tmp may be in memory."""
    if "TMPDIR" not in os.environ:
        folder = loaded.home.resolve() / "scratch"
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(folder)


def job(loaded: Settings, documents: Documents, start: StartEngine) -> Job:
    """What each run works with, including the register of drones. Raises BadSettings or BadInput if that is wrong."""
    from batch_layer.drone_register import load  # noqa: PLC0415
    from batch_layer.job import Job  # noqa: PLC0415 - as above

    register = load(loaded.drone_register) if loaded.drone_register else None
    return Job(documents, loaded.lake_location, start, register=register)


def alert_landing(loaded: Settings) -> AlertLandingConfig:
    """How a run lands alerts before it counts them."""
    from batch_layer.lake.alert_landing import AlertLandingConfig  # noqa: PLC0415 - deltalake, as above
    from cli.wiring.incidents import intervals  # noqa: PLC0415

    return AlertLandingConfig(loaded.kafka, loaded.lake_location, intervals(loaded))


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar on a terminal; elsewhere a line in the log."""
    if not sys.stderr.isatty():
        log = structlog.get_logger()
        yield lambda done, total: log.info("computed", what=what, done=done, total=total)
        return
    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
