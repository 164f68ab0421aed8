"""Which archive of Java's classes a Spark on one machine starts with, and when with none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from batch_layer.spark import class_archive, session


@pytest.fixture(autouse=True)
def no_settings_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in class_archive.OWN_SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A Java, as far as its files go."""
    for name in ("bin/java", "lib/server/libjvm.so"):
        file = tmp_path / "jdk" / name
        file.parent.mkdir(parents=True)
        file.touch()
    return tmp_path / "jdk" / "bin" / "java"


@pytest.fixture
def jar(tmp_path: Path) -> str:
    (tmp_path / "comet.jar").touch()
    return str(tmp_path / "comet.jar")


@pytest.fixture
def archive(program: Path, jar: str, tmp_path: Path) -> Path:
    content = b"classes"
    found = tmp_path / f"{class_archive.key(program, jar)}-{len(content)}.jsa"
    found.write_bytes(content)
    return found


def test_the_archive_of_this_java_and_this_class_path_is_taken(
    program: Path, jar: str, archive: Path, tmp_path: Path
) -> None:
    taken = class_archive.options(program, jar, tmp_path)
    assert taken == (f"-XX:SharedArchiveFile={archive}", "-Xshare:auto", "-Xlog:cds*=off")


@pytest.mark.parametrize("content", [b"", b"class", b"classes and more"])
def test_one_that_was_cut_is_not_taken(content: bytes, program: Path, jar: str, archive: Path, tmp_path: Path) -> None:
    """Java 17 crashes over it."""
    archive.write_bytes(content)
    assert class_archive.options(program, jar, tmp_path) == ()


@pytest.mark.parametrize("changed", ["jdk/lib/server/libjvm.so", "comet.jar"])
def test_another_java_or_another_jar_starts_without_it(
    changed: str, program: Path, jar: str, archive: Path, tmp_path: Path
) -> None:
    (tmp_path / changed).write_text("of another build")
    assert class_archive.options(program, jar, tmp_path) == ()
    assert class_archive.options(program, str(tmp_path / "elsewhere.jar"), tmp_path) == ()


@pytest.mark.parametrize("name", class_archive.OWN_SETTINGS)
def test_a_folder_of_settings_on_the_class_path_starts_without_it(
    name: str, program: Path, jar: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, str(tmp_path))
    assert class_archive.options(program, jar, tmp_path) == ()


def test_plain_spark_and_a_machine_without_an_archive_start_without_one(
    program: Path, jar: str, archive: Path, tmp_path: Path
) -> None:
    assert class_archive.options(program, None, tmp_path) == ()
    assert class_archive.options(program, jar, tmp_path / "none") == ()


@pytest.mark.parametrize(("master", "shared"), [("local[2]", True), ("spark://host:7077", False), ("yarn", False)])
def test_a_clusters_driver_and_executors_are_left_as_they_are(master: str, shared: bool) -> None:
    options = session.builder(session.SparkConfig(master, class_sharing=("-XX:SharedArchiveFile=a.jsa",)), 0)._options
    assert ("a.jsa" in options["spark.driver.extraJavaOptions"]) == shared
    assert "spark.executor.extraJavaOptions" not in options


def test_a_folder_with_a_space_is_one_option() -> None:
    config = session.SparkConfig(class_sharing=("-XX:SharedArchiveFile=/a folder/a.jsa",))
    assert (
        '"-XX:SharedArchiveFile=/a folder/a.jsa"'
        in session.builder(config, 0)._options["spark.driver.extraJavaOptions"]
    )


@pytest.mark.parametrize(
    ("master", "jars", "before", "within"),
    [
        ("local[2]", "a.jar,b.jar", None, "a.jar:b.jar"),
        ("local[2]", "a.jar", "/hadoop/*", "/hadoop/*:a.jar"),
        ("local[2]", None, None, None),
        ("spark://host:7077", "a.jar", None, None),
    ],
)
def test_other_jars_come_last_on_a_local_class_path(
    master: str, jars: str | None, before: str | None, within: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In front of Spark's own they would be of another class path than the archive."""
    monkeypatch.delenv("SPARK_DIST_CLASSPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("SPARK_DIST_CLASSPATH", before)
    with session._at_the_end_of_the_class_path(session.SparkConfig(master, jars=jars)):
        assert os.environ.get("SPARK_DIST_CLASSPATH") == within
    assert os.environ.get("SPARK_DIST_CLASSPATH") == before
