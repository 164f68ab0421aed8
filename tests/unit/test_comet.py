"""Where Comet's jar is, and when plain Spark computes."""

from __future__ import annotations

from pathlib import Path

import pyspark
import pytest

from batch_layer.spark import comet, session
from fleet.errors import MissingPart


def test_the_locked_jar_is_for_the_locked_spark() -> None:
    (line,) = comet.COMET.hashes.read_text().splitlines()
    assert line.endswith(f"  comet-spark-spark{comet.SPARK}_2.13-{comet.VERSION}.jar")
    assert pyspark.__version__.startswith(f"{comet.SPARK}.")


def test_off_is_plain_spark() -> None:
    assert comet.jar(comet.OFF) is None
    options = session.builder(session.SparkConfig(comet=None), 0)._options
    assert not comet.SETTINGS.keys() & options.keys()


@pytest.mark.parametrize("place", ["local:/opt/comet.jar", "s3a://bucket/comet.jar", "https://host/comet.jar"])
def test_a_place_that_spark_knows_is_taken_as_it_is(place: str) -> None:
    assert comet.jar(place) == place
    assert comet.library(place) is None


def test_a_jar_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        MissingPart, match=r"^PEACEWATCH_COMET: there is no jar /\S+/no.jar; off computes with plain Spark$"
    ):
        comet.jar(str(tmp_path / "no.jar"))
    (tmp_path / "own.jar").touch()
    assert comet.jar(str(tmp_path / "own.jar")) == str(tmp_path / "own.jar")


@pytest.mark.parametrize(
    ("version", "system", "machine", "flags", "why"),
    [
        ("4.1.4", "Linux", "x86_64", "fpu avx2 bmi", None),
        ("4.1.4", "Linux", "aarch64", "", None),
        ("4.2.0", "Linux", "x86_64", "avx2", "Comet 1.2.0 is for Spark 4.1, and this is 4.2.0"),
        ("4.10.0", "Linux", "x86_64", "avx2", "Comet 1.2.0 is for Spark 4.1, and this is 4.10.0"),
        ("4.1.4", "Darwin", "aarch64", "", "Comet is for Linux on x86_64 and aarch64"),
        ("4.1.4", "Linux", "riscv64", "", "Comet is for Linux on x86_64 and aarch64"),
        ("4.1.4", "Linux", "x86_64", "fpu avx", "this processor has no AVX2, which Comet needs"),
    ],
)
def test_where_it_cannot_run_plain_spark_computes(
    version: str, system: str, machine: str, flags: str, why: str | None, tmp_path: Path
) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert comet.unsupported(comet.Machine(version, system, machine, cpuinfo)) == why
