"""Every collection of MongoDB has a schema in code, no other is used, and docs/contracts.md lists what it says."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.mongo.layouts import COLLECTIONS

ROOT = Path(__file__).parents[2]
CONTRACTS = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
ROOMS = ("infra", "speed_layer", "batch_layer", "serving", "cli", "laptop")
NAMES = {"database", "documents", "_database"}
"""What code calls a database of MongoDB."""
NOT_COLLECTIONS = {
    *("client", "name", "command", "watch", "write_concern", "read_concern", "list_collection_names"),
    *("create_collection", "append", "clear", "values", "get", "items", "get_secret_value", "exists"),
}


def uses(tree: ast.AST) -> Iterator[str]:
    """The collections that code names: `database.runs` and `database["runs"]`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_database(node.value) and node.attr not in NOT_COLLECTIONS:
            yield node.attr
        if isinstance(node, ast.Subscript) and _is_database(node.value) and isinstance(node.slice, ast.Constant):
            yield str(node.slice.value)


def _is_database(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id in NAMES) or (isinstance(node, ast.Attribute) and node.attr in NAMES)


def row(name: str) -> str:
    collection = COLLECTIONS[name]
    fields = ", ".join(f"`{field}`" for field in collection.fields)
    return f"| `{name}` | {collection.layout} | {collection.identifier} | {fields} | {collection.writer} |"


@pytest.mark.parametrize("room", ROOMS)
def test_code_uses_only_collections_with_a_schema(room: str) -> None:
    found = {
        (path.name, name) for path in (ROOT / room).rglob("*.py") for name in uses(ast.parse(path.read_text("utf-8")))
    }
    assert {(path, name) for path, name in found if name not in COLLECTIONS} == set()


def test_the_rule_sees() -> None:
    code = "job.database.hours.find({}); database['live'].insert_one({}); self._database.stars; database.client"
    assert sorted(uses(ast.parse(code))) == ["hours", "live", "stars"]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_the_contracts_list_what_the_code_says(name: str) -> None:
    assert row(name) in CONTRACTS.splitlines(), f"put into docs/contracts.md:\n{row(name)}"


def test_the_contracts_list_no_other() -> None:
    table = CONTRACTS.partition("## Collections of MongoDB")[2]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(COLLECTIONS)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_schema_names_its_fields(name: str) -> None:
    assert COLLECTIONS[name].layout >= 1
    assert COLLECTIONS[name].fields or name == "layouts"
    assert (COLLECTIONS[name].document.__doc__ or "").strip()


def test_a_process_without_the_lake_can_look_at_layouts() -> None:
    """The recorder's extra installs neither pyarrow nor deltalake."""
    code = "import sys; sys.modules |= dict.fromkeys(('pyarrow', 'deltalake')); import speed_layer.recording"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_the_alerts_role_needs_no_lake() -> None:
    """The extra `alerts` installs neither pyarrow nor deltalake: its processes load neither."""
    code = "import sys; sys.modules |= dict.fromkeys(('pyarrow', 'deltalake')); import cli.wiring.alerts"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
