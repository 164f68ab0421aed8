"""Airflow's database and pools, made or brought up to date: `python -m laptop.airflow.setup AIRFLOW_HOME`.

The setup takes a quarter of a minute, so a checksum of its inputs is stored, and it runs again only when they have
changed. An empty database file is kept next to Kafka's jars as a template for the next home.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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

EMPTY: Final = Path(sys.prefix, "share", "peacewatch")


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
    (home / _POOLS_FILE).write_text(json.dumps(_POOLS), encoding="utf-8")
    code = _in_a_file(home, home / "airflow.db") if url.startswith("sqlite:") else _migrate(home)
    if code == 0:
        write_done(home, url)
    return code


def _in_a_file(home: Path, database: Path) -> int:
    new, kept = not database.exists(), EMPTY / f"airflow-{_hash(json.dumps(_wanted('')))}.db"
    copied = new and kept.exists()
    if copied:
        shutil.copyfile(kept, home / "copied.db")
        (home / "copied.db").rename(database)  # whole, or not there
    with closing(sqlite3.connect(database)) as connection:
        # Readers and the one writer do not block each other; the file remembers.
        connection.execute("PRAGMA journal_mode=WAL")
    if copied:
        return 0
    code = _migrate(home)
    if code == 0 and new:
        _keep(database, kept)
    return code


def _keep(database: Path, kept: Path) -> None:
    """Several homes may be set up at once: the last one stays, and all are the same."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    made = kept.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(made),))
    made.rename(kept)


def _migrate(home: Path) -> int:
    return _airflow("db", "migrate") or _airflow("pools", "import", str(home / _POOLS_FILE))


def _airflow(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-P", "-m", "airflow", *arguments], check=False).returncode  # noqa: S603


def write_done(home: Path, url: str) -> None:
    """Says that the database at `url` is set up now."""
    (home / _DONE).touch(mode=0o600)
    (home / _DONE).write_text(json.dumps(_wanted(url)), encoding="utf-8")


def _wanted(url: str) -> dict[str, str]:
    # A hash: the URL may hold a password.
    return {"airflow": version("apache-airflow"), "database": _hash(url), "pools": json.dumps(_POOLS)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
