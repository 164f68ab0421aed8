"""Creates or migrates Airflow's database and pools: `python -m laptop.airflow.setup AIRFLOW_HOME`.

This takes 15 s, so a checksum of its inputs is stored, and it runs again only when they change. An empty database file
is kept next to Kafka's jars as a template for later homes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

_DONE: Final = "setup.json"
_POOLS_FILE: Final = "pools.json"
_POOLS: Final = {
    "spark": {"slots": 1, "description": "Spark jobs, one at a time: each takes the whole machine"},
    "reports": {"slots": 1, "description": "Nightly reports, one task at a time: two would write the same revision"},
}

TEMPLATES: Final = Path(sys.prefix, "share", "peacewatch")
"""Where the empty database of this version of Airflow is kept."""

Migrate = Callable[[Path], int]
"""Brings the database of a home up to date, and returns the exit code."""


def is_due(home: Path, url: str) -> bool:
    """Whether the database at `url` must still be set up for this version of Airflow."""
    try:
        done = json.loads((home / _DONE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return bool(done != _inputs(url)) or (url.startswith("sqlite:") and not (home / "airflow.db").exists())


def run(home: Path, url: str, migrate: Migrate, templates: Path = TEMPLATES) -> int:
    """Sets up the database at `url`. Returns an exit code."""
    home.mkdir(parents=True, exist_ok=True)
    (home / _POOLS_FILE).write_text(json.dumps(_POOLS), encoding="utf-8")
    code = _set_up_file(home, migrate, templates) if url.startswith("sqlite:") else migrate(home)
    if code == 0:
        write_done(home, url)
    return code


def _set_up_file(home: Path, migrate: Migrate, templates: Path) -> int:
    database, template = home / "airflow.db", templates / f"airflow-{_hash(json.dumps(_inputs('')))}.db"
    new = not database.exists()
    copied = new and template.exists()
    if copied:
        shutil.copyfile(template, home / "copied.db")
        (home / "copied.db").rename(database)  # whole, or not there
    with closing(sqlite3.connect(database)) as connection:
        # Readers and the one writer do not block each other. The database file stores this mode.
        connection.execute("PRAGMA journal_mode=WAL")
    if copied:
        return 0
    code = migrate(home)
    if code == 0 and new:
        with suppress(OSError):  # an image's environment is read-only
            _write_template(database, template)
    return code


def _write_template(database: Path, template: Path) -> None:
    """Several homes may be set up at once: the last template wins, and all are equal."""
    template.parent.mkdir(parents=True, exist_ok=True)
    unfinished = template.with_suffix(f".{os.getpid()}")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(unfinished),))
    unfinished.rename(template)


def migrate_airflow(home: Path) -> int:
    """Airflow's own migration, and the pools."""
    return _airflow("db", "migrate") or _airflow("pools", "import", str(home / _POOLS_FILE))


def _airflow(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-P", "-m", "airflow", *arguments], check=False).returncode  # noqa: S603


def write_done(home: Path, url: str) -> None:
    """Records that the database at `url` is set up."""
    (home / _DONE).touch(mode=0o600)
    (home / _DONE).write_text(json.dumps(_inputs(url)), encoding="utf-8")


def _inputs(url: str) -> dict[str, str]:
    # A hash: the URL may hold a password.
    return {"airflow": version("apache-airflow"), "database": _hash(url), "pools": json.dumps(_POOLS)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"], migrate_airflow))
