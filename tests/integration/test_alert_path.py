"""Reports on a real Kafka, through alerting and notifier, to a channel that counts what it is sent."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from pymongo import MongoClient
from pymongo.database import Database

from fleet import report as reports
from fleet import topics
from fleet.report import Citizen, Report
from fleet.rules import LowBattery, Rules
from speed_layer import alerting, notifier, recorder
from speed_layer.delivery import Sender
from speed_layer.discord import Webhook
from stack import mongo


class Channel:
    """What a channel shows: the newest form of each message. Takes 30 requests a minute, like the real one."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.posts = 0
        self.refusals = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert body["allowed_mentions"] == {"parse": []}
        if request.method == "POST":
            self.posts += 1
            message_id = str(self.posts)
        else:
            message_id = request.url.path.rsplit("/", 1)[1]
            if message_id not in self.messages:
                return httpx.Response(404, json={"code": 10008, "message": "Unknown Message"})
        self.messages[message_id] = body
        return httpx.Response(200, json={"id": message_id})

    @property
    def told(self) -> int:
        return sum(
            int(field["value"])
            for message in self.messages.values()
            for embed in message["embeds"]
            for field in embed["fields"]
            if field["name"] == "Alerts"
        )

    def sender(self) -> Sender:
        client = httpx.Client(transport=httpx.MockTransport(self.handle))
        url = "http://discord.test/api/webhooks/1/secret"
        return Sender(lambda: url, "http://page", time.monotonic, connect=lambda at: Webhook(at, client))


@contextmanager
def running(target: Callable[..., None], *args: Any) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=target, args=(*args, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def report(number: int, alert: bool = True, city: str = "Hamburg", battery: float = 60.0) -> Report:
    return Report(
        report_id=f"r{number}",
        drone_id=f"d{number % 7}",
        reported_at=datetime.now(UTC),
        latitude=53.55,
        longitude=9.99,
        battery=battery,
        citizens=[Citizen("Ada *Lovelace* @everyone", 2)],
        message="https://evil.example shouting",
        alert=alert,
        country="Germany",
        city=city,
    )


@pytest.fixture
def names(topic: Callable[..., str]) -> dict[str, str]:
    return {
        "reports": topic(topics.REPORTS),
        "alerts": topic(topics.ALERTS),
        "state": topic(topics.ALERT_STATE),
        "deliveries": topic(topics.DELIVERIES, 1),
        "actions": topic(topics.OPERATOR_ACTIONS, 1),
    }


def configs(kafka: str, names: dict[str, str]) -> tuple[alerting.AlertingConfig, notifier.NotifierConfig]:
    group = names["reports"]
    return (
        alerting.AlertingConfig(
            kafka, group=f"a-{group}", reports=names["reports"], alerts=names["alerts"], state=names["state"]
        ),
        notifier.NotifierConfig(
            kafka,
            group=f"n-{group}",
            alerts=names["alerts"],
            deliveries=names["deliveries"],
            actions=names["actions"],
            state=names["state"],
        ),
    )


def send(kafka: str, topic: str, *values: bytes | Report) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka)
    for value in values:
        if isinstance(value, Report):
            producer.send(topic, reports.encode(value), key=value.drone_id.encode())
        else:
            producer.send(topic, value, key=b"?")
    producer.flush()
    producer.close()


def read(kafka: str, topic: str) -> list[dict[str, Any]]:
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning()
    found: list[dict[str, Any]] = []
    while any(consumer.position(p) < ends[p] for p in partitions):
        found += [json.loads(r.value) for records in consumer.poll(500).values() for r in records]
    consumer.close()
    return found


def test_every_alert_is_told_once(
    kafka: str, names: dict[str, str], mongo_database: Database[Any], mongo_uri: str
) -> None:
    channel = Channel()
    judging, telling = configs(kafka, names)
    recording = recorder.RecorderConfig(
        kafka, mongo_uri, group=f"r-{names['alerts']}", alerts=names["alerts"], deliveries=names["deliveries"]
    )
    with (
        running(alerting.run, judging),
        running(notifier.run, telling, channel.sender),
        running(recorder.run, recording),
    ):
        send(kafka, names["reports"], report(1), report(2, alert=False), b'{"alert": true, "drone_id": 7, "oops')
        wait_for(lambda: channel.told == 2)
        send(kafka, names["reports"], *(report(n, city=f"City {n % 20}") for n in range(10, 110)))
        wait_for(lambda: channel.told == 102)
        wait_for(lambda: mongo_database["alerts"].count_documents({"delivered_at": {"$ne": None}}) == 102)
    deliveries = read(kafka, names["deliveries"])
    told = [alert_id for delivery in deliveries for alert_id in delivery["alert_ids"]]
    assert len(told) == len(set(told)) == 102
    assert {alert["alert_id"] for alert in read(kafka, names["alerts"])} == set(told)
    assert mongo_database["alerts"].count_documents({"verified": False}) == 1
    assert mongo_database["incidents"].count_documents({}) == 22
    first = documents(mongo_database)
    mongo_database["alerts"].delete_one({"_id": told[0]})
    with running(recorder.run, dataclasses.replace(recording, group=f"again-{names['alerts']}")):
        wait_for(lambda: documents(mongo_database) == first)
    assert documents(mongo_database) == first, "both topics from their beginning once more make the same documents"
    mongo_database["incidents"].update_many({}, {"$set": {"message_id": ""}})
    recorder.resolve(mongo_database, datetime.now(UTC))
    assert mongo_database["incidents"].count_documents({"state": "resolved"}) == 22


def documents(database: Database[Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: list(database[name].find(sort=[("_id", 1)])) for name in ("alerts", "incidents")}


def test_a_new_notifier_goes_on_where_the_old_one_was(kafka: str, names: dict[str, str]) -> None:
    channel = Channel()
    judging, telling = configs(kafka, names)
    with running(alerting.run, judging):
        with running(notifier.run, telling, channel.sender):
            send(kafka, names["reports"], report(1))
            wait_for(lambda: channel.told == 1)
        send(kafka, names["reports"], report(2), report(1), report(3))  # one of them a copy
        with running(notifier.run, telling, channel.sender):
            wait_for(lambda: channel.told == 3)
    assert channel.posts == 1
    assert sorted(i for d in read(kafka, names["deliveries"]) for i in d["alert_ids"]) == [
        "unrest/d1/r1",
        "unrest/d2/r2",
        "unrest/d3/r3",
    ]


def test_what_rules_remember_survives_a_restart_and_moves_with_the_partition(kafka: str, names: dict[str, str]) -> None:
    """A battery that is low raises once, whoever judges it; charged, and low again, it raises again."""
    judging = dataclasses.replace(configs(kafka, names)[0], rules=Rules(low_battery=LowBattery()))
    low, charged = [[report(n, alert=False, battery=percent) for n in range(7)] for percent in (10.0, 35.0)]

    def raised() -> int:
        return sum(not alert.get("clears", False) for alert in read(kafka, names["alerts"]))

    with running(alerting.run, judging):
        send(kafka, names["reports"], *low)
        wait_for(lambda: raised() == 7)
    with running(alerting.run, judging):
        send(kafka, names["reports"], *low)
        with running(alerting.run, judging):  # joins, and takes one of the two partitions over
            wait_for(lambda: shares(kafka, judging.group) == [1, 1])
            send(kafka, names["reports"], *low, *charged)
            wait_for(lambda: len(read(kafka, names["alerts"])) == 14)
            assert raised() == 7
        send(kafka, names["reports"], *low)
        wait_for(lambda: raised() == 14)
    assert len(read(kafka, names["alerts"])) == 21


def shares(kafka: str, group: str) -> list[int]:
    """How many partitions each member of a group has, in order; of a group that settles, none."""
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        members = admin.describe_groups([group])[group]["members"]
    assigned = [one["member_assignment"]["assigned_partitions"] for one in members if one["member_assignment"]]
    return sorted(sum(len(one["partitions"]) for one in each) for each in assigned)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [0, pytest.param(600, marks=pytest.mark.slow)])
def test_mongodb_away_and_back_tells_what_is_undelivered(
    kafka: str, names: dict[str, str], tmp_path: Path, free_port: int, seconds: float
) -> None:
    channel, server = Channel(), mongo.start(tmp_path, free_port)
    judging, telling = configs(kafka, names)
    recording = recorder.RecorderConfig(
        kafka, server.uri, group=f"r-{names['alerts']}", alerts=names["alerts"], deliveries=names["deliveries"]
    )

    def counts() -> tuple[int, int]:
        with MongoClient[dict[str, Any]](server.uri) as client:
            alerts = client.get_default_database()["alerts"]
            return alerts.count_documents({}), alerts.count_documents({"delivered_at": None})

    with running(alerting.run, judging), running(recorder.run, recording):
        send(kafka, names["reports"], *(report(n) for n in range(3)))
        wait_for(lambda: counts() == (3, 3))
        server.kill()
        with running(notifier.run, telling, channel.sender):
            send(kafka, names["reports"], *(report(n) for n in range(3, 8)))
            wait_for(lambda: channel.told == 8)
        send(kafka, names["reports"], *(report(n) for n in range(8, 10)))
        wait_for(lambda: len(read(kafka, names["alerts"])) == 10)
        time.sleep(seconds)
        server = mongo.start(tmp_path, free_port)
        try:
            wait_for(lambda: counts() == (10, 2))
        finally:
            server.kill()
