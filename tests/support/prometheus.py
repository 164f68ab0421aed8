"""Prometheus and promtool: those of the machine, else of Debian's package, which is unpacked, not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from laptop import ports
from laptop.supervision import processes
from tests.support.waiting import answers

ROOT: Final = Path(__file__).parents[2]
WAIT_SECONDS: Final = 240
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


@contextmanager
def scraping(home: Path, operations: Iterable[int]) -> Iterator[str]:
    """Prometheus by the shipped configuration, with these operations ports and a shorter interval; its address."""
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yaml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy/prometheus/rules.yaml")]
    targets = [f"127.0.0.1:{port}" for port in operations]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (home / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = ports.free_port()
    options = [f"--config.file={home / 'prometheus.yaml'}", f"--storage.tsdb.path={home / 'prometheus'}"]
    options.append(f"--web.listen-address=127.0.0.1:{port}")
    command = [program("prometheus"), *options]
    child = processes.start("prometheus", command, home / "log" / "prometheus.log", env=dict(os.environ))
    try:
        address = f"http://127.0.0.1:{port}"
        child.wait_ready(lambda: answers(f"{address}/-/ready"), WAIT_SECONDS)
        yield address
    finally:
        child.stop()
