"""An environment as a role's machine has it: the wheel, and of the locked packages only those that its extra names.

The packages are linked from this test run's environment, which `script/bootstrap` made from the lock: no network and no
cache is asked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SITE = Path(sysconfig.get_path("purelib"))


@dataclass(frozen=True)
class RoleEnvironment:
    """`packages`: the names of all packages installed there, without Peacewatch."""

    folder: Path
    packages: frozenset[str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def command(self) -> Path:
        return self.folder / "bin" / "peacewatch"


def build_wheel(into: Path) -> Path:
    """The wheel of this clone, built without a network."""
    uv = str(Path(sys.executable).with_name("uv"))
    build = [uv, "build", "--wheel", "--offline", "--no-build-isolation"]
    command = [*build, "--python", sys.executable, "--out-dir", str(into), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    return wheel


def install(folder: Path, wheel: Path, extra: str) -> RoleEnvironment:
    """A new environment in `folder` with `peacewatch[extra]`."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--offline", "--python", sys.executable, str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    packages = frozenset(_closure(_wanted_by(wheel, extra)))
    for package in packages:
        for file in metadata.distribution(package).files or ():
            if file.parts[0] != ".." and file.suffix != ".pyc" and (SITE / file).is_file():
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    _link(SITE / file, target)
    python = folder / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)]
    subprocess.run(install, check=True)
    return RoleEnvironment(folder, packages)


def _wanted_by(wheel: Path, extra: str) -> list[Requirement]:
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = archive.read(name).decode()
    lines = [line.removeprefix("Requires-Dist: ") for line in text.splitlines() if line.startswith("Requires-Dist: ")]
    return list(_that_apply(map(Requirement, lines), {extra}))


def _closure(wanted: Iterable[Requirement]) -> set[str]:
    """The names of all installed packages that `wanted` need."""
    seen: set[tuple[str, str]] = set()
    open_ = list(wanted)
    while open_:
        requirement = open_.pop()
        name = canonicalize_name(requirement.name)
        extras = frozenset(requirement.extras) | {""}
        for extra in {extra for extra in extras if (name, extra) not in seen}:
            seen.add((name, extra))
            lines = metadata.distribution(name).requires or []
            open_ += _that_apply(map(Requirement, lines), {extra})
    return {name for name, _ in seen}


def _that_apply(requirements: Iterable[Requirement], extras: set[str]) -> Iterator[Requirement]:
    environment = {key: str(value) for key, value in default_environment().items()}
    for requirement in requirements:
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": extra}) for extra in extras):
            yield requirement


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        target.symlink_to(source)
