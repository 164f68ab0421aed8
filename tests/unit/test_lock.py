"""requirements.lock is in step with pyproject.toml, and everything in it has hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
STANZAS = re.findall(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)(.*(?:\n .*)*)", LOCK, re.MULTILINE)
LOCKED = {canonicalize_name(name): version for name, version, _ in STANZAS}
WANTED = [
    *PROJECT["build-system"]["requires"],  # the build asks no registry
    *PROJECT["project"]["dependencies"],
    *sorted({line for extra in EXTRAS.values() for line in extra if not line.startswith("peacewatch[")}),
]
REMADE_BY = (
    ".venv/bin/uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url"
    " pyproject.toml -o requirements.lock"
)


@pytest.mark.parametrize("line", WANTED)
def test_every_dependency_is_locked(line: str) -> None:
    wanted = Requirement(line)
    version = LOCKED.get(canonicalize_name(wanted.name))
    assert version is not None, f"{wanted.name} is not in requirements.lock; {REMADE_BY}"
    assert wanted.specifier.contains(version, prereleases=True), f"{line}, but {version} is locked; {REMADE_BY}"


ROLES = {"landing", "alerts", "batch", "serving", "airflow", "laptop", "dev"}


def test_there_is_an_extra_for_each_role() -> None:
    assert set(EXTRAS) == ROLES
    ours = [Requirement(line) for lines in EXTRAS.values() for line in lines if line.startswith("peacewatch[")]
    assert {extra for one in ours for extra in one.extras} <= ROLES


def test_everything_has_hashes() -> None:
    assert [name for name, _, rest in STANZAS if "--hash=sha256:" not in rest] == []
    assert len(STANZAS) > 150


def test_lock_has_no_grammar_that_each_airflow_process_would_compile() -> None:
    """pyproject.toml says why; a lock that is made without its override has the package again."""
    assert "rfc3987-syntax" not in LOCKED


def test_no_address_is_in_it() -> None:
    assert re.findall(r"^[^#\n]*(?:https?://|--index|--find-links|@ file).*$", LOCK, re.MULTILINE) == []
