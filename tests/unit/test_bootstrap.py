"""Set-up says in one sentence what a machine lacks, before it changes anything."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that come first on the PATH; its user is not root."""
    add(tmp_path, "id", "echo 1000")
    add(tmp_path, "java", """echo 'openjdk version "17.0.15" 2025-04-15' >&2""")
    return tmp_path


def add(machine: Path, name: str, script: str) -> None:
    path = machine / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def bootstrap(machine: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PATH": f"{machine}:{os.environ['PATH']}"}
    environ.pop("JAVA_HOME", None)
    command = [str(ROOT / "script" / "bootstrap"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


@pytest.mark.parametrize("says", ['openjdk version "11.0.2"', 'java version "1.8.0_292"', ""], ids=["11", "8", "none"])
def test_an_old_java(machine: Path, says: str) -> None:
    add(machine, "java", f"echo '{says}' >&2")
    result = bootstrap(machine)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "lacks openjdk-17-jre-headless" in result.stderr
    assert "let root run: apt-get update && apt-get install -y --no-install-recommends openjdk" in result.stderr


def test_an_old_python(machine: Path) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        add(machine, name, "exit 1")
    result = bootstrap(machine)
    assert result.returncode == 2
    assert result.stderr == (
        "bootstrap: there is no Python 3.11, 3.12 or 3.13 on the PATH;"
        " install one (Debian: apt-get install python3 python3-venv)\n"
    )


def test_a_missing_library(machine: Path) -> None:
    real = subprocess.run(["sh", "-c", "command -v python3"], capture_output=True, text=True, check=True).stdout.strip()
    add(machine, "python3", f'case "$*" in *ctypes*pango*) exit 1 ;; esac\nexec {real} "$@"')
    result = bootstrap(machine)
    assert result.returncode == 2
    assert "lacks libpango-1.0-0 libpangoft2-1.0-0;" in result.stderr


SCRIPTS = sorted(path for path in (ROOT / "script").iterdir() if path.is_file() and not path.suffix)
"""Commands; a module that one of them runs has a suffix."""


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_script_sets_the_clone_up_first(script: Path) -> None:
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert script.name == "bootstrap" or "script/bootstrap" in text


def test_a_bench_that_is_not_there_names_those_that_are() -> None:
    result = subprocess.run([ROOT / "script" / "bench", "no-such"], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("usage: script/bench NAME")
