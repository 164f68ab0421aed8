"""Class data sharing for Spark's Java on one machine: classes that set-up has loaded once are mapped at each start.

`batch_layer.spark.make_class_archive` makes the archive. It belongs to one build of Java and one class path: its name
holds a hash of both, and Java checks them again. Without an archive that fits, a start takes longer, and nothing else
changes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import pyspark

from infra.jars import SHARE

FOLDER: Final = SHARE / "spark-classes"

OWN_SETTINGS: Final = ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR")
"""Folders of settings that Spark puts in the middle of its class path. Java takes no folder into an archive."""

_QUIET: Final = "-Xlog:cds*=off"
"""Java would say on stdout that an archive does not fit."""


def options(java: Path, comet: str | None, folder: Path = FOLDER) -> tuple[str, ...]:
    """Options of a local driver's Java; none where no archive fits, because Java without any maps its own classes."""
    if comet is None or any(os.environ.get(name) for name in OWN_SETTINGS):
        return ()
    archive = find(java, comet, folder)
    return (f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", _QUIET) if archive is not None else ()


def find(java: Path, comet: str, folder: Path = FOLDER) -> Path | None:
    """The archive for this Java and this class path (Comet's jar, Spark's). Java crashes over one that was cut."""
    whole = [file for file in folder.glob(f"{key(java, comet)}-*.jsa") if file == name(file, key(java, comet))]
    return whole[0] if whole else None


def options_to_make(archive: Path) -> tuple[str, ...]:
    """Options of a Java that writes the archive when it ends."""
    return f"-XX:ArchiveClassesAtExit={archive}", _QUIET


def key(java: Path, comet: str) -> str:
    """What an archive is for."""
    home = java.resolve().parent.parent
    files = [home / "lib" / "server" / "libjvm.so", Path(comet), *_spark_jars()]
    facts = [(str(file), *_size_and_time(file)) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def name(archive: Path, key: str) -> Path:
    """How a whole archive is called: `<key>-<its size>.jsa`, in its folder."""
    return archive.with_name(f"{key}-{archive.stat().st_size}.jsa")


def _spark_jars() -> list[Path]:
    """In the order of the folder: Java expands `jars/*` so, and an archive holds for one order."""
    with os.scandir(Path(pyspark.__file__).parent / "jars") as entries:
        return [Path(entry.path) for entry in entries if entry.name.endswith(".jar")]


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
