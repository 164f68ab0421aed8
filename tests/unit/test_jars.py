"""Jars are exactly those of the list, or there is one clear sentence."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest

from fleet.errors import MissingPart
from infra import java
from infra.jars import Jars


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return path


@pytest.fixture
def java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    return tmp_path / "jdk"


FETCHES = """
[ "$1" = -version ] && { echo 'openjdk version "17.0.15"' >&2; exit; }
for last; do
  case $last in */\\[artifact\\]*) mkdir -p "${last%/*}" && printf bytes >"${last%/*}/kafka.jar" ;; esac
done
"""


def jars(hashes: Path) -> Jars:
    return Jars("Kafka", "kafka-1", {"org.apache.kafka/kafka": "1"}, hashes, without=("org.log", "org.big/bundle"))


def test_fetched_jars_are_checked_against_their_hashes(java_home: Path, tmp_path: Path) -> None:
    program(java_home / "bin" / "java", FETCHES)
    wanted, share = jars(tmp_path / "hashes"), tmp_path / "share"

    wanted.hashes.write_text(f"{hashlib.sha256(b'other').hexdigest()}  kafka.jar\n")
    with pytest.raises(MissingPart, match=r"^these jars of Kafka are not the ones of hashes: kafka.jar$"):
        wanted.fetch(share)
    assert list(share.glob("[!.]*")) == []

    wanted.hashes.write_text(f"{hashlib.sha256(b'bytes').hexdigest()}  kafka.jar\n")
    folder = wanted.fetch(share)
    assert [jar.name for jar in folder.iterdir()] == ["kafka.jar"]

    (java_home / "bin" / "java").unlink()  # they are there, so nothing is fetched, nor written: in an image nothing can
    (share / ".lock").unlink()
    (share / ".lock").mkdir()
    assert wanted.fetch(share) == folder


def test_a_folder_that_nobody_can_write_to_is_one_sentence(java_home: Path, tmp_path: Path) -> None:
    """As an image's, whose root is read-only."""
    (tmp_path / "file").write_text("")
    share = tmp_path / "file" / "share"
    said = f"the jars of Kafka cannot be kept in {share / 'kafka-1'}: Not a directory"
    with pytest.raises(MissingPart, match=f"^{re.escape(said)}$"):
        jars(tmp_path / "hashes").fetch(share)


def test_ivy_gets_what_to_fetch_and_what_not(java_home: Path, tmp_path: Path) -> None:
    program(java_home / "bin" / "java", f'{FETCHES}\ncat "$7" >{tmp_path}/asked')
    wanted = jars(tmp_path / "hashes")
    wanted.hashes.write_text(f"{hashlib.sha256(b'bytes').hexdigest()}  kafka.jar\n")
    wanted.fetch(tmp_path / "share")
    asked = ElementTree.parse(tmp_path / "asked").getroot()
    assert [each.attrib for each in asked.iter("dependency")] == [
        {"org": "org.apache.kafka", "name": "kafka", "rev": "1", "conf": "default->default"}
    ]
    excluded = [(each.attrib["org"], each.attrib["module"]) for each in asked.iter("exclude")]
    assert excluded == [("org.log", "*"), ("org.big", "bundle")]


def test_the_error_says_why_they_cannot_be_had(java_home: Path, tmp_path: Path) -> None:
    program(
        java_home / "bin" / "java",
        """[ "$1" = -version ] && { echo 'version "21"' >&2; exit; }; echo "....."; echo "host is down"; false""",
    )
    with pytest.raises(MissingPart, match=r"^the jars of Kafka cannot be fetched: host is down$"):
        jars(tmp_path / "hashes").fetch(tmp_path / "share")
    assert list((tmp_path / "share").glob("[!.]*")) == []


@pytest.mark.parametrize(
    ("says", "good"),
    [
        ('openjdk version "17.0.15" 2025-04-15', True),
        ('openjdk version "25" 2025-09-16', True),
        ('java version "1.8.0_292"', False),
        ('openjdk version "11.0.2" 2019-01-15', False),
        ("who knows", False),
    ],
)
def test_java_must_be_new_enough(java_home: Path, says: str, good: bool) -> None:
    found = program(java_home / "bin" / "java", f"echo '{says}' >&2")
    if good:
        assert java.java() == found
    else:
        with pytest.raises(MissingPart, match=r"is not Java 17 or newer; install .* \(Debian: apt-get install"):
            java.java()


def test_without_java_it_says_what_to_install(java_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingPart, match=r"^JAVA_HOME is .*/jdk, and has no bin/java; install Java 17"):
        java.java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(java_home))
    with pytest.raises(MissingPart, match=r"^there is no java on the PATH; install Java 17"):
        java.java()
