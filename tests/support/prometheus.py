"""Prometheus and promtool: those of the machine, else of Debian's package, which is unpacked, not installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

FOLDER: Final = Path(sys.prefix, "share", "prometheus")
MISSING: Final = "promtool is missing: apt-get install prometheus (its package could not be downloaded here)"


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Raises RuntimeError with MISSING where it cannot be had."""
    installed = shutil.which(name)
    if installed is not None:
        return installed
    unpacked = FOLDER / "usr" / "bin" / name
    if not unpacked.exists():
        _unpack()
    return str(unpacked)


def _unpack() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise RuntimeError(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        command = ["apt-get", "download", "-q", "prometheus"]
        downloaded = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        packages = list(Path(folder).glob("prometheus_*.deb"))
        if downloaded.returncode != 0 or not packages:
            raise RuntimeError(f"{MISSING}: {downloaded.stderr.strip()}")
        subprocess.run(["dpkg-deb", "-x", packages[0], Path(folder, "files")], check=True)
        FOLDER.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(Path(folder, "files"), FOLDER, symlinks=True, dirs_exist_ok=True)
