"""Settings of Spark: whose win."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_layer.spark import session

DEFAULTS = """\
# spark.memory.offHeap.size 9g
spark.memory.offHeap.size      4g
  spark.driver.memory=3g
spark.sql.session.timeZone: Asia/Tokyo
spark.plugins   none
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    (tmp_path / "spark-defaults.conf").write_text(DEFAULTS)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    return session.builder(session.SparkConfig(comet="/comet.jar"), 0)._options


@pytest.mark.parametrize("name", ["spark.memory.offHeap.size", "spark.driver.memory"])
def test_memory_is_the_users(name: str, options: dict[str, str]) -> None:
    assert name not in options  # Spark takes it from the user's file


@pytest.mark.parametrize(
    ("name", "value"),
    [("spark.sql.session.timeZone", "UTC"), ("spark.plugins", "org.apache.spark.CometPlugin")],
)
def test_settings_for_right_and_native_answers_cannot_be_replaced(
    name: str, value: str, options: dict[str, str]
) -> None:
    assert options[name] == value


@pytest.mark.parametrize("folder", ["", "none", "spark-defaults.conf"])
def test_without_such_a_file_all_are_ours(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spark-defaults.conf").touch()
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path / folder) if folder else "")
    options = session.builder(session.SparkConfig(comet="/comet.jar"), 0)._options
    assert options["spark.memory.offHeap.size"] == "1g"
    assert options["spark.driver.memory"] == "1g"


@pytest.mark.parametrize(
    ("comet", "bytes_to_read", "quick"),
    [
        (None, session.QUICK_BYTES - 1, True),
        (None, session.QUICK_BYTES, False),
        ("/comet.jar", session.QUICK_BYTES, True),
    ],
)
def test_java_compiles_quickly_where_its_own_code_does_little(
    comet: str | None, bytes_to_read: int, quick: bool
) -> None:
    options = session.builder(session.SparkConfig(comet=comet), bytes_to_read)._options
    assert ("-XX:TieredStopAtLevel=1" in options["spark.driver.extraJavaOptions"]) == quick
