"""Alerts from a real topic to the lake's second table, each once, and from there to documents of days."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
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
from batch_layer.lake.alert_landing import AlertLandingConfig, Landed
from batch_layer.retention import vacuum
from batch_layer.views import alert_days
from cli.wiring import batch
from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert, conflict_id
from fleet.alerts.landed_alert import PARTITION_BY, SCHEMA
from fleet.errors import NewerLayout, ServiceUnavailable
from fleet.notifications.incident import Intervals
from infra import delta, settings
from infra.kafka import clients
from infra.mongo.client import Documents
from tests.support import lakes

DAY = datetime(2026, 11, 24, 23, 50, tzinfo=UTC)


@pytest.fixture
def config(kafka: str, topic: Callable[..., str], tmp_path: Path) -> AlertLandingConfig:
    return AlertLandingConfig(kafka, str(tmp_path), Intervals(), topic(topics.ALERTS))


@pytest.fixture
def job(tmp_path: Path, mongo_database: Documents) -> Job:
    return Job(mongo_database, str(tmp_path), lakes.arrow_engine)


def alert(number: int, minutes: int = 0, **changes: Any) -> Alert:
    at = DAY + timedelta(minutes=minutes)
    country = changes.pop("country", "Mali")
    kind = changes.get("kind", "unrest")
    one = Alert(f"{kind}/d/{number}", kind, "high", f"{kind}/{country}", f"r{number}", "d", at, at, country, "a city")
    return msgspec.structs.replace(one, **changes)


def send(config: AlertLandingConfig, *alerts: Alert | bytes) -> None:
    producer = clients.producer(config.bootstrap)
    for each in alerts:
        value, key = (each, b"") if isinstance(each, bytes) else (wire.encode(each), each.incident_key.encode())
        producer.send(config.topic, value, key=key)
    producer.close()


def landed(config: AlertLandingConfig) -> list[str]:
    rows = DeltaTable(f"{config.lake}/alerts").to_pyarrow_table()
    return sorted(row["alert_id"] for row in rows.to_pylist() if row["alert_count"])


def test_each_alert_lands_once_however_often_it_is_read(config: AlertLandingConfig) -> None:
    send(config, *(alert(number) for number in range(5)), b"no alert")
    assert alert_landing.land(config) == Landed(5)
    assert alert_landing.land(config) == Landed(0)
    send(config, alert(3), alert(5), alert(6, country="Chad"), alert(7, country="Togo"))  # a duplicate, and others
    assert alert_landing.land(config) == Landed(4)
    assert landed(config) == [f"unrest/d/{number}" for number in range(8)]


def test_other_content_under_a_known_id_lands_as_an_alert_of_its_own_also_in_an_older_table(
    config: AlertLandingConfig,
) -> None:
    older = pa.schema([column for column in SCHEMA if column.name != "content"])
    DeltaTable.create(f"{config.lake}/alerts", older, partition_by=list(PARTITION_BY))
    other = alert(1, message="other words")
    send(config, alert(1), other, alert(1))
    assert alert_landing.land(config) == Landed(3)
    assert landed(config) == ["unrest/d/1", conflict_id(other)]
    send(config, other, alert(1, message="a third"))  # known from the rows, by another run
    assert alert_landing.land(config) == Landed(2)
    assert len(landed(config)) == 3


def test_an_alert_of_a_newer_version_stops_the_run_and_lands_with_that_version(
    config: AlertLandingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(config, alert(1), wire.encode(alert(2)).replace(b"{", b'{"layout": 2, ', 1), alert(3))
    said = rf"^{config.topic}-\d+-1: an alert has layout 2 and this version of Peacewatch knows 1"
    for _ in range(2):
        with pytest.raises(NewerLayout, match=said):
            alert_landing.land(config)
    monkeypatch.setattr(wire._codec, "_layout", 2)
    alert_landing.land(config)
    assert landed(config) == [f"unrest/d/{number}" for number in (1, 2, 3)]


def test_one_of_two_runs_at_once_lands_alerts(config: AlertLandingConfig) -> None:
    send(config, alert(1))

    def the_other_lands(_step: str) -> None:
        assert alert_landing.land(config) == Landed(1)

    assert alert_landing.land(replace(config, failpoint=the_other_lands)) == Landed(0)
    assert landed(config) == ["unrest/d/1"]


def test_losses_are_recorded_once_and_stay(config: AlertLandingConfig, job: Job) -> None:
    number = [alert(n) for n in range(6)]
    send(config, number[0], number[1])
    assert alert_landing.land(config) == Landed(2)
    alert_days.run(job)
    send(config, *number[2:5])
    at = _partition(config)
    with closing(clients.admin(config.bootstrap)) as admin:
        admin.delete_records({at: 5})
        assert alert_landing.land(config) == Landed(0, 3), "also where nothing came after them"
        assert alert_landing.land(config) == Landed()
        send(config, number[5])
        admin.delete_records({at: 6})
        send(config, number[0])
    assert alert_landing.land(config) == Landed(1, 1)
    for _ in range(2):  # a run, and one in an emptied database
        alert_days.run(job)
        recorded = list(job.database.losses.find().sort("first"))
        assert [(each["first"], each["messages"], each["table"]) for each in recorded] == [
            (2, 3, "alerts"),
            (5, 1, "alerts"),
        ]
        assert all(each["after"] < each["before"] <= each["noticed_at"] + timedelta(seconds=11) for each in recorded)
        job.database.client.drop_database(job.database.name)


def test_losses_of_an_idle_partition_are_after_the_previous_run(config: AlertLandingConfig, job: Job) -> None:
    config = replace(config, clocks_apart=timedelta(0))  # one machine, one clock
    send(config, alert(0))
    alert_landing.land(config)
    at = _partition(config)
    before = datetime.now(UTC)
    _send_to(config, TopicPartition(config.topic, 1 - at.partition))
    assert alert_landing.land(config) == Landed(1), "which looks at both"
    alert_days.run(job)
    with closing(clients.admin(config.bootstrap)) as admin:
        _send_to(config, at)
        admin.delete_records({at: 2})
    assert alert_landing.land(config) == Landed(0, 1)
    alert_days.run(job)
    [loss] = job.database.losses.find()
    assert before - timedelta(milliseconds=1) <= loss["after"] < loss["before"]


def _send_to(config: AlertLandingConfig, at: TopicPartition) -> None:
    with closing(clients.producer(config.bootstrap)) as producer:
        producer.send(config.topic, wire.encode(alert(1)), partition=at.partition).get(30)


def _partition(config: AlertLandingConfig) -> TopicPartition:
    rows = DeltaTable(f"{config.lake}/alerts").to_pyarrow_table()
    return TopicPartition(config.topic, rows["kafka_partition"][0].as_py())


def test_days_have_alerts_by_kind_and_the_incidents_that_began(config: AlertLandingConfig, job: Job) -> None:
    assert alert_days.run(job).computed == 0, "there is no table yet"
    send(config, alert(1), alert(2, 5), alert(3, 20), alert(3, 20), alert(4, kind="silent", verified=False))
    alert_landing.land(config)
    assert alert_days.run(job).computed == 2
    assert alert_days.run(job).computed == 0
    send(config, alert(5, 20 + 35))
    alert_landing.land(config)
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


def test_incidents_are_counted_by_the_intervals_of_the_settings(config: AlertLandingConfig) -> None:
    loaded = settings.load(incident_quiet_seconds=60, incident_resolve_seconds=120, lake=config.lake)
    shorter = replace(batch.alert_landing(loaded), bootstrap=config.bootstrap, topic=config.topic)
    send(config, alert(1), alert(2, 2), alert(3, 5))
    assert alert_landing.land(shorter) == Landed(3)
    rows = DeltaTable(f"{config.lake}/alerts").to_pyarrow_table().sort_by("kafka_offset")
    assert rows["incident_count"].to_pylist() == [1, 0, 1], "three minutes end it, as they do for the notifier"


def test_the_tables_small_files_are_joined_and_then_deleted(config: AlertLandingConfig) -> None:
    assert vacuum.alerts(config.lake, dry_run=False) == [], "there is no table yet"
    for number in range(3):
        send(config, alert(number))
        alert_landing.land(config)
    pinned = delta.pin(config.lake, table=delta.ALERTS, schema=SCHEMA)
    planned = compact.groups(pinned, int(DAY.timestamp()) // 3600 + 24)
    done = compact.run(config.lake, planned, table=delta.ALERTS, schema=SCHEMA)
    assert [(len(each.group.files), each.reason) for each in done] == [(3, "")]
    assert (landed(config), alert_landing.land(config)) == ([f"unrest/d/{number}" for number in range(3)], Landed())
    assert vacuum.alerts(config.lake, dry_run=True) == [], "they are younger than a day"
    assert len(vacuum.alerts(config.lake, timedelta(0), dry_run=False)) == 3


def test_kafka_away_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match=r"^Kafka does not answer[^\n]*$"):
        alert_landing.land(AlertLandingConfig("127.0.0.1:9", str(tmp_path), Intervals(), bootstrap_ms=500))


def test_without_a_topic_nothing_lands(kafka: str, tmp_path: Path) -> None:
    assert alert_landing.land(AlertLandingConfig(kafka, str(tmp_path), Intervals(), "no-such-topic")) == Landed()
