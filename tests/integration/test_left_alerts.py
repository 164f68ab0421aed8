"""Alerts of newcomers beyond those that the notifier holds: known drones pass them, and none is lost or repeated."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import KafkaError

from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert
from infra.kafka import clients
from infra.kafka.partitions import of_topic
from speed_layer.notifying import notifier
from speed_layer.notifying.left_alerts import LeftAlerts
from tests.support.alert_layers import Channel, configs, made_names, read
from tests.support.waiting import running, wait_for
from tests.support.world import alert

MOST = 1500


@pytest.fixture
def names(topic: Callable[..., str]) -> dict[str, str]:
    return made_names(topic)


def raise_alerts(kafka: str, name: str, *alerts: Alert) -> None:
    with closing(clients.producer(kafka)) as producer:
        for raised in alerts:
            producer.send(name, wire.encode(raised), key=raised.incident_key.encode())
        producer.flush()


def invented(number: int, at: datetime) -> Alert:
    return msgspec.structs.replace(alert(number, at, 10_000 + number, "critical"), newcomer=True)


def test_known_drones_are_notified_before_alerts_left_in_kafka(kafka: str, names: dict[str, str]) -> None:
    channel = Channel()
    _, notifying = configs(kafka, names)
    notifying = dataclasses.replace(notifying, most_newcomers=MOST)
    now = datetime.now(UTC)
    flood = [invented(number, now) for number in range(3 * MOST)]
    known = [alert(90_000 + number, now + timedelta(seconds=1), number, "high") for number in range(3)]
    raise_alerts(kafka, names["alerts"], *flood, known[0])

    def notified() -> Counter[str]:
        deliveries = {delivery["delivery_id"]: delivery for delivery in read(kafka, names["deliveries"])}
        return Counter(id_ for delivery in deliveries.values() for id_ in delivery["alert_ids"])

    with running(notifier.run, notifying, channel.sender):
        wait_for(lambda: known[0].alert_id in notified())
        assert len(notified()) < len(flood), "the flood was over before: it shows nothing"
    raise_alerts(kafka, names["alerts"], known[1])
    with running(notifier.run, notifying, channel.sender):  # begins with the first that was left
        wait_for(lambda: known[1].alert_id in notified())
        raise_alerts(kafka, names["alerts"], known[2])
        wait_for(lambda: known[2].alert_id in notified())
        assert len(notified()) < len(flood)
        wait_for(lambda: len(notified()) == len(flood) + len(known), 120)
        wait_for(lambda: committed(kafka, notifying) == len(flood) + len(known), passing=(KafkaError,))
    assert set(notified().values()) == {1}
    assert notified().keys() == {raised.alert_id for raised in [*flood, *known]}
    assert channel.notified == len(flood) + len(known)


def test_a_restart_in_a_flood_repeats_no_known_drone(kafka: str, names: dict[str, str]) -> None:
    """After a long flood a successor no longer remembers the deliveries since the first alert that was left. Here they
    are deleted."""
    channel = Channel()
    _, notifying = configs(kafka, names)
    notifying = dataclasses.replace(notifying, most_newcomers=50)
    now = datetime.now(UTC)
    known = [alert(90_000 + number, now, number, "high") for number in range(3)]
    raise_alerts(kafka, names["alerts"], *(invented(n, now) for n in range(100)), *known[:2])
    raise_alerts(kafka, names["alerts"], *(invented(n, now) for n in range(100, 2000)))

    def notified() -> Counter[str]:
        return Counter(id_ for delivery in read(kafka, names["deliveries"]) for id_ in delivery["alert_ids"])

    def places() -> dict[TopicPartition, OffsetAndMetadata]:
        group = f"{notifying.group}-{notifying.webhook}"
        return {p: at for p, at in admin.list_group_offsets(group)[group].items() if p.topic == names["alerts"]}

    with closing(clients.admin(kafka)) as admin, running(notifier.run, notifying, channel.sender):
        wait_for(lambda: {raised.alert_id for raised in known[:2]} <= notified().keys())
        wait_for(lambda: any(int(at.metadata or 0) > at.offset for at in places().values()), passing=(KafkaError,))
    assert max(Counter(notified()).values()) == 1
    raise_alerts(kafka, names["alerts"], known[2])
    with closing(clients.admin(kafka)) as admin, closing(clients.consumer(kafka)) as consumer:
        admin.delete_records(consumer.end_offsets(of_topic(consumer, names["deliveries"])))
    with closing(clients.admin(kafka)) as admin, running(notifier.run, notifying, channel.sender):
        wait_for(lambda: known[2].alert_id in notified())
        wait_for(lambda: not any(at.metadata for at in places().values()), 120, passing=(KafkaError,))
    assert not {raised.alert_id for raised in known[:2]} & notified().keys()


def test_clearing_of_an_alert_left_in_kafka_is_not_lost(kafka: str, names: dict[str, str]) -> None:
    """A drone is charged before its alert is read: it must not be shown as low for a day."""
    _, notifying = configs(kafka, names)
    now = datetime.now(UTC)
    kinds = {"kind": "low_battery", "newcomer": True}
    low = [msgspec.structs.replace(invented(n, now), incident_key=f"low/{n}", **kinds) for n in range(60)]
    charged = [
        msgspec.structs.replace(raised, alert_id=f"{raised.alert_id}/cleared", clears=True, newcomer=number % 2 == 0)
        for number, raised in enumerate(low)
    ]
    raise_alerts(kafka, names["alerts"], *low, *charged)
    with running(notifier.run, dataclasses.replace(notifying, most_newcomers=5), Channel().sender):
        wait_for(lambda: committed(kafka, notifying) == len(low) + len(charged), passing=(KafkaError,))
    shown = {known["key"]: known["state"] for call in read(kafka, names["deliveries"]) for known in call["incidents"]}
    assert shown == {f"low/{number}": "resolved" for number in range(60)}


def test_alerts_left_later_are_read_from_their_own_offset(kafka: str, topic: Callable[..., str]) -> None:
    """Neither from where the last reading ended beyond the first reader's place, nor what came in between again."""
    name, now = topic(partitions=1), datetime.now(UTC)
    raise_alerts(kafka, name, *(invented(number, now) for number in range(200)))
    with closing(LeftAlerts(kafka, name, most=10)) as left:

        def read_left(through: int) -> list[int]:
            offsets: list[int] = []

            def is_read() -> bool:
                offsets.extend(record.offset for record in left.read({0: through}, pending=0))
                return not left

            wait_for(is_read, 30)
            return offsets

        for first, through in ((50, 100), (120, 130), (160, 200)):
            assert left.leaves(0, first, pending=10)
            assert read_left(through) == list(range(first, through))


def committed(kafka: str, config: notifier.NotifierConfig) -> int:
    """The sum of the offsets on `alerts` below which people are notified of everything."""
    with closing(clients.admin(kafka)) as admin:
        group = f"{config.group}-{config.webhook}"
        of_group = admin.list_group_offsets(group)[group]
    return sum(max(0, at.offset) for partition, at in of_group.items() if partition.topic == config.alerts)
