"""A PostgreSQL of a test's own, by Debian's package: in a folder that goes away, on a free port."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from laptop import ports

DEBIAN = Path("/usr/lib/postgresql")
START_SECONDS = 60


def programs() -> Path | None:
    """Where the newest PostgreSQL's programs lie; Debian keeps them off the PATH."""
    found = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


@contextmanager
def serving(bin: Path) -> Iterator[str]:
    """The URL of an empty database `airflow`."""
    port = ports.free_port()
    # The server will not run as root, so it gets its package's user and a folder that this user can reach.
    as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="peacewatch-postgres-", ignore_cleanup_errors=True) as folder:
        if as_user:
            shutil.chown(folder, "postgres", "postgres")
        data = Path(folder) / "data"
        made = [
            *as_user,
            str(bin / "initdb"),
            "-D",
            str(data),
            "-U",
            "airflow",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        subprocess.run(made, check=True, capture_output=True, cwd=folder)
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        flags = [f"--{name}={value}" for name, value in options.items()]
        server = subprocess.Popen(
            [*as_user, str(bin / "postgres"), "-D", str(data), *flags], stderr=subprocess.DEVNULL, cwd=folder
        )
        try:
            _create_database(f"postgresql://airflow@127.0.0.1:{port}/postgres")
            yield f"postgresql://airflow@127.0.0.1:{port}/airflow"
        finally:
            server.terminate()
            server.wait()


def _create_database(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE airflow")
            return
        time.sleep(0.1)
    raise TimeoutError("PostgreSQL does not answer")
