"""What runs is what the settings ask for, and what cannot work is said before anything starts."""

from __future__ import annotations

import json
import socket
import sqlite3
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fleet.errors import ServiceUnavailable
from infra import settings
from infra.settings import SECRETS, Settings
from laptop import local_stack, ports
from laptop.airflow import setup
from laptop.services import catalogue
from laptop.supervision import environment

SPEED = {"land", "alerting", "notify", "record"}
AIRFLOW = {"airflow-setup", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}


def load(home: Path, **environ: str) -> Settings:
    return settings.load({}, home=home, **environ)


def names(found: Settings) -> set[str]:
    return {service.name for service in catalogue.of(found)}


def test_everything_runs_on_a_laptop(tmp_path: Path) -> None:
    assert names(load(tmp_path)) == {"kafka", "mongo", "discord", "serve", *SPEED, *AIRFLOW}


@pytest.mark.parametrize(
    ("setting", "value", "not_started"),
    [
        ("kafka_bootstrap", "kafka:9092", "kafka"),
        ("mongo_uri", "mongodb://mongo/peacewatch", "mongo"),
        ("discord_webhook_url", "https://chat.example/api/webhooks/1/t", "discord"),
    ],
)
def test_an_outside_service_replaces_the_local_one(tmp_path: Path, setting: str, value: str, not_started: str) -> None:
    found = load(tmp_path, **{setting: value})
    assert names(load(tmp_path)) - names(found) == {not_started}
    assert all(not_started not in service.after for service in catalogue.of(found))


def test_each_needs_only_earlier_ones(tmp_path: Path) -> None:
    seen: set[str] = set()
    for service in catalogue.of(load(tmp_path)):
        assert set(service.after) <= seen
        seen.add(service.name)


def test_children_get_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load(tmp_path, mongo_uri="mongodb://me:hunter2@db/x", web_port="4711")
    environment = catalogue.environment_of(found)
    assert environment["PEACEWATCH_MONGO_URI"] == "mongodb://me:hunter2@db/x"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    same = {"home": tmp_path.resolve(), "lake": found.lake_location}
    assert settings.load() == found.model_copy(update=same)


def test_children_find_what_a_relative_path_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    environment = catalogue.environment_of(
        settings.load({}, home="here", rules="rules.toml", lake="s3://bucket/lake", spark_jars="a.jar")
    )
    assert environment["PEACEWATCH_HOME"] == str(tmp_path / "here")
    assert environment["PEACEWATCH_RULES"] == str(tmp_path / "rules.toml")
    assert environment["PEACEWATCH_LAKE"] == "s3://bucket/lake"


def test_dates_on_airflows_command_line_are_the_officers(tmp_path: Path) -> None:
    found = catalogue.airflow_of(load(tmp_path, timezone="Pacific/Auckland")).environment()
    assert found["AIRFLOW__CORE__DEFAULT_TIMEZONE"] == "Pacific/Auckland"


def test_no_secret_is_on_a_command_line(tmp_path: Path) -> None:
    found = load(tmp_path, mongo_uri="mongodb://me:hunter2@db/x", airflow_database="postgresql://me:hunter2@db/x")
    commands = [" ".join(map(str, one.command())) for one in catalogue.of(found) if one.name.startswith("airflow")]
    assert not any("hunter2" in command for command in commands)
    assert "hunter2" not in repr(catalogue.airflow_of(found))


def test_airflow_keeps_its_keys_and_password(tmp_path: Path) -> None:
    first = catalogue.airflow_of(load(tmp_path))
    again = catalogue.airflow_of(load(tmp_path, airflow_port="4711"))
    assert first.password == again.password
    assert len(first.password) >= 16
    assert {key: value for key, value in first.environment().items() if "SECRET" in key or "FERNET" in key} == {
        key: value for key, value in again.environment().items() if "SECRET" in key or "FERNET" in key
    }
    for path in (tmp_path / "airflow").glob("*.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_airflow_runs_ours_alone_and_on_loopback(tmp_path: Path) -> None:
    environment = catalogue.airflow_of(load(tmp_path, spark_master="spark://spark:7077")).environment()
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert Path(environment["AIRFLOW__CORE__DAGS_FOLDER"], "hourly_views.py").exists()
    assert json.loads(environment["AIRFLOW_CONN_PEACEWATCH_SPARK"])["host"] == "spark://spark:7077"
    assert environment["PYSPARK_PYTHON"] == sys.executable
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "airflow")


def test_airflow_uses_the_database_of_the_setting(tmp_path: Path) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg2"):
        found = load(tmp_path, airflow_database=f"{scheme}://me:hunter2@db/airflow?sslmode=require")
        environment = catalogue.airflow_of(found).environment()
        url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
        assert url == "postgresql+psycopg://me:hunter2@db/airflow?sslmode=require"
        assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == url


def test_a_new_home_begins_with_the_template_of_an_empty_airflow(tmp_path: Path) -> None:
    migrated = []

    def migrate(home: Path) -> int:
        migrated.append(home.name)
        with closing(sqlite3.connect(home / "airflow.db")) as database:
            database.execute("CREATE TABLE IF NOT EXISTS pools (name)")
        return 0

    for name in ("first", "second", "second"):
        home = tmp_path / name
        assert setup.run(home, f"sqlite:///{home}/airflow.db", migrate, tmp_path / "templates") == 0
        with closing(sqlite3.connect(home / "airflow.db")) as database:
            assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("pools",)]
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert migrated == ["first", "second"]  # the last time the database was there, and so brought up to date


def test_airflow_is_set_up_once_for_a_database(tmp_path: Path) -> None:
    sqlite, postgresql = "sqlite:///airflow.db", "postgresql+psycopg://me:hunter2@db/airflow"
    (tmp_path / "airflow.db").touch()
    assert setup.is_due(tmp_path, sqlite)
    setup.write_done(tmp_path, sqlite)
    assert not setup.is_due(tmp_path, sqlite)
    assert setup.is_due(tmp_path, postgresql)
    (tmp_path / "airflow.db").unlink()
    assert setup.is_due(tmp_path, sqlite)
    setup.write_done(tmp_path, postgresql)
    assert not setup.is_due(tmp_path, postgresql)
    assert "hunter2" not in (tmp_path / "setup.json").read_text()


def test_a_taken_port_is_one_sentence_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = local_stack.Stack(load(tmp_path, web_port=str(port)), only=["serve"])
        with pytest.raises(ServiceUnavailable, match=rf"^serve cannot use port {port}.*set PEACEWATCH_WEB_PORT"):
            stack.start()
    assert not (tmp_path / "log").exists()


def test_taken_ports_can_be_replaced(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mine = ports.free_port()
        found = load(tmp_path, web_port=str(taken.getsockname()[1]), airflow_port=str(mine))
        free = local_stack.on_free_ports(found)
        assert free.web_port != found.web_port
        assert free.airflow_port == mine


def test_an_outside_service_that_does_not_answer_is_named(tmp_path: Path) -> None:
    found = load(tmp_path, kafka_bootstrap=f"127.0.0.1:{ports.free_port()}")
    with pytest.raises(ServiceUnavailable, match=r"^no broker accepts connections at 127.*PEACEWATCH_KAFKA_BOOTSTRAP"):
        local_stack.Stack(found, only=[]).start()


ALL_SECRETS = {name: f"{name}-secret" for name in SECRETS if not name.endswith("webhook_url")} | {
    name: f"https://chat.example/{name}-secret" for name in SECRETS if name.endswith("webhook_url")
}
ALL_SECRETS["pseudonym_key"] = f"{'a long ' * 3}pseudonym_key-secret"
ALL_SECRETS["airflow_database"] = "postgresql://db/airflow_database-secret"
KAFKA_SECRETS = {"kafka_password", "kafka_token"}
LAKE_SECRETS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
TASKS = {"mongo_uri", "discord_webhook_url", "reports_webhook_url", "operators_webhook_url"}


def secrets_that_each_gets(home: Path) -> dict[str, set[str]]:
    """By service: the secrets of its environment, when this process has them all, from files too."""
    # Kafka's are in the environment alone: one setting of it allows only one of them.
    found = settings.load({}, home=home, **{name: ALL_SECRETS[name] for name in set(SECRETS) - KAFKA_SECRETS})
    environ = {f"PEACEWATCH_{name.upper()}": value for name, value in ALL_SECRETS.items()}
    environ |= {f"PEACEWATCH_{name.upper()}_FILE": f"/run/{name}-secret" for name in SECRETS}
    environ |= {name: f"{name}-secret" for name in LAKE_SECRETS} | {
        f"{name}_FILE": f"/{name}-secret" for name in LAKE_SECRETS
    }
    environ |= {"PATH": "/usr/bin", "SOMEBODY_ELSES_TOKEN": "token-secret"}
    local = {service.name: service for service in catalogue.of(load(home))}
    services = {**local, **{service.name: service for service in catalogue.of(found)}}
    values = {name: "\n".join(service.environment(environ).values()) for name, service in services.items()}
    names = {*SECRETS, *LAKE_SECRETS}
    return {service: {name for name in names if f"{name}-secret" in text} for service, text in values.items()}


def test_each_gets_only_the_secrets_that_it_needs(tmp_path: Path) -> None:
    assert secrets_that_each_gets(tmp_path) == {
        "kafka": set(),
        "mongo": set(),
        "discord": set(),
        "land": KAFKA_SECRETS | LAKE_SECRETS | {"mongo_uri", "pseudonym_key"},
        "alerting": KAFKA_SECRETS,
        "notify": KAFKA_SECRETS | {"discord_webhook_url", "severe_webhook_url"},
        "record": KAFKA_SECRETS | {"mongo_uri", "operators_webhook_url", "discord_webhook_url"},
        "serve": KAFKA_SECRETS | LAKE_SECRETS | {"mongo_uri", "api_tokens", "oidc_client_secret"},
        "airflow-setup": {"airflow_database"},
        "airflow-api-server": {"airflow_database"},
        "airflow-scheduler": KAFKA_SECRETS | LAKE_SECRETS | TASKS | {"airflow_database"},
        "airflow-dag-processor": {"airflow_database", "operators_webhook_url", "discord_webhook_url"},
        "airflow-triggerer": {"airflow_database"},
    }


def test_each_secret_reaches_a_process(tmp_path: Path) -> None:
    assert set().union(*secrets_that_each_gets(tmp_path).values()) == {*SECRETS, *LAKE_SECRETS}


def test_programs_of_others_get_nothing_that_they_have_no_use_for() -> None:
    environ = {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8", "SOMEBODY_ELSES_TOKEN": "x", "PEACEWATCH_HOME": "x"}
    assert environment.for_third_party(environ) == {"PATH": "/usr/bin", "LC_ALL": "C.UTF-8"}
