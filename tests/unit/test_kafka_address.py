"""Kafka clients are made in one place, from one value, and what the value holds never shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import BadSettings
from infra.kafka.address import KafkaConfig
from infra.kafka.security import client_settings
from infra.settings import load

ROOT = Path(__file__).parents[2]
ROOMS = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "laptop", "cli", "dags", "tests", "bench")
KINDS = ("KafkaConsumer", "KafkaProducer", "KafkaAdminClient")
THE_PLACE = "infra/kafka/clients.py"
PASSWORD = "hunter2-of-kafka"


def made_in(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in KINDS:
            yield f"line {node.lineno}: {ast.unparse(node.func)}()"


def test_clients_are_made_in_one_place() -> None:
    paths = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    names = {str(path.relative_to(ROOT)): list(made_in(path.read_text())) for path in paths}
    assert {name: lines for name, lines in names.items() if lines and name != THE_PLACE} == {}, f"use {THE_PLACE}"


@pytest.mark.parametrize("source", ["KafkaConsumer()", "kafka.KafkaProducer('x')", "KafkaAdminClient(a=1)"])
def test_the_rule_of_clients_sees(source: str) -> None:
    assert list(made_in(source))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"security_protocol": "SASL_SSL"}, "SASL_MECHANISM: needed for SASL_SSL"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN"}, "USER: needed for PLAIN"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "user": "u"}, "PASSWORD: needed for PLAIN"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}, "TOKEN: needed for OAUTHBEARER"),
        ({"user": "u"}, "SECURITY_PROTOCOL: PLAINTEXT takes no user"),
        ({"ca": Path("/nowhere")}, "SECURITY_PROTOCOL: PLAINTEXT takes no certificates"),
        ({"security_protocol": "SSL", "ca": Path("/nowhere")}, "CA: no such file: /nowhere"),
        ({"security_protocol": "SSL", "key": Path(__file__)}, "CERTIFICATE: needed with PEACEWATCH_KAFKA_KEY"),
    ],
)
def test_a_contradiction_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_{complaint}"):
        KafkaConfig("k:9092", **given)
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_{complaint}"):
        _ = load({}, **{f"kafka_{name}": value for name, value in given.items()}).kafka


def test_no_secret_shows() -> None:
    config = KafkaConfig("k:9092", "SASL_PLAINTEXT", "PLAIN", user="u", password=PASSWORD)
    assert PASSWORD not in repr(config)
    assert PASSWORD not in repr(client_settings(config))


def test_a_password_file_is_read_at_each_use(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    settings = client_settings(KafkaConfig("k:9092", "SASL_PLAINTEXT", "PLAIN", user="u", password=file))
    assert settings["sasl_plain_password"].read() == PASSWORD
    file.write_text("another")
    assert settings["sasl_plain_password"].read() == "another"
    file.unlink()
    with pytest.raises(BadSettings, match=r"^PEACEWATCH_KAFKA_PASSWORD_FILE: No such file or directory: "):
        settings["sasl_plain_password"].read()


def test_settings_make_the_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    for name, value in {
        "BOOTSTRAP": "a:9093,b:9093",
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_MECHANISM": "SCRAM-SHA-512",
        "USER": "peacewatch",
        "PASSWORD_FILE": str(tmp_path / "password"),
    }.items():
        monkeypatch.setenv(f"PEACEWATCH_KAFKA_{name}", value)
    assert load().kafka == KafkaConfig(
        "a:9093,b:9093", "SASL_SSL", "SCRAM-SHA-512", user="peacewatch", password=tmp_path / "password"
    )
