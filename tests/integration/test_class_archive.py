"""An archive of Java's classes is used by a start of Kafka and of Spark, and one of no use is passed over in silence.

The archive of a small class path stands for both where the program does not matter.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark import SparkContext

from batch_layer.spark import aggregate, comet, make_class_archive, session
from batch_layer.spark import class_archive as spark_archive
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import class_archive, delta
from infra.java import java
from laptop import ports
from laptop.services import kafka, make_kafka_archive
from laptop.services.kafka_jars import KAFKA
from tests.support import lakes

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def jars() -> list[Path]:
    spark = Path(pyspark.__file__).parent / "jars"
    return [*spark.glob("ivy-*.jar"), *KAFKA.fetch().glob("slf4j-api-*.jar")]


def version(jars: list[Path], *options: str) -> list[str]:
    """A command: a small program of Java that says its version, with these jars on its class path."""
    return [str(java()), *options, "-cp", ":".join(map(str, jars)), "org.apache.ivy.Main", "-version"]


def make(folder: Path, jars: list[Path]) -> Path:
    def load(options: tuple[str, ...], scratch: Path) -> None:
        assert scratch.is_dir()
        subprocess.run(version(jars, *options), capture_output=True, check=True)

    def start(archive: Path) -> list[str]:
        return version(jars, *class_archive.options_to_require(archive))

    return class_archive.make(folder, class_archive.key(java(), jars), load, start)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, jars: list[Path]) -> Path:
    """With an archive that was made by two at once, and none that was there before."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "old.jsa").touch()
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: make(folder, jars), range(2)))
    assert made == [class_archive.find(folder, class_archive.key(java(), jars))] * 2
    return folder


def whole(folder: Path, jars: list[Path]) -> Path:
    archive = class_archive.find(folder, class_archive.key(java(), jars))
    assert archive is not None
    return archive


def test_only_the_archive_is_left(folder: Path, jars: list[Path]) -> None:
    assert list(folder.glob("*.jsa")) == [whole(folder, jars)]
    assert [file.name for file in folder.iterdir() if file.suffix != ".jsa"] == [".lock"]


@pytest.mark.parametrize("wrong", ["missing", "empty", "no archive", "of another class path"])
def test_an_archive_of_no_use_is_passed_over_in_silence(
    wrong: str, folder: Path, jars: list[Path], tmp_path: Path
) -> None:
    archive, class_path = tmp_path / "a.jsa", jars
    if wrong == "of another class path":
        class_path = list(reversed(jars))
        assert class_path != jars
    if wrong != "missing":
        content = {"empty": b"", "no archive": b"classes"}.get(wrong, whole(folder, jars).read_bytes())
        archive.write_bytes(content)
    auto, required = (
        subprocess.run(version(class_path, *options), capture_output=True, text=True, check=False)
        for options in (class_archive.options(archive), class_archive.options_to_require(archive))
    )
    assert auto.returncode == 0
    assert auto.stdout.startswith("Apache Ivy")
    assert auto.stdout.count("\n") == 1
    assert auto.stderr == ""
    assert required.returncode != 0


def test_the_whole_one_is_of_use(folder: Path, jars: list[Path]) -> None:
    archive = whole(folder, jars)
    class_archive.require_whole(archive, version(jars, *class_archive.options_to_require(archive)))


@pytest.mark.parametrize("length", [None, 0.5])
def test_one_that_cannot_be_written_is_an_error(
    length: float | None, folder: Path, jars: list[Path], tmp_path: Path
) -> None:
    """As on a full disk: Java says nothing, and goes on."""
    archive = tmp_path / "cut.jsa"
    if length is not None:
        content = whole(folder, jars).read_bytes()
        archive.write_bytes(content[: int(len(content) * length)])
    with pytest.raises(ServiceUnavailable, match=r"^Java cannot start from the archive of classes: [^\n]+$"):
        class_archive.require_whole(archive, version(jars, *class_archive.options_to_require(archive)))


def test_failed_archive_leaves_nothing_behind(jars: list[Path], tmp_path: Path) -> None:
    """A program that writes no archive."""
    with pytest.raises(ServiceUnavailable):
        class_archive.make(
            tmp_path,
            "key",
            lambda options, scratch: None,
            lambda archive: version(jars, *class_archive.options_to_require(archive)),
        )
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def mapped(pid: int) -> str:
    return Path("/proc", str(pid), "maps").read_text()


def test_kafka_starts_from_the_archive_of_set_up(tmp_path: Path) -> None:
    jars = KAFKA.fetch()
    archive = make_kafka_archive.make(java(), jars)
    assert archive == class_archive.find(kafka.ARCHIVES, kafka.archive_key(java(), jars))
    broker = kafka.start(tmp_path, ports.free_port())
    try:
        assert str(archive) in mapped(broker.pid)
    finally:
        broker.kill()
    log = (tmp_path / "log" / "kafka.log").read_text()
    assert "cds" not in log
    assert "archive" not in log


def test_kafka_starts_without_an_archive(tmp_path: Path) -> None:
    broker = kafka.start(tmp_path, ports.free_port(), class_sharing=())
    try:
        assert str(kafka.ARCHIVES) not in mapped(broker.pid)
    finally:
        broker.kill()


@pytest.fixture
def comet_jar() -> str:
    jar = comet.jar(comet.AUTO)
    assert jar is not None
    return jar


@pytest.fixture
def own_java(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One process has one Java, and its options are those of its first start."""
    for name in spark_archive.OWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)
    session.end_java()
    yield
    session.end_java()


@pytest.mark.slow
@pytest.mark.usefixtures("own_java")
def test_spark_with_jars_of_a_store_starts_from_the_archive_of_set_up(comet_jar: str, tmp_path: Path) -> None:
    archive = make_class_archive.make(java(), comet_jar)
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(20, hours=1))
    pinned = delta.pin(str(tmp_path))
    (tmp_path / "more.jar").touch()
    config = session.SparkConfig(
        java=java(), scratch=tmp_path / "spark", jars=str(tmp_path / "more.jar"), comet=comet_jar
    )
    with aggregate.start(config) as engine:
        assert engine.cells(HOURS, pinned, list(pinned.hours)).equals(HOURS.fold(lakes.everything(tmp_path)))
        gateway: Any = SparkContext._gateway
        assert str(archive) in mapped(gateway.proc.pid)


def test_spark_takes_an_archive_for_whole_only_when_it_starts_from_it(comet_jar: str, tmp_path: Path) -> None:
    archive = make_class_archive.make(java(), comet_jar)
    class_archive.require_whole(archive, make_class_archive.start(java(), comet_jar, archive))
    missing = tmp_path / "none.jsa"
    with pytest.raises(ServiceUnavailable):
        class_archive.require_whole(missing, make_class_archive.start(java(), comet_jar, missing))


def test_a_spark_with_no_jars_of_a_store_has_the_same_options(comet_jar: str) -> None:
    archive = make_class_archive.make(java(), comet_jar)
    assert os.fspath(archive) in " ".join(spark_archive.options(java(), comet_jar))
