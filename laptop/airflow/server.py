"""A real Airflow on this machine: api-server, scheduler, DAG processor and triggerer, each a process of its own.

Not `airflow standalone`: that binds all interfaces and leaves processes behind. All files are in `HOME/airflow`. Its
settings are environment variables, so no file has to be kept in sync with ours.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from infra import module_names
from infra.java import java
from infra.secrets import SECRETS_OF
from laptop.supervision import web_probe
from laptop.supervision.environment import for_own_command
from laptop.supervision.service import Inherit, Port, Service

USER: Final = "admin"
DAGS: Final = Path(__file__).parents[2] / "dags"
SPARK_CONNECTION: Final = "peacewatch_spark"
START_SECONDS: Final = 600.0
"""Four processes each import Airflow: at a load of 18 on two cores, 240 s were not enough."""

_PASSWORDS: Final = "passwords.json"
_KEYS: Final = "keys.json"
_PROCESSES: Final = {
    "scheduler": ("scheduler", "--skip-serve-logs"),  # the api-server reads the logs itself: one machine
    "dag_processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


@dataclass(frozen=True)
class Airflow:
    """`home` is Airflow's own folder. `database` is a URL, which may hold a password, or None for SQLite.
    `spark_master` is in Spark's notation. `paused`: new DAGs start paused. `timezone` is that of dates on Airflow's
    command line."""

    home: Path
    host: str
    port: int
    spark_master: str
    database: str | None = field(default=None, repr=False)
    paused: bool = False
    timezone: str = "UTC"
    json_logs: bool = False

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def password(self) -> str:
        """The password of USER: generated on first use, then kept."""
        return _stored(self.home / _PASSWORDS, {USER: lambda: secrets.token_urlsafe(12)})[USER]

    def services(self) -> list[Service]:
        """The database set-up, if it is due, and the four processes."""
        setup = _airflow_setup(self)
        after = tuple(service.name for service in setup)
        environment = self.environment()
        serve = ("api-server", "--host", self.host, "--port", str(self.port))
        return [
            *setup,
            Service(
                "airflow-api-server",
                lambda: program(*serve),
                partial(_healthy, self.url, "metadatabase"),
                after,
                self.url,
                Port(self.port, "PEACEWATCH_AIRFLOW_PORT"),
                environment,
                _inherit("airflow-api-server"),
                START_SECONDS,
            ),
            # Tasks call the api-server: without it, the first attempt of a task would fail.
            self._process("scheduler", (*after, "airflow-api-server"), environment),
            self._process("dag_processor", after, environment),
            self._process("triggerer", after, environment),
        ]

    def _process(self, part: str, after: tuple[str, ...], environment: Mapping[str, str]) -> Service:
        return Service(
            f"airflow-{part.replace('_', '-')}",
            lambda: program(*_PROCESSES[part]),
            partial(_healthy, self.url, part),
            after,
            env=environment,
            inherit=_inherit(f"airflow-{part.replace('_', '-')}"),
            seconds=START_SECONDS,
        )

    def environment(self) -> dict[str, str]:
        """All of Airflow's settings, including secrets."""
        keys = _stored(self.home / _KEYS, {"fernet": _fernet_key, "api": _key, "jwt": _key})
        _ = self.password  # otherwise Airflow generates one and prints it
        values = {
            **_LEAN,
            "CORE__DAGS_FOLDER": DAGS,
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": self.paused,
            "CORE__DEFAULT_TIMEZONE": self.timezone,  # `--from-date 2026-11-01` is the officers' day
            "CORE__FERNET_KEY": keys["fernet"],
            "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": self.home / _PASSWORDS,
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "API__HOST": self.host,
            "API__PORT": self.port,
            "API__BASE_URL": self.url,
            "API__SECRET_KEY": keys["api"],
            "API_AUTH__JWT_SECRET": keys["jwt"],
            "LOGGING__BASE_LOG_FOLDER": self.home / "logs",
            "LOGGING__JSON_LOGS": self.json_logs,
            "DATABASE__SQL_ALCHEMY_CONN": sqlite_url(self.home),
            **(_postgresql(self.database) if self.database else {}),
        }
        return {
            **{f"AIRFLOW__{name}": str(value) for name, value in values.items()},
            **self._spark(),
            "AIRFLOW_HOME": str(self.home),
        }

    def _spark(self) -> dict[str, str]:
        from importlib.util import find_spec  # noqa: PLC0415 - only where Airflow runs

        spec = find_spec("pyspark")
        # A laptop's hostname often still resolves to its address in an earlier network.
        local = {"SPARK_LOCAL_IP": "127.0.0.1"} if self.spark_master.startswith("local") else {}
        return {
            **local,
            f"AIRFLOW_CONN_{SPARK_CONNECTION.upper()}": json.dumps({"conn_type": "spark", "host": self.spark_master}),
            "SPARK_HOME": str(Path(spec.origin).parent) if spec and spec.origin else "",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "JAVA_HOME": str(java().resolve().parent.parent),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }


_LEAN: Final = {
    "CORE__LOAD_EXAMPLES": "False",
    "CORE__EXECUTOR": "LocalExecutor",
    # One Spark job takes both cores of a laptop (pool `spark`); the other slots are for short or waiting tasks.
    "CORE__PARALLELISM": "3",
    "CORE__MP_START_METHOD": "fork",  # on every Python: workers share the scheduler's memory
    "CORE__TEST_CONNECTION": "Disabled",
    # A task ends with a heartbeat: at the default interval of 5 s, that was a third of a backfill's time.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "API__WORKERS": "1",
    "API__INSTANCE_NAME": "Peacewatch",
    "API__EXPOSE_CONFIG": "False",
    "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",  # the files change with a release, not by the minute
    # While the database is locked, a parse is not stored: a DAG becomes stale after five lost parses, not after one.
    "DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",
    "DAG_PROCESSOR__PRINT_STATS_INTERVAL": "0",
    # A scheduler counts as dead 30 s after its last heartbeat. The others look for its orphaned tasks this often.
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "60",
    "SCHEDULER__ENABLE_HEALTH_CHECK": "False",  # needs one more port; the api-server reports the same
    "LOGGING__COLORED_CONSOLE_LOG": "False",
    "LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",  # Airflow sets these whatever the umask is
    "LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
    "SECRETS__USE_CACHE": "False",
}


def sqlite_url(home: Path) -> str:
    """`timeout`: how many seconds SQLite waits for a lock before it reports "database is locked"."""
    return f"sqlite:///{home / 'airflow.db'}?timeout=60"


def _postgresql(url: str) -> dict[str, str]:
    """One driver for Airflow's threads and its asyncio code; Airflow's default is two drivers."""
    url = f"postgresql+psycopg://{url.partition('://')[2]}"
    return {"DATABASE__SQL_ALCHEMY_CONN": url, "DATABASE__SQL_ALCHEMY_CONN_ASYNC": url}


def _airflow_setup(airflow: Airflow) -> list[Service]:
    from laptop.airflow.setup import is_due  # noqa: PLC0415

    environment = airflow.environment()
    if not is_due(airflow.home, environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]):
        return []
    command = [sys.executable, "-P", "-m", module_names.of("laptop.airflow.setup"), str(airflow.home)]
    inherit = _inherit("airflow-setup")
    return [
        Service("airflow-setup", lambda: command, env=environment, inherit=inherit, once=True, seconds=START_SECONDS)
    ]


def _inherit(process: str) -> Inherit:
    return partial(for_own_command, secrets=SECRETS_OF[process])


def program(*arguments: str) -> list[str]:
    """The command line of Airflow's own command with `arguments`."""
    return [sys.executable, "-P", "-m", "airflow", *arguments]


def _healthy(url: str, part: str, since: datetime) -> bool:
    """Whether `part` of Airflow reports healthy, with a heartbeat after `since`: an older one is of an earlier run."""
    try:
        health = web_probe.get(f"{url}/api/v2/monitor/health").raise_for_status().json()[part]
        beat = health.get(f"latest_{part}_heartbeat")
        fresh = part == "metadatabase" or (beat and _time(beat) > since - timedelta(seconds=1))
        return bool(health["status"] == "healthy" and fresh)
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _stored(path: Path, makers: Mapping[str, object]) -> dict[str, str]:
    """The JSON object in `path`, with the values of `makers` added where missing. Only its owner may read it."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = {name: make() for name, make in makers.items() if name not in stored and callable(make)}
    if missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps({**stored, **missing}) + "\n", encoding="utf-8")
    return {**stored, **missing}


def _key() -> str:
    return secrets.token_urlsafe(48)


def _fernet_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()
