"""Topics of the alert pipeline as their owners may have them: with more partitions than before, or not created yet."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import pytest

from fleet.alerts import alert as wire
from fleet.alerts.pipeline_health import RecentFaults
from fleet.alerts.rules import Memory, Rules, Sighting, UnrestRule, judge
from infra.kafka import clients
from infra.retry import NotReady
from speed_layer.alerting.alert_state import AlertState
from speed_layer.notifying import notifier
from speed_layer.notifying.lease import Lease
from tests.support.alert_layers import Channel, configs, made_names, report
from tests.support.waiting import running, wait_for


@pytest.fixture
def names(topic: Callable[..., str]) -> dict[str, str]:
    return made_names(topic)


def test_an_alert_in_a_partition_that_was_added_is_notified(kafka: str, names: dict[str, str]) -> None:
    channel = Channel()
    config = dataclasses.replace(configs(kafka, names)[1], look_seconds=0.2)
    with closing(clients.producer(kafka)) as producer, running(notifier.run, config, channel.sender):
        producer.send(names["alerts"], alert(1), partition=0)
        wait_for(lambda: channel.notified == 1)
        with closing(clients.admin(kafka)) as admin:
            admin.create_partitions({names["alerts"]: 3})
        with closing(clients.producer(kafka)) as knows_it:
            wait_for(lambda: knows_it.partitions_for(names["alerts"]) == {0, 1, 2})
            knows_it.send(names["alerts"], alert(2), partition=2)
            wait_for(lambda: channel.notified == 2)


def alert(number: int) -> bytes:
    (raised,) = judge(
        Rules(unrest=UnrestRule()), Memory(), Sighting(report(number), datetime.now(UTC), lambda *_: None)
    )
    return wire.encode(raised)


def test_a_notifier_that_cannot_begin_leaves_no_client_behind(kafka: str, names: dict[str, str]) -> None:
    channel = Channel()
    config = dataclasses.replace(configs(kafka, names)[1], alerts="nobody-made-it")
    with closing(Lease(kafka, config.group, names["deliveries"])) as lease:
        wait_for(lambda: lease.join(1.0))
        before = threading.active_count()
        with pytest.raises(NotReady):
            notifier.NotifierSession(config, lease, channel.sender(), RecentFaults(), threading.Event())
        wait_for(lambda: threading.active_count() <= before)


def test_newest_state_of_the_rules_counts_in_any_partition(kafka: str, names: dict[str, str]) -> None:
    """A topic that was given more partitions has old values of a key in one and newer ones in another."""
    with closing(clients.producer(kafka)) as producer:
        state = AlertState(kafka, names["state"], names["reports"], producer)
        for number, (old, new) in enumerate([(0, 1), (1, 0)]):
            for partition, offset in ((old, 10), (new, 20)):
                sent = producer.send(
                    names["state"], b'{"offset": %d}' % offset, key=state._key(number), partition=partition
                )
                sent.get(timeout=30)
                time.sleep(0.002)  # so that the broker's milliseconds differ
        assert {number: found.offset for number, found in state.load([0, 1]).items()} == {0: 20, 1: 20}
