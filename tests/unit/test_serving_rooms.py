"""The rooms inside serving import each other one way: no circle, so each can be read by itself."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

SERVING = Path(__file__).parents[2] / "serving"


def room_of(path: Path) -> str:
    parts = path.relative_to(SERVING).parts
    return parts[0] if parts[1:] else path.stem


def imported(source: str) -> set[str]:
    """The rooms and files directly below serving/ that a source names."""
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "serving":
            below = node.module.split(".")[1:2]
            imported |= set(below) or {alias.name for alias in node.names}
    return imported


def test_no_room_of_serving_imports_in_a_circle() -> None:
    rooms: dict[str, set[str]] = {}
    for path in SERVING.rglob("*.py"):
        rooms.setdefault(room_of(path), set()).update(imported(path.read_text(encoding="utf-8")) - {room_of(path)})
    order = list(TopologicalSorter(rooms).static_order())
    assert order.index("http") < order.index("figures") or "http" not in rooms["figures"]
    assert order.index("services") < order.index("api") < order.index("app") < order.index("server")
