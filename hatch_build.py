"""The wheel keeps every room below `peacewatch`: nobody else's path gets a package named `serving` or `fleet`.

In this repository the rooms stand at the top level, and an editable install leaves them there. A standard wheel maps
`fleet/` to `peacewatch/fleet/` and so on, and rewrites our own absolute imports to match (decision 0039). Only import
statements are touched, found by Python's own parser; what is named at run time is derived from `__package__`
(infra/module_names.py).
"""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE: Final = "peacewatch"
ROOMS: Final = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "laptop", "cli")
DAGS: Final = "dags"
"""Goes along as it is: Airflow reads these files from their folder, and they import nothing of ours."""

_INIT: Final = '"""Peacewatch: alerts within a moment, and figures that prove themselves."""\n'
_MAIN: Final = f"""\
\"\"\"`python -m {PACKAGE}`: the `{PACKAGE}` command.\"\"\"

from {PACKAGE}.cli.main import main

if __name__ == "__main__":
    main()
"""


class MapRooms(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's hook for the wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        mapped = Path(self._folder.name, PACKAGE)
        write_mapped(Path(self.root), mapped)
        build_data["force_include"][str(mapped)] = PACKAGE
        scripts = self.metadata.core.scripts
        scripts.update({name: f"{PACKAGE}.{target}" for name, target in scripts.items()})

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact_path: str) -> None:
        if version != "editable":
            self._folder.cleanup()


def write_mapped(root: Path, into: Path) -> None:
    """Writes the package as the wheel has it to the folder `into`."""
    for room in (*ROOMS, DAGS):
        for path in sorted((root / room).rglob("*")):
            if path.is_dir() or path.suffix == ".pyc":
                continue
            content = path.read_bytes()
            if path.suffix == ".py" and room != DAGS:
                content = mapped_imports(content.decode("utf-8"), path.name).encode("utf-8")
            target = into / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    (into / "__init__.py").write_text(_INIT, encoding="utf-8")
    (into / "__main__.py").write_text(_MAIN, encoding="utf-8")


def mapped_imports(source: str, name: str) -> str:
    """`source` with each `from room... import x` and `import room.x as y` naming the module below PACKAGE.

    Raises ValueError for `import room.x` without `as`: it binds the room's own name, which the wheel does not have.
    """
    lines = source.splitlines(keepends=True)
    places: list[tuple[int, int]] = []  # (line, column in bytes) where PACKAGE goes in
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and _is_ours(node.module or ""):
            text = lines[node.lineno - 1].encode()
            places.append((node.lineno, text.index((node.module or "").encode(), node.col_offset + len("from "))))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if not _is_ours(alias.name):
                    continue
                if alias.asname is None:
                    raise ValueError(f"{name}, line {node.lineno}: write `from … import …` for {alias.name}")
                places.append((alias.lineno, alias.col_offset))
    for number, column in sorted(places, reverse=True):
        text = lines[number - 1].encode()
        lines[number - 1] = (text[:column] + f"{PACKAGE}.".encode() + text[column:]).decode()
    return "".join(lines)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] in ROOMS
