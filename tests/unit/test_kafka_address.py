"""Kafka clients are made in one place, from one value, and what the value holds never shows."""

from __future__ import annotations

import ast
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.errors import BadSettings
from infra.kafka.address import KafkaConfig
from infra.kafka.security import client_settings
from infra.settings import load
from laptop.services import kafka
from tests.support.secured_kafka import Authority

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
def test_rule_finds_clients_that_are_made_elsewhere(source: str) -> None:
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
        ({"security_protocol": "SSL", "ca": Path("/nowhere")}, "CA: No such file or directory: /nowhere"),
        ({"security_protocol": "SSL", "key": Path(__file__)}, "CERTIFICATE: needed with PEACEWATCH_KAFKA_KEY"),
    ],
)
def test_a_contradiction_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_{complaint}"):
        KafkaConfig("k:9092", **given)
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_{complaint}"):
        _ = load({}, **{f"kafka_{name}": value for name, value in given.items()}).kafka


@pytest.mark.parametrize(
    "bootstrap",
    [
        "",
        "kafka",
        "kafka:",
        "kafka:port",
        ":9092",
        "kafka:9092,",
        "http://kafka:9092",
        "::1:9092",
        "a:1;b:2",
        "a:123456",
    ],
)
def test_malformed_bootstrap_address_is_named(bootstrap: str) -> None:
    with pytest.raises(BadSettings, match=r"^PEACEWATCH_KAFKA_BOOTSTRAP: '.*' is not host:port$"):
        KafkaConfig(bootstrap)


def test_brokers_of_an_address() -> None:
    config = KafkaConfig("a.example:9092, [::1]:9093,10.0.0.7:1")
    assert config.brokers == [("a.example", 9092), ("::1", 9093), ("10.0.0.7", 1)]
    assert client_settings(config)["bootstrap_servers"] == ["a.example:9092", "[::1]:9093", "10.0.0.7:1"]


def test_a_kafka_is_reachable_by_any_of_its_brokers(free_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = f"127.0.0.1:{server.getsockname()[1]}"
        away = f"127.0.0.1:{free_port}"
        assert [kafka.reachable(each) for each in (there, f"{away},{there}", away)] == [True, True, False]


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


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Good files, and all ways to be wrong, by name."""
    folder = tmp_path_factory.mktemp("pems")
    authority = Authority(folder, "authority")
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pass")
    )
    made = {"text": b"hello", "empty": b"", "locked": locked, "binary": bytes(range(256))}
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return {
        **{name: folder / name for name in (*made, "absent")},
        "folder": folder,
        "ca": authority.file,
        "mine": authority.certificate("mine"),  # with its key
        "other": authority.certificate("other"),
    }


NO_FILE = "No such file or directory: "
NO_PEM = r"no certificate with its key \(PEM\) in "


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        *(({"ca": name}, r"CA: no certificate \(PEM\) in ") for name in ("text", "empty", "binary", "locked")),
        *(({"certificate": name}, f"CERTIFICATE: {NO_PEM}") for name in ("text", "empty", "binary", "ca", "locked")),
        *(({"certificate": "mine", "key": n}, r"KEY: no key \(PEM\) in ") for n in ("text", "empty", "binary", "ca")),
        ({"certificate": "mine", "key": "other"}, "KEY: the key in .+ is not that of the certificate in "),
        ({"certificate": "mine", "key": "locked"}, "KEY: the key in .+ has a password; give one without"),
        *(({name: "folder"}, f"{name.upper()}: Is a directory: ") for name in ("ca", "certificate")),
        *(({name: "absent"}, f"{name.upper()}: {NO_FILE}") for name in ("ca", "certificate")),
        ({"certificate": "mine", "key": "absent"}, f"KEY: {NO_FILE}"),
    ],
)
def test_a_file_that_tls_cannot_use_is_named_at_the_start_and_at_a_connection(
    pems: dict[str, Path], tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    wrong: dict[str, Any] = {name: pems[file] for name, file in files.items()}
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_{complaint}"):
        KafkaConfig("k:9092", "SSL", **wrong)
    good = {"ca": "ca", "certificate": "mine", "key": "mine"}
    replaced: dict[str, Any] = {name: tmp_path / name for name in files}
    for name, link in replaced.items():
        link.symlink_to(pems[good[name]])
    context = client_settings(KafkaConfig("k:9092", "SSL", **replaced))["ssl_context"]
    for name, link in replaced.items():
        link.unlink()
        link.symlink_to(pems[files[name]])
    with socket.socket() as connection, pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_{complaint}"):
        context.wrap_socket(connection, server_hostname="k")


def test_hosts_are_checked_unless_a_setting_says_otherwise() -> None:
    for checked in (True, False):
        context = KafkaConfig("k:9092", "SSL", check_hostname=checked).tls()
        assert (context.check_hostname, context.verify_mode) == (checked, ssl.CERT_REQUIRED)


@pytest.mark.parametrize(("content", "complaint"), [(b"\n", "is empty"), (b"\xff", "not UTF-8 text")])
def test_a_password_file_without_a_password_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "password"
    file.write_bytes(content)
    settings = client_settings(KafkaConfig("k:9092", "SASL_PLAINTEXT", "PLAIN", user="u", password=file))
    with pytest.raises(BadSettings, match=f"^PEACEWATCH_KAFKA_PASSWORD_FILE: {complaint}: "):
        settings["sasl_plain_password"].read()
