"""Rejected messages as the API shows them: what is on the topic now, read from a real Kafka."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import pytest

from infra.kafka import clients
from serving.app import create_app
from serving.config import Config
from serving.rejected import EXCERPT, NEWEST

NOWHERE = "mongodb://127.0.0.1:1/nothing?connect=false"


def test_newest_rejected_messages_and_their_counts(kafka: str, topic: Callable[..., str]) -> None:
    name = topic("reports.rejected", partitions=3)
    app = create_app(Config(mongo_uri=NOWHERE, kafka_bootstrap=kafka, rejected_topic=name))
    client = app.test_client()
    assert client.get("/api/v1/rejects").get_json() == {"last_hour": 0, "last_day": 0, "newest": []}
    app.extensions["peacewatch"].close()
    values = [f"message {number}".encode() for number in range(NEWEST + 5)] + [b"<script>\xff" + b"x" * 4000]
    producer = clients.producer(kafka)
    for number, value in enumerate(values):
        headers = [("reason", b"no_json"), ("detail", b"at 3"), ("received_at", b"2026-11-24T12:00:00.000Z")]
        producer.send(name, value, headers=headers, partition=number % 3).get(30)
    producer.send(name, None, key=b"d1", partition=0).get(30)
    producer.close()
    app = create_app(Config(mongo_uri=NOWHERE, kafka_bootstrap=kafka, rejected_topic=name))
    answer = app.test_client().get("/api/v1/rejects").get_json()
    app.extensions["peacewatch"].close()
    assert (answer["last_hour"], answer["last_day"], len(answer["newest"])) == (NEWEST + 7, NEWEST + 7, NEWEST)
    by_text = {row["excerpt"]: row for row in answer["newest"]}
    assert by_text.keys() >= {f"message {number}" for number in range(NEWEST, NEWEST + 5)}
    bare, long = by_text[""], by_text["<script>�" + "x" * (EXCERPT - 9)]
    assert (bare["bytes"], bare["reason"], bare["received_at"]) == (0, "", None)
    assert (long["bytes"], long["reason"], long["detail"]) == (4009, "no_json", "at 3")
    assert long["received_at"] == "2026-11-24T12:00:00Z"
    times = [datetime.fromisoformat(row["rejected_at"]) for row in answer["newest"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("bootstrap", [None, "127.0.0.1:1"])
def test_without_kafka_rejected_messages_are_503(bootstrap: str | None) -> None:
    app = create_app(Config(mongo_uri=NOWHERE, kafka_bootstrap=bootstrap))
    before = threading.active_count()
    answer = app.test_client().get("/api/v1/rejects")
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert int(answer.headers["Retry-After"]) > 0
    assert threading.active_count() <= before, "somebody asks every five seconds"
    app.extensions["peacewatch"].close()


def test_conflicting_report_is_shown_with_its_reason(kafka: str, topic: Callable[..., str]) -> None:
    """The second report of one drone, id and time, with other content: which is counted, is shown, and is not lost."""
    name = topic("reports.rejected", partitions=1)
    producer = clients.producer(kafka)
    headers = [("reason", b"conflict"), ("detail", b"d1/7: other content than the report that landed")]
    producer.send(name, b'{"drone_id": "d1", "report_id": "7"}', headers=headers, partition=0).get(30)
    producer.close()
    app = create_app(Config(mongo_uri=NOWHERE, kafka_bootstrap=kafka, rejected_topic=name))
    (row,) = app.test_client().get("/api/v1/rejects").get_json()["newest"]
    app.extensions["peacewatch"].close()
    assert (row["reason"], row["detail"]) == ("conflict", "d1/7: other content than the report that landed")
    assert row["excerpt"] == '{"drone_id": "d1", "report_id": "7"}'
