"""Makes the archive of batch_layer.spark.class_archive: `python -m batch_layer.spark.make_class_archive`, by set-up.

A Spark in a process of its own answers each kind of question once, over two reports, and Java writes the classes that
it has loaded for them. Where that fails, Spark starts more slowly, and set-up continues.
"""

from __future__ import annotations

import os
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyspark
from deltalake import write_deltalake

from batch_layer.spark import aggregate, class_archive, comet, session
from batch_layer.views import day_views
from fleet.errors import PeacewatchError
from fleet.figures.cube import HOURS
from fleet.reports import landed
from infra import class_archive as archives
from infra import delta
from infra.java import java

DAY: Final = date(1970, 1, 1)


def make(program: Path, jar: str, folder: Path = class_archive.FOLDER) -> Path:
    """The archive for the Java `program` and Comet's `jar` in `folder` (infra.class_archive.make)."""
    key = class_archive.key(program, jar)
    return archives.make(folder, key, partial(_answer_everything, program, jar), partial(start, program, jar))


def start(program: Path, jar: str, archive: Path) -> list[str | Path]:
    """The command that starts from the archive or fails: through Spark's own script, which adds to the class path."""
    options = " ".join(f'"{option}"' for option in archives.options_to_require(archive))
    spark = Path(pyspark.__file__).parent
    submit: list[str | Path] = [
        spark / "bin" / "spark-submit",
        "--driver-class-path",
        jar,
        "--driver-java-options",
        options,
        "--version",
    ]
    return ["env", f"SPARK_HOME={spark}", f"JAVA_HOME={program.resolve().parent.parent}", *submit]


def _answer_everything(program: Path, jar: str, options: tuple[str, ...], scratch: Path) -> None:
    """Returns when Java has ended."""
    write_deltalake(str(scratch / "lake" / delta.TABLE), _two_reports(), partition_by=list(landed.PARTITION_BY))
    snapshot = delta.pin(str(scratch / "lake"))
    hours = list(snapshot.hours)
    config = session.SparkConfig(java=program, scratch=scratch / "spark", comet=jar, class_sharing=options)
    try:
        with aggregate.start(config) as engine:
            engine.cells(HOURS, snapshot, hours)
            engine.cells_of(day_views.VIEWS, snapshot, hours)
            engine.drone_days(snapshot, DAY)
            engine.repeats(snapshot, hours)
    finally:
        session.end_java()


def _two_reports() -> pa.Table:
    """One report twice, of the first hour of DAY: duplicates have a query of their own."""
    report: dict[str, Any] = {field.name: _value(field.type) for field in landed.SCHEMA}
    return pa.Table.from_pylist([report, report], schema=landed.SCHEMA)


def _value(kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        return "text"
    if pa.types.is_list(kind):
        return []
    return False if pa.types.is_boolean(kind) else 0


def main() -> None:
    for name in class_archive.OWN_SETTINGS:
        os.environ.pop(name, None)
    try:
        jar = comet.jar(comet.AUTO)
        print(make(java(), jar) if jar is not None else f"none is made without Comet: {comet.unsupported()}")
    except (PeacewatchError, OSError) as error:
        print(f"Java's classes for Spark are not shared, and Spark starts more slowly: {error}")


if __name__ == "__main__":
    main()
