"""A real broker with SASL_SSL and one with mutual TLS: the settings open it, and what refuses us says so by name."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.admin import ACLOperation, ResourceType
from kafka.errors import KafkaError

from cli import status_facts
from cli.doctor import kafka as doctor
from cli.trace import topic as trace
from fleet import topics
from infra.kafka import clients
from infra.kafka.address import KafkaConfig
from infra.kafka.failures import KafkaRefused, sentence
from infra.kafka.topics import TopicSettings, create_topics
from speed_layer.landing import rejected
from tests.support.acls import listed
from tests.support.last_words import relayed
from tests.support.secured_kafka import DAY, NOW, PASSWORD, Secured, secured_kafka, token

TOPIC = topics.REPORTS

# kafka-python 3.0.12 leaves a socket whose handshake failed to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <ssl:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured_kafka(tmp_path_factory.mktemp("secured")) as broker:
        create_topics(broker.inside, {TOPIC: TopicSettings(1)})
        yield broker


@pytest.fixture(autouse=True)
def _sockets() -> Iterator[None]:
    """They are collected here, where their warning is expected, and not in another test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def user(secured: Secured) -> str:
    """One who may read and write TOPIC."""
    name = f"user-{uuid.uuid4().hex[:8]}"
    secured.add_user(name)
    allow_topic(secured, name)
    return name


def allow_topic(secured: Secured, name: str) -> None:
    operations = (ACLOperation.READ, ACLOperation.WRITE)
    secured.allow(name, *((ResourceType.TOPIC, TOPIC, operation) for operation in operations))


def round_trip(config: KafkaConfig) -> None:
    """Sends a message and reads it back."""
    value = uuid.uuid4().bytes
    with closing(clients.producer(config)) as producer:
        producer.send(TOPIC, value).get(timeout=30)
    with closing(clients.consumer(config, auto_offset_reset="earliest", enable_auto_commit=False)) as consumer:
        consumer.subscribe([TOPIC])
        values: list[bytes] = []
        while value not in values:
            values += [record.value for records in consumer.poll(timeout_ms=500).values() for record in records]


def refused(config: KafkaConfig) -> str:
    with pytest.raises(KafkaRefused) as error:
        clients.producer(config)
    return str(error.value)


def failure(act: Callable[[], object]) -> KafkaError:
    with pytest.raises(KafkaError) as error:
        act()
    return error.value


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_scram_over_tls(secured: Secured, user: str, mechanism: str) -> None:
    round_trip(secured.scram(user, mechanism=mechanism))  # type: ignore[arg-type]


def test_scram_without_tls(secured: Secured, user: str) -> None:
    """Within a network that nobody else is in."""
    address = secured.addresses["OPEN"]
    round_trip(KafkaConfig(address, "SASL_PLAINTEXT", "SCRAM-SHA-512", user=user, password=PASSWORD))


def test_plain_over_tls(secured: Secured) -> None:
    allow_topic(secured, "plain")
    round_trip(secured.scram("plain", mechanism="PLAIN"))


@pytest.mark.parametrize(
    "password", [" in the middle ", 'it\'s "quoted"', "back\\slash", "a=b,c", "пароль-密码", "tab\t!"]
)
def test_password_of_any_characters(secured: Secured, password: str) -> None:
    name = "officer=of,the day"
    secured.add_user(name, password)
    allow_topic(secured, name)
    round_trip(secured.scram(name, password))


def test_mutual_tls(secured: Secured) -> None:
    allow_topic(secured, "CN=officer")
    round_trip(secured.tls(certificate=secured.authority.certificate("officer")))


def test_oauth_token_is_read_again_at_each_connection(secured: Secured, tmp_path: Path) -> None:
    allow_topic(secured, "oauth")
    file = tmp_path / "token"
    file.write_text(token("oauth"))
    config = secured.oauth(file)
    round_trip(config)
    file.write_text("worn out")
    assert "PEACEWATCH_KAFKA_TOKEN" in refused(config)
    file.write_text(token("oauth"))
    round_trip(config)


@pytest.mark.parametrize("way", ["token", "password"])
def test_a_reason_that_comes_together_with_the_end_is_read(secured: Secured, tmp_path: Path, way: str) -> None:
    file = tmp_path / "token"
    file.write_text("worn out")
    config = secured.oauth(file) if way == "token" else secured.scram("plain", "wrong", mechanism="PLAIN")
    with relayed(config.bootstrap) as address:
        assert "Kafka refuses our name or secret" in refused(replace(config, bootstrap=address))


def test_password_file_is_read_again_at_each_connection(secured: Secured, user: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    config = secured.scram(user, file)
    round_trip(config)
    secured.add_user(user, "changed")
    assert "PEACEWATCH_KAFKA_PASSWORD" in refused(config)
    file.write_text("changed")
    round_trip(config)


def test_wrong_password_is_one_sentence_without_it(
    secured: Secured, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    said = refused(secured.scram(user, "wrong-secret-of-mine"))
    assert said.startswith("Kafka refuses our name or secret (PEACEWATCH_KAFKA_USER, PEACEWATCH_KAFKA_PASSWORD")
    assert "wrong-secret-of-mine" not in said + caplog.text


def test_broker_with_expired_certificate(secured: Secured) -> None:
    assert refused(secured.tls("EXPIRED")) == "TLS to Kafka failed: the broker's certificate has expired"


def test_broker_of_another_name(secured: Secured, user: str) -> None:
    said = refused(secured.tls("ELSEWHERE"))
    assert said.startswith("TLS to Kafka failed: the broker's certificate is for another address")


def test_host_name_check_can_be_turned_off(secured: Secured) -> None:
    config = KafkaConfig(secured.addresses["ELSEWHERE"], "SSL", ca=secured.authority.file, check_hostname=False)
    clients.producer(config).close()


def test_broker_that_a_stranger_signed(secured: Secured) -> None:
    said = refused(secured.tls("SASL", ca=secured.stranger.file))
    assert said.startswith("TLS to Kafka failed: no authority that we trust signed the broker's certificate")


@pytest.mark.parametrize("which", ["none", "expired", "stranger's"])
def test_client_certificate_that_the_broker_refuses(secured: Secured, which: str) -> None:
    certificates: dict[str, Callable[[], Any]] = {
        "none": lambda: None,
        "expired": lambda: secured.authority.certificate("late", NOW - DAY),
        "stranger's": lambda: secured.stranger.certificate("nobody"),
    }
    assert "PEACEWATCH_KAFKA_CERTIFICATE" in refused(secured.tls(certificate=certificates[which]()))


def test_missing_acl_names_the_topic(secured: Secured) -> None:
    secured.add_user("nobody")
    with closing(clients.producer(secured.scram("nobody"), max_block_ms=5000)) as producer:
        error = failure(lambda: producer.send(TOPIC, b"x").get(timeout=30))
    said = f"Kafka's ACLs do not let us use the topic: {TOPIC} (docs/kafka-security.md lists them)"
    assert sentence(error) == said


@pytest.mark.parametrize(
    "ask",
    [
        lambda config: list(rejected.read(config, TOPIC)),
        lambda config: trace.near(config, "drone-7", "r-1", []),
        lambda config: status_facts._lags(config, None),
    ],
    ids=["rejects", "trace", "status"],
)
def test_a_topic_that_acls_hide_is_not_taken_for_an_empty_one(
    secured: Secured, ask: Callable[[KafkaConfig], object]
) -> None:
    secured.add_user("nobody")
    error = failure(lambda: ask(secured.scram("nobody")))
    assert (sentence(error) or "").startswith(f"Kafka's ACLs do not let us use the topic: {TOPIC}")


def test_missing_acl_names_the_group(secured: Secured, user: str) -> None:
    with closing(clients.consumer(secured.scram(user), group_id="not-ours")) as consumer:
        consumer.subscribe([TOPIC])
        error = failure(lambda: [consumer.poll(timeout_ms=500) for _ in range(60)])
    assert sentence(error).startswith("Kafka's ACLs do not let us use the consumer group: not-ours")


@pytest.mark.slow
def test_setup_creates_the_topics_that_doctor_misses(secured: Secured, user: str) -> None:
    login = secured.scram(user)
    missing = {finding.what: finding.said for finding in doctor.check(login) if finding.verdict == "unknown"}
    assert "`peacewatch kafka-setup` creates it" in missing[f"topic {topics.ALERTS}"]
    assert "DESCRIBE_CONFIGS" in missing[f"{TOPIC}: settings"]
    rules = [rule.grant for rule in listed()["kafka-setup"]]
    secured.allow_patterns(user, *rules)
    environ = {
        "PEACEWATCH_KAFKA_BOOTSTRAP": login.bootstrap,
        "PEACEWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "PEACEWATCH_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "PEACEWATCH_KAFKA_CA": str(secured.authority.file),
        "PEACEWATCH_KAFKA_USER": user,
        "PEACEWATCH_KAFKA_PASSWORD": PASSWORD,
    }
    for _again in range(2):
        setup = [sys.executable, "-m", "cli", "kafka-setup"]
        result = subprocess.run(setup, env=os.environ | environ, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert topics.ALERT_STATE in result.stdout
    assert not [finding for finding in doctor.check(login) if finding.verdict == "unknown"]


@pytest.mark.slow
def test_clients_outlive_their_token(tmp_path: Path) -> None:
    """The broker ends a session with its token (KIP-368): clients sign in again, by the token of then."""
    session = {"listener.name.sasl.oauthbearer.connections.max.reauth.ms": "2000"}
    with secured_kafka(tmp_path, session) as broker:
        create_topics(broker.inside, {TOPIC: TopicSettings(1)})
        allow_topic(broker, "oauth")
        file, sent, read = tmp_path / "token", 0, list[bytes]()
        file.write_text(token("oauth", lifetime=3))
        config = broker.oauth(file)
        ends_at = time.monotonic() + 10
        with closing(clients.producer(config)) as producer, closing(clients.consumer(config)) as consumer:
            consumer.assign([TopicPartition(TOPIC, 0)])
            consumer.seek_to_beginning()
            while time.monotonic() < ends_at or len(read) < sent:
                (tmp_path / "new").write_text(token("oauth", lifetime=3))
                (tmp_path / "new").replace(file)
                if time.monotonic() < ends_at:
                    producer.send(TOPIC, b"%d" % sent).get(timeout=30)
                    sent += 1
                read += [each.value for records in consumer.poll(timeout_ms=200).values() for each in records]
        assert read == [b"%d" % number for number in range(sent)]
