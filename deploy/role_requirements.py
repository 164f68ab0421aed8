"""The part of requirements.lock that roles or packages need, with its hashes:
`python deploy/role_requirements.py landing`, `python deploy/role_requirements.py hatchling`.

The lock says below each package who wants it (`# via`); a role's part is what its extra names, and all that those want.
Standard library only: an image runs it before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]


def stanzas(lock: str) -> Iterator[tuple[str, str, set[str]]]:
    """(name, its lines, names of those that want it) of each package of the lock, in order."""
    for match in re.finditer(r"^([a-z0-9][\w.-]*)==.*(?:\n .*)*", lock, re.MULTILINE):
        comments = "\n".join(line for line in match[0].splitlines() if line.strip().startswith("#"))
        yield match[1], match[0], set(re.findall(r"[a-z0-9][\w.-]*", comments.replace("# via", "")))


def wanted(project: dict[str, Any], extra: str) -> set[str]:
    """The names that the project's own dependencies and those of `extra` have. Raises KeyError for no such extra."""
    table = project["project"]
    extras, name = table["optional-dependencies"], table["name"]
    names: set[str] = set()
    pending: list[str] = [*table["dependencies"], *extras[extra]]
    while pending:
        requirement = pending.pop()
        own = re.fullmatch(rf"{name}\[([\w,]+)\]", requirement)
        if own:
            pending += [line for extra in own[1].split(",") for line in extras[extra]]
        else:
            names.add(_normal(requirement))
    return names


def part(lock: str, names: Iterable[str]) -> str:
    """The stanzas of `names` and of all that they want."""
    locked = list(stanzas(lock))
    chosen = set(names)
    while more := {name for name, _, wanted_by in locked if wanted_by & chosen} - chosen:
        chosen |= more
    return "\n".join(lines for name, lines, _ in locked if name in chosen) + "\n"


def _normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    extras, packages = project["project"]["optional-dependencies"], {name for name, _, _ in stanzas(lock)}
    names: set[str] = set()
    for argument in sys.argv[1:]:
        if argument not in extras and argument not in packages:
            sys.exit(f"{argument} is neither an extra ({', '.join(extras)}) nor a package of the lock")
        names |= wanted(project, argument) if argument in extras else {argument}
    sys.stdout.write(part(lock, names))


if __name__ == "__main__":
    main()
