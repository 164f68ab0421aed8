"""`peacewatch airflow` runs Airflow's own commands with our settings, and gives each process its own secrets alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.wiring import airflow
from infra import settings
from infra.settings import Settings

ENVIRON = {
    "PEACEWATCH_DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/secret-of-alerts",
    "PEACEWATCH_MONGO_URI_FILE": "/run/secrets/mongo",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://airflow-api-server:18080/execution/",
}


@pytest.fixture
def loaded(tmp_path: Path) -> Settings:
    return settings.load({}, home=tmp_path, log_format="json")


def test_a_command_is_airflows_own(loaded: Settings) -> None:
    program, environment = airflow.command(loaded, ["dags", "list"], ENVIRON)
    assert program[-4:] == ["-m", "airflow", "dags", "list"]
    assert environment["AIRFLOW_HOME"] == str(loaded.home / "airflow")
    assert environment["AIRFLOW__LOGGING__JSON_LOGS"] == "True"


def test_a_variable_of_airflow_that_is_set_stands(loaded: Settings) -> None:
    _, environment = airflow.command(loaded, ["scheduler"], ENVIRON)
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-api-server:18080/execution/"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


@pytest.mark.parametrize(
    ("process", "names"),
    [
        ("scheduler", {"PEACEWATCH_DISCORD_WEBHOOK_URL", "PEACEWATCH_MONGO_URI_FILE"}),
        ("dag-processor", {"PEACEWATCH_DISCORD_WEBHOOK_URL"}),
        ("api-server", set()),
        ("triggerer", set()),
    ],
)
def test_a_process_has_its_own_secrets_alone(loaded: Settings, process: str, names: set[str]) -> None:
    _, environment = airflow.command(loaded, [process], ENVIRON)
    assert names == environment.keys() & {"PEACEWATCH_DISCORD_WEBHOOK_URL", "PEACEWATCH_MONGO_URI_FILE"}


def test_the_processes_of_a_home_share_their_keys(loaded: Settings) -> None:
    _, first = airflow.setup(loaded, ENVIRON)
    _, second = airflow.command(loaded, ["api-server"], ENVIRON)
    keys = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")
    assert [first[key] for key in keys] == [second[key] for key in keys]
    kept = loaded.home / "airflow" / "keys.json"
    assert json.loads(kept.read_text())["fernet"] == first[keys[0]]
    assert kept.stat().st_mode & 0o077 == 0
