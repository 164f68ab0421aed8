"""Airflow's database and pools, made or brought up to date: `python -m stack.airflow_setup AIRFLOW_HOME`.

It takes a quarter of a minute, so what was set up is written down, and done again only when that has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Final

_DONE: Final = "setup.json"
_POOLS_FILE: Final = "pools.json"
_POOLS: Final = {
    "spark": {"slots": 1, "description": "Spark jobs, one at a time: each takes the whole machine"},
    "reports": {"slots": 1, "description": "Nightly reports, one task at a time: two would make the same revision"},
}


def is_due(home: Path, url: str) -> bool:
    """Whether the database at `url` was not yet set up by this version of Airflow."""
    try:
        done = json.loads((home / _DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return bool(done != _wanted(url)) or (url.startswith("sqlite:") and not (home / "airflow.db").exists())


def main() -> int:
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    if url.startswith("sqlite:"):
        # Readers and the one writer do not block each other; the file remembers.
        with closing(sqlite3.connect(home / "airflow.db")) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    (home / _POOLS_FILE).write_text(json.dumps(_POOLS), encoding="utf-8")
    code = _airflow("db", "migrate") or _airflow("pools", "import", str(home / _POOLS_FILE))
    if code == 0:
        write_done(home, url)
    return code


def _airflow(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-P", "-m", "airflow", *arguments], check=False).returncode  # noqa: S603


def write_done(home: Path, url: str) -> None:
    """Says that the database at `url` is set up now."""
    (home / _DONE).touch(mode=0o600)
    (home / _DONE).write_text(json.dumps(_wanted(url)), encoding="utf-8")


def _wanted(url: str) -> dict[str, str]:
    # A hash: the URL may hold a password.
    hashed = hashlib.sha256(url.encode()).hexdigest()
    return {"airflow": version("apache-airflow"), "database": hashed, "pools": json.dumps(_POOLS)}


if __name__ == "__main__":
    sys.exit(main())
