"""The wheel keeps all rooms below `peacewatch`, and is the same each time."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

import hatch_build
from infra import module_names
from tests.support import role_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return role_environment.build_wheel(tmp_path_factory.mktemp("wheel"))


def test_nothing_stands_at_the_top_but_peacewatch(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"peacewatch"}


def test_every_file_of_every_room_is_in_it(wheel: Path) -> None:
    rooms = (*hatch_build.ROOMS, hatch_build.DAGS)
    here = {path.relative_to(ROOT) for room in rooms for path in (ROOT / room).rglob("*") if path.is_file()}
    wanted = {f"peacewatch/{path}" for path in here if path.suffix != ".pyc"}
    with ZipFile(wheel) as archive:
        assert wanted <= set(archive.namelist())


def test_no_import_in_it_names_a_room_at_the_top(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py")]
        wrong = {name: sorted(set(tops(archive.read(name))) & set(hatch_build.ROOMS)) for name in names}
    assert len(names) > 200
    assert {name: found for name, found in wrong.items() if found} == {}


def tops(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_the_command_of_the_wheel_is_below_peacewatch(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert archive.read(entry_points) == b"[console_scripts]\npeacewatch = peacewatch.cli.main:main\n"


def test_building_twice_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = role_environment.build_wheel(tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()


@pytest.mark.parametrize(
    ("source", "mapped"),
    [
        ("from fleet import topics\n", "from peacewatch.fleet import topics\n"),
        (
            "from infra.mongo.runs import (\n    newest,\n)\n",
            "from peacewatch.infra.mongo.runs import (\n    newest,\n)\n",
        ),
        ("if x:\n    from cli import main  # why\n", "if x:\n    from peacewatch.cli import main  # why\n"),
        ("import os, laptop.ports as ports\n", "import os, peacewatch.laptop.ports as ports\n"),
        ("s = 'ü'; from serving import app\n", "s = 'ü'; from peacewatch.serving import app\n"),
        ('"""from fleet import x"""\nimport fleetness\n', '"""from fleet import x"""\nimport fleetness\n'),
    ],
)
def test_only_import_statements_are_mapped(source: str, mapped: str) -> None:
    assert hatch_build.mapped_imports(source, "x.py") == mapped


def test_an_import_that_binds_the_name_of_a_room_cannot_be_mapped() -> None:
    with pytest.raises(ValueError, match=r"x\.py, line 1: write `from"):
        hatch_build.mapped_imports("import fleet.topics\n", "x.py")


def test_in_the_repository_modules_are_named_as_they_stand() -> None:
    assert module_names.COMMAND == "cli"
    assert module_names.of("laptop.airflow.setup") == "laptop.airflow.setup"
