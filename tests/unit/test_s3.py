"""Settings that Spark gets for a lake on S3, and keys that lie in files."""

from __future__ import annotations

import os
from pathlib import Path

import pyspark
import pytest

from batch_layer.spark import session
from fleet.errors import BadSettings, ServiceUnavailable
from infra import s3

OWN = {"AWS_ENDPOINT_URL": "http://store:9000", "AWS_REGION": "eu-north-1"}


def test_a_folder_needs_nothing() -> None:
    assert s3.jars("/srv/lake") is None
    assert s3.spark_settings("/srv/lake", OWN) == {}


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({}, {}),
        ({"AWS_DEFAULT_REGION": "eu-north-1"}, {"endpoint.region": "eu-north-1"}),
        (OWN, {"endpoint": "http://store:9000", "endpoint.region": "eu-north-1", "path.style.access": "true"}),
        (
            {**OWN, "AWS_ENDPOINT_URL_S3": "http://s3:1", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true"},
            {"endpoint": "http://s3:1", "endpoint.region": "eu-north-1"},
        ),
    ],
)
def test_spark_finds_the_store_that_the_environment_names(environ: dict[str, str], says: dict[str, str]) -> None:
    settings = s3.spark_settings("s3://bucket/lake", environ)
    always = {"spark.hadoop.fs.s3.impl", "spark.hadoop.fs.s3a.input.stream.type"}
    assert {name: value for name, value in settings.items() if name not in always} == {
        f"spark.hadoop.fs.s3a.{name}": value for name, value in says.items()
    }


def test_no_key_is_among_the_settings_of_spark() -> None:
    settings = s3.spark_settings(
        "s3://bucket/lake", {**OWN, "AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    )
    assert "hunter2" not in str(settings)


def test_the_jars_are_those_of_pysparks_hadoop() -> None:
    (hadoop,) = Path(pyspark.__file__).parent.glob("jars/hadoop-client-api-*.jar")
    version = hadoop.stem.removeprefix("hadoop-client-api-")
    assert s3.S3A.artifacts["org.apache.hadoop/hadoop-aws"] == version
    assert f"hadoop-aws-{version}.jar" in s3.S3A.hashes.read_text()
    assert s3.S3A.name == f"s3a-{version}"


def test_keys_may_lie_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    environ = {"AWS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "key"), "AWS_SECRET_ACCESS_KEY": "old"}
    s3.keys_from_files(environ)
    assert environ["AWS_SECRET_ACCESS_KEY"] == "hunter2"
    assert "AWS_ACCESS_KEY_ID" not in environ
    with pytest.raises(BadSettings, match=r"^AWS_ACCESS_KEY_ID_FILE: No such file or directory: "):
        s3.keys_from_files({"AWS_ACCESS_KEY_ID_FILE": str(tmp_path / "none")})
    (tmp_path / "key").write_bytes(b"hunter2\xff")
    with pytest.raises(BadSettings, match=r"^AWS_SECRET_ACCESS_KEY_FILE: not UTF-8 text: /\S+$"):
        s3.keys_from_files(environ)


@pytest.mark.parametrize(
    ("master", "parts", "folder"),
    [("local[3]", "3", "scratch"), ("spark://host:7077", None, None), ("yarn", None, None)],
)
def test_a_clusters_own_settings_say_how_large_it_is(master: str, parts: str | None, folder: str | None) -> None:
    config = session.SparkConfig(master, scratch=Path("scratch"), jars="a.jar,b.jar", comet="c.jar")
    options = session.builder(config, 0)._options
    assert options.get("spark.sql.shuffle.partitions") == parts
    assert options.get("spark.local.dir") == folder
    # A cluster's executors get the jars with the job; a local one has them on its Java's class path, Comet in front and
    # the others at the end (tests/unit/test_class_archive.py).
    sent, here = options.get("spark.jars"), options.get("spark.driver.extraClassPath")
    assert (sent, here) == ((None, "c.jar") if master == "local[3]" else ("a.jar,b.jar,c.jar", None))
    assert options["spark.master"] == master


def test_fresh_keys_are_those_of_the_files_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(file))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "old")
    s3.fresh_keys("/a/folder")  # needs no keys
    with pytest.raises(ServiceUnavailable, match=r"^AWS_SECRET_ACCESS_KEY_FILE: No such file or directory: "):
        s3.fresh_keys("s3://bucket/lake")
    for secret in ("first", "second"):
        file.write_text(secret)
        s3.fresh_keys("s3://bucket/lake")
        assert os.environ["AWS_SECRET_ACCESS_KEY"] == secret
