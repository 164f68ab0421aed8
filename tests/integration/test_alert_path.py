"""Reports on a real Kafka, through alerting and notifier, to a channel that counts what it is sent."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from fleet import identity, topics
from fleet.alerts import alert as wire
from fleet.alerts.absent_drone import AbsenceRule
from fleet.alerts.rules import LowBatteryRule, Rules
from fleet.notifications import actions
from fleet.notifications import delivery as deliveries
from fleet.notifications.actions import Action, Target
from fleet.notifications.incident import Intervals
from fleet.reports import report as reports
from infra.kafka import clients
from infra.mongo import incidents
from infra.operations import LOOPS
from laptop.services import mongo
from speed_layer import dead_mans_switch
from speed_layer import recording as recorder
from speed_layer.alerting import alerter
from speed_layer.notifying import notifier
from speed_layer.notifying.lease import Lease
from tests.support import world
from tests.support.alert_layers import BEGAN, Channel, configs, keys, made_names, read, report, send
from tests.support.waiting import running, wait_for


@pytest.fixture
def names(topic: Callable[..., str]) -> dict[str, str]:
    return made_names(topic)


def test_every_alert_is_notified_once(
    kafka: str, names: dict[str, str], mongo_database: Database[Any], mongo_uri: str
) -> None:
    channel = Channel()
    judging, notifying = configs(kafka, names)
    recording = recorder.RecorderConfig(
        kafka,
        mongo_uri,
        Intervals(),
        group=f"r-{names['alerts']}",
        alerts=names["alerts"],
        deliveries=names["deliveries"],
    )
    with (
        running(alerter.run, judging),
        running(notifier.run, notifying, channel.sender),
        running(recorder.run, recording),
    ):
        send(kafka, names["reports"], report(1), report(2, alert=False), b'{"alert": true, "drone_id": 7, "oops')
        wait_for(lambda: channel.notified == 2)
        send(kafka, names["reports"], *(report(n, city=f"City {n % 20}") for n in range(10, 110)))
        wait_for(lambda: channel.notified == 102)
        wait_for(lambda: mongo_database["alerts"].count_documents({"delivered_at": {"$ne": None}}) == 102)
    deliveries = read(kafka, names["deliveries"])
    notified = [alert_id for delivery in deliveries for alert_id in delivery["alert_ids"]]
    assert len(notified) == len(set(notified)) == 102
    assert {alert["alert_id"] for alert in read(kafka, names["alerts"])} == set(notified)
    assert mongo_database["alerts"].count_documents({"verified": False}) == 1
    assert mongo_database["incidents"].count_documents({}) == 22
    first = documents(mongo_database)
    mongo_database["alerts"].delete_one({"_id": notified[0]})
    with running(recorder.run, dataclasses.replace(recording, group=f"again-{names['alerts']}")):
        wait_for(lambda: documents(mongo_database) == first)
    assert documents(mongo_database) == first, "both topics from their beginning once more make the same documents"
    mongo_database["incidents"].update_many({}, {"$set": {"message_id": ""}})
    incidents.resolve(mongo_database, datetime.now(UTC))
    assert mongo_database["incidents"].count_documents({"state": "resolved"}) == 22


def documents(database: Database[Any]) -> dict[str, list[dict[str, Any]]]:
    return {name: list(database[name].find(sort=[("_id", 1)])) for name in ("alerts", "incidents")}


def test_a_new_notifier_goes_on_where_the_old_one_was(kafka: str, names: dict[str, str]) -> None:
    channel = Channel()
    judging, notifying = configs(kafka, names)
    first = report(1)
    with running(alerter.run, judging):
        with running(notifier.run, notifying, channel.sender):
            send(kafka, names["reports"], first)
            wait_for(lambda: channel.notified == 1)
        send(kafka, names["reports"], report(2), first, report(3))  # one of them a duplicate
        with running(notifier.run, notifying, channel.sender):
            wait_for(lambda: channel.notified == 3)
    assert channel.posts == 1
    delivered = sorted(i for d in read(kafka, names["deliveries"]) for i in d["alert_ids"])
    assert [identity.split(name)[:3] for name in delivered] == [("unrest", f"d{n}", f"r{n}") for n in (1, 2, 3)]


@pytest.mark.parametrize("place", ["alerts", "deliveries"])
def test_the_notifier_skips_no_message_of_a_newer_version(
    kafka: str, names: dict[str, str], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It waits and says why. The newer version notifies of each alert once."""
    channel = Channel()
    _, notifying = configs(kafka, names)
    first, second, third = (world.alert(number, BEGAN, city=number) for number in (1, 2, 3))
    send(kafka, names["alerts"], wire.encode(first))
    with running(notifier.run, notifying, channel.sender):
        wait_for(lambda: channel.notified == 1)
    codec, value = {
        "alerts": (wire._codec, wire.encode(second)),
        "deliveries": (deliveries._codec, deliveries.encode(world.delivered(second))),
    }[place]
    send(kafka, names[place], value.replace(b"{", b'{"layout": 2, ', 1))
    with running(notifier.run, notifying, channel.sender):
        wait_for(lambda: "has layout 2" in LOOPS.unready().get("notifier", ""))
    monkeypatch.setattr(codec, "_layout", 2)
    send(kafka, names["alerts"], wire.encode(second), wire.encode(third))  # the second is known by now
    with running(notifier.run, notifying, channel.sender):
        wait_for(lambda: channel.notified == (3 if place == "alerts" else 2))


def test_an_alert_of_a_newer_version_stops_only_its_partition(
    kafka: str, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operators see it, and a stand-by, which may be newer, takes over."""
    channel = Channel()
    _, notifying = configs(kafka, names)
    alerts = [wire.encode(world.alert(number, BEGAN, city=number)) for number in range(5)]
    newer = alerts[1].replace(b"{", b'{"layout": 2, ', 1)
    with closing(clients.producer(kafka)) as producer:
        for partition, value in ((0, alerts[0]), (0, newer), (0, alerts[2]), (1, alerts[3])):
            producer.send(names["alerts"], value, partition=partition)
        producer.flush()
        with running(notifier.run, notifying, channel.sender):
            wait_for(lambda: channel.notified == 2)
            wait_for(lambda: f"{names['alerts']}-0-1: an alert has layout 2" in LOOPS.unready().get("notifier", ""))
            producer.send(names["alerts"], alerts[4], partition=1)
            wait_for(lambda: channel.notified == 3)
            wait_for(lambda: "webhook alerts newer" in dead_mans_switch.known(kafka, names["state"]))
            with closing(Lease(kafka, f"{notifying.group}-alerts", names["deliveries"])) as standby:
                wait_for(lambda: standby.join(1.0))
    monkeypatch.setattr(wire._codec, "_layout", 2)
    with running(notifier.run, notifying, channel.sender):
        wait_for(lambda: channel.notified == 5)
    notified = [id_ for delivery in read(kafka, names["deliveries"]) for id_ in delivery["alert_ids"]]
    assert sorted(notified) == sorted(wire.decode(value).alert_id for value in alerts)


def test_an_action_of_a_newer_version_stops_no_alert(kafka: str, names: dict[str, str]) -> None:
    channel = Channel()
    _, notifying = configs(kafka, names)
    action = actions.encode(Action("1", "acknowledge", Target("i"), "Ada", BEGAN))
    send(kafka, names["actions"], action.replace(b"{", b'{"layout": 2, ', 1))
    send(kafka, names["alerts"], wire.encode(world.alert(1, BEGAN)))
    with running(notifier.run, notifying, channel.sender):
        wait_for(lambda: channel.notified == 1)


def test_state_of_the_rules_survives_a_restart_and_moves_with_the_partition(kafka: str, names: dict[str, str]) -> None:
    """A battery that is low raises once, whichever process judges it; charged, and low again, it raises again."""
    judging = dataclasses.replace(configs(kafka, names)[0], rules=Rules(low_battery=LowBatteryRule()))
    low, charged = [[report(n, alert=False, battery=percent) for n in range(7)] for percent in (10.0, 35.0)]

    def raised() -> int:
        return sum(not alert.get("clears", False) for alert in read(kafka, names["alerts"]))

    with running(alerter.run, judging):
        send(kafka, names["reports"], *low)
        wait_for(lambda: raised() == 7)
    with running(alerter.run, judging):
        send(kafka, names["reports"], *low)
        with running(alerter.run, judging):  # joins, and takes one of the two partitions over
            wait_for(lambda: shares(kafka, judging.group) == [1, 1])
            send(kafka, names["reports"], *low, *charged)
            wait_for(lambda: len(read(kafka, names["alerts"])) == 14)
            assert raised() == 7
        send(kafka, names["reports"], *low)
        wait_for(lambda: raised() == 14)
    assert len(read(kafka, names["alerts"])) == 21


def shares(kafka: str, group: str) -> list[int]:
    """How many partitions each member of a group has, in order; of a group that settles, none."""
    with closing(clients.admin(kafka)) as admin:
        members = admin.describe_groups([group])[group]["members"]
    assigned = [one["member_assignment"]["assigned_partitions"] for one in members if one["member_assignment"]]
    return sorted(sum(len(one["partitions"]) for one in each) for each in assigned)


@pytest.mark.timeout(600)
def test_a_crowd_over_two_processes_is_one(kafka: str, topic: Callable[..., str]) -> None:
    """With a true number; it ends when they are back."""
    names = made_names(topic) | {"reports": topic(topics.REPORTS, 6)}
    rules = Rules(silent=AbsenceRule(interval=8, missed=2, crowd=10))
    judging = dataclasses.replace(configs(kafka, names)[0], rules=rules)
    everybody = [f"d{n}" for n in range(40)]
    speaking = everybody

    def feed(stop: Event) -> None:
        with closing(clients.producer(kafka)) as producer:
            while not stop.wait(1.0):
                for drone in speaking:
                    said = msgspec.structs.replace(
                        report(1, alert=False), drone_id=drone, reported_at=datetime.now(UTC)
                    )
                    producer.send(names["reports"], reports.encode(said), key=drone.encode())
                producer.flush()

    def shared() -> set[str]:
        return {key for key in keys(kafka, names["state"]) if key.endswith("/share")}

    def raised() -> list[tuple[str, str, bool]]:
        alerts = read(kafka, names["alerts"])
        return [(alert["incident_key"], alert.get("note", "")[:9], alert.get("clears", False)) for alert in alerts]

    with running(feed), running(alerter.run, judging), running(alerter.run, judging):
        wait_for(lambda: shares(kafka, judging.group) == [3, 3])
        wait_for(lambda: len(shared()) == 6)
        time.sleep(2 * rules.silent.limit.total_seconds() if rules.silent else 0)  # all are known, and have had time
        speaking = everybody[:10]
        wait_for(lambda: len(raised()) > 0, 120)
        assert set(raised()) == {("silent//all", "30 drones", False)}
        speaking = everybody
        wait_for(lambda: any(clears for _, _, clears in raised()), 120)
        assert {key for key, _, _ in raised()} == {"silent//all"}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seconds", [0, pytest.param(600, marks=pytest.mark.slow)])
def test_mongodb_away_and_back_shows_what_is_undelivered(
    kafka: str, names: dict[str, str], tmp_path: Path, free_port: int, seconds: float
) -> None:
    channel, server = Channel(), mongo.start(tmp_path, free_port)
    judging, notifying = configs(kafka, names)
    recording = recorder.RecorderConfig(
        kafka,
        server.uri,
        Intervals(),
        group=f"r-{names['alerts']}",
        alerts=names["alerts"],
        deliveries=names["deliveries"],
    )

    def counts() -> tuple[int, int]:
        with MongoClient[dict[str, Any]](server.uri) as client:
            alerts = client.get_default_database()["alerts"]
            return alerts.count_documents({}), alerts.count_documents({"delivered_at": None})

    with running(alerter.run, judging), running(recorder.run, recording):
        send(kafka, names["reports"], *(report(n) for n in range(3)))
        wait_for(lambda: counts() == (3, 3))
        server.kill()
        with running(notifier.run, notifying, channel.sender):
            send(kafka, names["reports"], *(report(n) for n in range(3, 8)))
            wait_for(lambda: channel.notified == 8)
        send(kafka, names["reports"], *(report(n) for n in range(8, 10)))
        wait_for(lambda: len(read(kafka, names["alerts"])) == 10)
        time.sleep(seconds)
        server = mongo.start(tmp_path, free_port)
        try:
            wait_for(lambda: counts() == (10, 2))
        finally:
            server.kill()
