"""Alerts from a real topic to the lake's second table, each once, and from there to documents of days."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from kafka import TopicPartition

from batch_layer.job import Job
from batch_layer.lake import alert_landing, compact
from batch_layer.lake.alert_landing import AlertTopic, Landed
from batch_layer.retention import vacuum
from batch_layer.views import alert_days
from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert, conflict_id
from fleet.alerts.landed_alert import PARTITION_BY, SCHEMA
from fleet.errors import ServiceUnavailable
from infra import delta
from infra.kafka import clients
from infra.mongo.client import Documents
from tests.support import lakes

DAY = datetime(2026, 11, 24, 23, 50, tzinfo=UTC)


@pytest.fixture
def source(kafka: str, topic: Callable[..., str], tmp_path: Path) -> AlertTopic:
    return AlertTopic(kafka, str(tmp_path), topic(topics.ALERTS))


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine)


def alert(number: int, minutes: int = 0, **changes: Any) -> Alert:
    at = DAY + timedelta(minutes=minutes)
    country = changes.pop("country", "Mali")
    kind = changes.get("kind", "unrest")
    one = Alert(f"{kind}/d/{number}", kind, "high", f"{kind}/{country}", f"r{number}", "d", at, at, country, "a city")
    return msgspec.structs.replace(one, **changes)


def send(source: AlertTopic, *alerts: Alert | bytes) -> None:
    producer = clients.producer(source.bootstrap)
    for each in alerts:
        value, key = (each, b"") if isinstance(each, bytes) else (wire.encode(each), each.incident_key.encode())
        producer.send(source.name, value, key=key)
    producer.close()


def landed(source: AlertTopic) -> list[str]:
    rows = DeltaTable(f"{source.lake}/alerts").to_pyarrow_table()
    return sorted(row["alert_id"] for row in rows.to_pylist() if row["alert_count"])


def test_each_alert_lands_once_however_often_it_is_read(source: AlertTopic) -> None:
    send(source, *(alert(number) for number in range(5)), b"no alert")
    assert alert_landing.land(source) == Landed(5)
    assert alert_landing.land(source) == Landed(0)
    send(source, alert(3), alert(5), alert(6, country="Chad"), alert(7, country="Togo"))  # a duplicate, and others
    assert alert_landing.land(source) == Landed(4)
    assert landed(source) == [f"unrest/d/{number}" for number in range(8)]


def test_other_content_under_a_known_id_lands_as_an_alert_of_its_own_also_in_an_older_table(
    source: AlertTopic,
) -> None:
    older = pa.schema([column for column in SCHEMA if column.name != "content"])
    DeltaTable.create(f"{source.lake}/alerts", older, partition_by=list(PARTITION_BY))
    other = alert(1, message="other words")
    send(source, alert(1), other, alert(1))
    assert alert_landing.land(source) == Landed(3)
    assert landed(source) == ["unrest/d/1", conflict_id(other)]
    send(source, other, alert(1, message="a third"))  # known from the rows, by another run
    assert alert_landing.land(source) == Landed(2)
    assert len(landed(source)) == 3


def test_of_two_at_once_one_lands(source: AlertTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    send(source, alert(1))
    commit = alert_landing._commit

    def conflicting(*asked: Any) -> bool:
        monkeypatch.setattr(alert_landing, "_commit", commit)
        assert alert_landing.land(source) == Landed(1)
        return commit(*asked)

    monkeypatch.setattr(alert_landing, "_commit", conflicting)
    assert alert_landing.land(source) == Landed(0)
    assert landed(source) == ["unrest/d/1"]


def test_what_expired_before_it_landed_is_recorded_once_and_stays(source: AlertTopic, job: Job) -> None:
    number = [alert(n) for n in range(6)]
    send(source, number[0], number[1])
    assert alert_landing.land(source) == Landed(2)
    alert_days.run(job)
    send(source, *number[2:5])
    at = _partition(source)
    with closing(clients.admin(source.bootstrap)) as admin:
        admin.delete_records({at: 5})
        assert alert_landing.land(source) == Landed(0, 3), "also where nothing came after them"
        assert alert_landing.land(source) == Landed()
        send(source, number[5])
        admin.delete_records({at: 6})
        send(source, number[0])
    assert alert_landing.land(source) == Landed(1, 1)
    for _ in range(2):  # a run, and one in an emptied database
        alert_days.run(job)
        recorded = list(job.database.losses.find().sort("first"))
        assert [(each["first"], each["messages"], each["table"]) for each in recorded] == [
            (2, 3, "alerts"),
            (5, 1, "alerts"),
        ]
        assert all(each["after"] < each["before"] <= each["noticed_at"] + timedelta(seconds=11) for each in recorded)
        job.database.client.drop_database(job.database.name)


def test_what_expired_of_an_idle_partition_came_after_the_run_before(
    source: AlertTopic, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_landing, "_APART_MS", 0)  # one machine, one clock
    send(source, alert(0))
    alert_landing.land(source)
    at = _partition(source)
    before = datetime.now(UTC)
    _send_to(source, TopicPartition(source.name, 1 - at.partition))
    assert alert_landing.land(source) == Landed(1), "which looks at both"
    alert_days.run(job)
    with closing(clients.admin(source.bootstrap)) as admin:
        _send_to(source, at)
        admin.delete_records({at: 2})
    assert alert_landing.land(source) == Landed(0, 1)
    alert_days.run(job)
    [loss] = job.database.losses.find()
    assert before - timedelta(milliseconds=1) <= loss["after"] < loss["before"]


def _send_to(source: AlertTopic, at: TopicPartition) -> None:
    with closing(clients.producer(source.bootstrap)) as producer:
        producer.send(source.name, wire.encode(alert(1)), partition=at.partition).get(30)


def _partition(source: AlertTopic) -> TopicPartition:
    rows = DeltaTable(f"{source.lake}/alerts").to_pyarrow_table()
    return TopicPartition(source.name, rows["kafka_partition"][0].as_py())


def test_days_have_alerts_by_kind_and_the_incidents_that_began(source: AlertTopic, job: Job) -> None:
    assert alert_days.run(job).computed == 0, "there is no table yet"
    send(source, alert(1), alert(2, 5), alert(3, 20), alert(3, 20), alert(4, kind="silent", verified=False))
    alert_landing.land(source)
    assert alert_days.run(job).computed == 2
    assert alert_days.run(job).computed == 0
    send(source, alert(5, 20 + 35))
    alert_landing.land(source)
    assert alert_days.run(job).computed == 1, "the day that was touched"
    found = {document["_id"]: document["cells"] for document in job.database.alert_days.find()}
    assert found["2026-11-24"] == {
        "kind": ["silent", "unrest"],
        "severity": ["high", "high"],
        "country": ["Mali", "Mali"],
        "alerts": [1, 2],
        "unverified": [1, 0],
        "incidents": [1, 1],
    }
    assert (found["2026-11-25"]["alerts"], found["2026-11-25"]["incidents"]) == ([2], [1])
    before = list(job.database.alert_days.find({}, {"version": 0}).sort("_id"))
    job.database.client.drop_database(job.database.name)
    alert_days.run(job, rebuild=True)
    assert list(job.database.alert_days.find({}, {"version": 0}).sort("_id")) == before


def test_the_tables_small_files_are_joined_and_then_deleted(source: AlertTopic) -> None:
    assert vacuum.alerts(source.lake, dry_run=False) == [], "there is no table yet"
    for number in range(3):
        send(source, alert(number))
        alert_landing.land(source)
    pinned = delta.pin(source.lake, table=delta.ALERTS, schema=SCHEMA)
    planned = compact.groups(pinned, int(DAY.timestamp()) // 3600 + 24)
    done = compact.run(source.lake, planned, table=delta.ALERTS, schema=SCHEMA)
    assert [(len(each.group.files), each.reason) for each in done] == [(3, "")]
    assert (landed(source), alert_landing.land(source)) == ([f"unrest/d/{number}" for number in range(3)], Landed())
    assert vacuum.alerts(source.lake, dry_run=True) == [], "they are younger than a day"
    assert len(vacuum.alerts(source.lake, timedelta(0), dry_run=False)) == 3


def test_kafka_away_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_landing, "BOOTSTRAP_MS", 500)
    with pytest.raises(ServiceUnavailable, match=r"^Kafka does not answer[^\n]*$"):
        alert_landing.land(AlertTopic("127.0.0.1:9", str(tmp_path)))


def test_without_a_topic_nothing_lands(kafka: str, tmp_path: Path) -> None:
    assert alert_landing.land(AlertTopic(kafka, str(tmp_path), "no-such-topic")) == Landed()
