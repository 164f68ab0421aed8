"""An archive of Java's classes is used by a start of Spark, and one that is of no use is passed over without a word.

By itself: one process has one Java.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyspark
import pytest
from pyspark import SparkContext

from batch_layer.spark import aggregate, class_archive, comet, make_class_archive, session
from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from infra import delta
from infra.java import java
from tests.support import lakes

pytestmark = pytest.mark.timeout(900)

SPARK_JARS = Path(pyspark.__file__).parent / "jars" / "*"


@pytest.fixture(scope="module")
def jar() -> str:
    found = comet.jar(comet.AUTO)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, jar: str) -> Iterator[Path]:
    """With an archive that was made by two at once, and none that was there before."""
    found = tmp_path_factory.mktemp("classes")
    (found / "old.jsa").touch()
    session.end_java()
    command = [sys.executable, "-c", MAKE, str(found)]
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: subprocess.run(command, capture_output=True, text=True, check=True), range(2)))
    assert [process.stdout.splitlines()[-1] for process in made] == [str(class_archive.find(java(), jar, found))] * 2
    yield found
    session.end_java()


MAKE = """
import sys
from pathlib import Path
from batch_layer.spark import comet, make_class_archive
from infra.java import java
print(make_class_archive.make(java(), comet.jar(comet.AUTO), Path(sys.argv[1])))
"""


def test_only_the_archive_is_left(folder: Path, jar: str) -> None:
    assert list(folder.glob("*.jsa")) == [class_archive.find(java(), jar, folder)]
    assert [file.name for file in folder.iterdir() if file.suffix != ".jsa"] == [".lock"]


@pytest.mark.parametrize("jars", [None, "more.jar"])
def test_a_start_maps_it_and_answers_the_same(folder: Path, jar: str, jars: str | None, tmp_path: Path) -> None:
    """With jars of a store, too."""
    lakes.make(tmp_path)
    lakes.land(tmp_path, lakes.some_rows(20, hours=1))
    pinned = delta.pin(str(tmp_path))
    options = class_archive.options(java(), jar, folder)
    if jars is not None:
        (tmp_path / jars).touch()
        jars = str(tmp_path / jars)
    config = session.SparkConfig(java=java(), scratch=tmp_path / "spark", jars=jars, comet=jar, class_sharing=options)
    session.end_java()
    with aggregate.start(config) as engine:
        assert engine.cells(HOURS, pinned, list(pinned.hours)).equals(HOURS.fold(lakes.everything(tmp_path)))
        gateway: Any = SparkContext._gateway
        mapped = Path("/proc", str(gateway.proc.pid), "maps").read_text()
        assert str(class_archive.find(java(), jar, folder)) in mapped


@pytest.mark.parametrize("wrong", ["missing", "empty", "no archive", "of another class path"])
def test_one_that_is_of_no_use_is_passed_over_without_a_word(
    wrong: str, folder: Path, jar: str, tmp_path: Path
) -> None:
    archive, class_path = tmp_path / "a.jsa", f"{jar}:{SPARK_JARS}"
    whole = archive_of(folder, jar).read_bytes()
    if wrong == "of another class path":
        class_path = str(SPARK_JARS)
    if wrong != "missing":
        archive.write_bytes({"empty": b"", "no archive": b"classes"}.get(wrong, whole))
    said = [
        start(f"-XX:SharedArchiveFile={archive}", sharing, class_path) for sharing in ("-Xshare:auto", "-Xshare:on")
    ]
    assert said[0].returncode == 0
    assert said[0].stdout == ""
    assert said[0].stderr.startswith("openjdk version")
    assert said[1].returncode != 0  # that it is of no use


def test_the_whole_one_is_of_use(folder: Path, jar: str) -> None:
    make_class_archive.require_whole(java(), jar, archive_of(folder, jar))


def archive_of(folder: Path, jar: str) -> Path:
    found = class_archive.find(java(), jar, folder)
    assert found is not None
    return found


def test_one_that_cannot_be_written_is_an_error_and_none_is_left(folder: Path, jar: str, tmp_path: Path) -> None:
    """As on a full disk: Java says nothing, and goes on."""
    with pytest.raises(ServiceUnavailable, match=r"^Java cannot start from the archive of classes: [^\n]+$"):
        make_class_archive.require_whole(java(), jar, tmp_path / "none.jsa")
    cut = tmp_path / "cut.jsa"
    whole = archive_of(folder, jar).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ServiceUnavailable):
        make_class_archive.require_whole(java(), jar, cut)


def start(*options: str) -> subprocess.CompletedProcess[str]:
    *flags, class_path = options
    command = [str(java()), *flags, "-Xlog:cds*=off", "-cp", class_path, "-version"]
    return subprocess.run(command, capture_output=True, text=True, check=False)
