"""Class data sharing for Spark's Java on one machine: which archive (infra.class_archive) a driver starts from.

`batch_layer.spark.make_class_archive` makes it. Its class path is Comet's jar, then Spark's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pyspark

from infra import class_archive
from infra.jars import SHARE

FOLDER: Final = SHARE / "spark-classes"

OWN_SETTINGS: Final = ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR")
"""Folders of settings that Spark puts in the middle of its class path. Java takes no folder into an archive."""


def options(java: Path, comet: str | None, folder: Path = FOLDER) -> tuple[str, ...]:
    """Options of a local driver's Java; none if no archive fits."""
    if comet is None or any(os.environ.get(name) for name in OWN_SETTINGS):
        return ()
    return class_archive.options(find(java, comet, folder))


def find(java: Path, comet: str, folder: Path = FOLDER) -> Path | None:
    """The archive for this Java and this class path."""
    return class_archive.find(folder, key(java, comet))


def key(java: Path, comet: str) -> str:
    """What an archive is for."""
    return class_archive.key(java, [Path(comet), *class_archive.jars_in(Path(pyspark.__file__).parent / "jars")])
