"""`peacewatch doctor` against real services: what is fine is called fine, what is wrong is named with its mend."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from cli.doctor import discord, jobs, kafka, stores
from cli.doctor.finding import Finding
from fleet import topics
from infra.kafka import clients
from infra.kafka.address import KafkaConfig
from infra.kafka.topics import TOPICS, create_topics
from laptop import ports
from tests.support import standin


def by_what(findings: Iterable[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


@pytest.fixture(scope="module")
def with_topics(kafka: str) -> str:
    create_topics(kafka)
    return kafka


def test_a_laptops_kafka_is_fine(with_topics: str) -> None:
    findings = by_what(kafka.check(KafkaConfig(with_topics), replicas=1))
    assert {what: finding.said for what, finding in findings.items() if finding.verdict != "fine"} == {}
    assert findings["reachable"].said == "1 broker"
    assert findings[f"{topics.REPORTS}: kept for"].said == "168 hours"


def test_versions_and_rights_of_a_real_broker_are_shown(with_topics: str) -> None:
    findings = by_what(kafka.check(KafkaConfig(with_topics), replicas=1))
    assert findings["version"].said.startswith("4.")
    assert findings[f"{topics.REPORTS}: allowed"].said.count("read") == 1


@pytest.mark.parametrize(
    ("versions", "expected"),
    [({(4, 1)}, "fine"), ({(2, 8), (4, 1)}, "fine"), ({(2, 7), (4, 1)}, "wrong")],
)
def test_the_oldest_broker_decides(versions: set[tuple[int, ...]], expected: str) -> None:
    assert kafka.version(versions).verdict == expected


@pytest.mark.parametrize(
    ("operations", "expected"),
    [({"READ"}, "fine"), ({"WRITE", "DESCRIBE"}, "fine"), ({"DESCRIBE"}, "wrong"), (set(), "wrong")],
)
def test_a_user_who_may_neither_read_nor_write_a_topic_is_wrong(operations: set[str], expected: str) -> None:
    finding = kafka.allowed(topics.ALERTS, operations)
    assert finding.verdict == expected
    assert expected == "fine" or "docs/kafka-security.md" in finding.mend


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, "fine"), (4.0, "fine"), (6.0, "wrong"), (-6.0, "wrong")])
def test_clocks_that_differ_are_wrong(seconds: float, expected: str) -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    assert stores.clock(stores.MONGO, now + timedelta(seconds=seconds), now).verdict == expected


@pytest.mark.parametrize(("version", "expected"), [("6.0.5", "fine"), ("8.0.1", "fine"), ("5.0.9", "wrong")])
def test_an_old_mongodb_is_wrong(version: str, expected: str) -> None:
    assert stores.mongo_version(version).verdict == expected


def test_a_mongodb_that_stands_alone_is_wrong() -> None:
    finding = stores.replica_set({"isWritablePrimary": True})
    assert (finding.verdict, "--replSet" in finding.mend) == ("wrong", True)
    assert stores.replica_set({"setName": "rs0", "hosts": ["a", "b", "c"]}).said == "rs0, 3 members"


@pytest.mark.parametrize(("free", "expected"), [(stores.FREE_BYTES, "fine"), (stores.FREE_BYTES - 1, "wrong")])
def test_a_full_disk_is_wrong(free: int, expected: str) -> None:
    assert stores.enough_space("home", free).verdict == expected


@pytest.mark.parametrize(
    ("pools", "has_connection", "wrong"),
    [
        ({"spark": 1, "reports": 1}, True, []),
        ({"spark": 4, "reports": 1}, True, []),
        ({"spark": 0, "reports": 1}, True, ["pool spark"]),
        ({"spark": 1, "reports": 2}, True, ["pool reports"]),
        ({"spark": 1}, True, ["pool reports"]),
        ({"spark": 1, "reports": 1}, False, ["connection peacewatch_spark"]),
    ],
)
def test_airflows_pools_and_connection(pools: dict[str, int], has_connection: bool, wrong: list[str]) -> None:
    findings = list(jobs.pools_and_connection(pools, has_connection))
    assert [finding.what for finding in findings if finding.verdict == "wrong"] == wrong
    assert len(findings) == 3


def test_a_database_of_airflow_without_tables_is_wrong_and_names_the_command_that_creates_them(tmp_path: Path) -> None:
    (finding,) = jobs.check_airflow({"AIRFLOW_HOME": str(tmp_path)})
    assert (finding.what, finding.verdict) == ("database", "wrong")
    assert "`peacewatch airflow-setup` creates its tables" in finding.mend


def test_too_few_replicas_are_named_with_the_command_that_mends_them(with_topics: str) -> None:
    finding = by_what(kafka.check(KafkaConfig(with_topics)))[f"{topics.ALERTS}: replicas"]
    assert finding.verdict == "wrong"
    assert finding.said.startswith("1, of which 1 must have a message")
    assert "kafka-reassign-partitions.sh to 3 replicas" in finding.mend
    assert f"--entity-name {topics.ALERTS} --add-config min.insync.replicas=2" in finding.mend


@pytest.mark.parametrize(
    ("what", "config"),
    [
        (f"{topics.REPORTS}: the broker's time", {"message.timestamp.type": "CreateTime"}),
        (f"{topics.REPORTS}: kept for", {"retention.ms": "3600000"}),
    ],
)
def test_a_topic_that_breaks_its_contract_is_wrong(with_topics: str, what: str, config: dict[str, str]) -> None:
    resource = ConfigResource(ConfigResourceType.TOPIC, topics.REPORTS, config)
    usual = ConfigResource(ConfigResourceType.TOPIC, topics.REPORTS, dict(TOPICS[topics.REPORTS].all_config))
    with closing(clients.admin(with_topics)) as admin:
        admin.alter_configs([resource], incremental=True)
        try:
            finding = by_what(kafka.check(KafkaConfig(with_topics), replicas=1))[what]
        finally:
            admin.alter_configs([usual], incremental=True)
    assert finding.verdict == "wrong"
    assert f"kafka-configs.sh --alter --entity-type topics --entity-name {topics.REPORTS}" in finding.mend


def test_a_kafka_that_is_away_is_wrong() -> None:
    [finding] = kafka.check(KafkaConfig(f"127.0.0.1:{ports.free_port()}"))
    assert (finding.what, finding.verdict) == ("reachable", "wrong")
    assert "PEACEWATCH_KAFKA_BOOTSTRAP" in finding.mend


def test_a_real_mongodb_is_fine(mongo_uri: str) -> None:
    findings = by_what(stores.check_mongo(mongo_uri))
    assert {what: finding.verdict for what, finding in findings.items()} == dict.fromkeys(
        ("version", "replica set", "clock", "may write"), "fine"
    )


def test_a_mongodb_that_is_away_is_wrong_and_its_uri_stays_secret() -> None:
    [finding] = stores.check_mongo(f"mongodb://me:hunter2@127.0.0.1:{ports.free_port()}/fleet")
    assert (finding.what, finding.verdict) == ("reachable", "wrong")
    assert "hunter2" not in json.dumps(finding.as_json())


def test_a_folder_is_a_lake_where_it_can_be_written(tmp_path: Path) -> None:
    findings = by_what(stores.check_lake(str(tmp_path / "not" / "there" / "yet")))
    assert findings["may write"].verdict == "fine"


def test_one_of_several_masters_is_enough() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        master = f"127.0.0.1:{server.getsockname()[1]}"
        for named in (f"spark://{master}", f"spark://127.0.0.1:1,{master}"):
            finding = by_what(jobs.check_spark(named))["master"]
            assert (finding.verdict, finding.said) == ("fine", f"{master} accepts connections")


def test_a_file_is_no_lake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = by_what(stores.check_lake(str(tmp_path / "file" / "lake")))
    assert findings["may write"].verdict == "wrong"


def test_a_store_that_does_not_answer_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports.free_port()}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "eu-north-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)
    [finding] = stores.check_lake("s3://bucket/lake")
    assert (finding.what, finding.verdict) == ("conditional writes", "wrong")


@pytest.mark.parametrize(
    ("master", "verdict"),
    [
        *(("local[2]", "fine"), ("yarn", "fine"), ("spark://127.0.0.1:1", "wrong"), ("spark-host:7077", "wrong")),
        *(
            (wrong, "wrong")
            for wrong in ("spark://", "spark://a:1,", "spark://a:1,b", "spark://[::1]:1", "spark://a:999999")
        ),
    ],
)
def test_the_master_is_looked_at(master: str, verdict: str) -> None:
    findings = by_what(jobs.check_spark(master))
    assert (findings["Java"].verdict, findings["master"].verdict) == ("fine", verdict)


@pytest.mark.parametrize("version", [None, "11.0.2"], ids=["none", "too old"])
def test_a_java_that_spark_cannot_use_is_wrong(
    version: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if version is not None:
        program = tmp_path / "bin" / "java"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    finding = by_what(jobs.check_spark("local[2]"))["Java"]
    assert (finding.verdict, "Java 17" in finding.said, "JAVA_HOME" in finding.mend) == ("wrong", True, True)


def test_a_webhook_is_asked_who_it_is(tmp_path: Path) -> None:
    with standin.serving(tmp_path) as server:
        url = f"http://127.0.0.1:{server.server_port}{standin.ALERTS}"
        findings = by_what(discord.check({"A": url, "B": f"{url}-wrong", "C": None}))
    assert {what: finding.verdict for what, finding in findings.items()} == {"A": "fine", "B": "wrong", "C": "wrong"}
    assert url not in json.dumps([finding.as_json() for finding in findings.values()])


def test_a_webhook_without_tls_off_loopback_is_wrong() -> None:
    [finding] = discord.check({"A": "http://discord.example.org/api/webhooks/1/token"})
    assert (finding.verdict, "https" in finding.said) == ("wrong", True)


def test_the_command_prints_a_table_and_ends_with_1_when_something_is_wrong(
    with_topics: str, mongo_uri: str, tmp_path: Path
) -> None:
    environ = {
        "PATH": "/usr/bin:/bin",
        "PEACEWATCH_KAFKA_BOOTSTRAP": with_topics,
        "PEACEWATCH_MONGO_URI": mongo_uri,
        "PEACEWATCH_HOME": str(tmp_path),
        "COLUMNS": "160",
    }
    command = [sys.executable, "-m", "cli", "doctor"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "wrong" in result.stdout
    assert "→ nothing is safe once a broker fails" in result.stdout
    as_json = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=False)
    parts = {finding["part"] for finding in json.loads(as_json.stdout)}
    assert parts >= {"Kafka", "MongoDB", "lake", "Spark", "Airflow", "Discord"}
