"""What our Kafka clients mend of kafka-python, on a real broker; and that no refused message stops a producer."""

from __future__ import annotations

import ast
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAuthorizationFailedError

from fleet.alerts.pipeline_health import SignOfLife
from fleet.errors import ServiceUnavailable
from fleet.notifications.actions import Action, Target
from fleet.notifications.delivery import Delivery
from infra.kafka import clients
from infra.kafka.topics import TopicSettings, check_times, configs_of, create_topics
from infra.operations import LOOPS
from laptop import ports
from serving.operators.desk import Desk
from speed_layer.alerting.alerter import PRODUCER
from speed_layer.dead_mans_switch import Pulse, WatchConfig, watch
from speed_layer.landing import rejected
from speed_layer.landing.decoding import RejectedMessage
from speed_layer.notifying.delivery_log import DeliveryLog
from tests.support.kafka_messages import messages
from tests.support.waiting import wait_for

ROOT: Final = Path(__file__).parents[2]
NOW: Final = datetime(2026, 11, 24, 8, tzinfo=UTC)
LARGE: Final = "".join(uuid.uuid4().hex for _ in range(500))
"""16 kB that do not compress, where a topic takes 2,000 bytes."""


def test_topic_that_a_broker_does_not_know_yet_is_not_taken_for_hidden(kafka: str) -> None:
    """As in a cluster, where the broker that is asked may learn of a topic after the one that created it."""
    name = f"late-{uuid.uuid4().hex}"
    with closing(clients.admin(kafka)) as admin:
        learns = threading.Timer(1, create_topics, (kafka, {name: TopicSettings(1)}))
        learns.start()
        try:
            with pytest.raises(TopicAuthorizationFailedError):
                configs_of(admin, [name], "retention.ms")
            check_times(admin, [name])
        finally:
            learns.join()


@pytest.mark.parametrize("timeout", [0, 0.2])
def test_closing_a_producer_that_cannot_send_ends_its_thread(
    kafka: str, topic: Callable[..., str], timeout: float
) -> None:
    """As when a partition's leader is away."""
    name = topic()
    producer = clients.producer(kafka)
    producer.send(name, b"before").get(30)
    producer._sender._send_producer_data = lambda: 100  # its thread continues, and sends nothing more
    kept = producer.send(name, b"kept")
    producer.close(timeout=timeout)
    assert not producer._sender.is_alive()
    with pytest.raises(KafkaError):
        kept.get(0)
    assert [record.value for record in messages(kafka, name)] == [b"before"]


def test_a_join_that_outlasts_its_poll_is_ended(kafka: str, topic: Callable[..., str]) -> None:
    name = topic("reports")
    member = clients.consumer(kafka, group_id=f"group-{uuid.uuid4().hex}")
    with closing(member):
        member.subscribe([name])
        wait_for(lambda: member.poll(timeout_ms=200) is not None and bool(member.assignment()), what="the first join")
        coordinator = member._coordinator
        # As when the partitions known have changed since the leader shared them out, and the join takes note of them.
        coordinator._assignment_snapshot = {}
        member.poll(timeout_ms=0)
        coordinator._assignment_snapshot = coordinator._metadata_snapshot
        assert coordinator.rebalance_in_progress()
        wait_for(lambda: member.poll(timeout_ms=200) is not None and coordinator.stable(), what="the second join")
        assert member.assignment()


def test_the_dead_mans_switch_waits_for_its_topic(kafka: str) -> None:
    state, stop, name = f"state-{uuid.uuid4().hex}", threading.Event(), "the dead-man's switch"
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(watch, WatchConfig(kafka, state=state, groups={}), stop)
        try:
            wait_for(lambda: watching.done() or state in LOOPS.unready().get(name, ""), what="the missing topic")
            create_topics(kafka, {state: TopicSettings(1)})
            wait_for(lambda: watching.done() or bool(messages(kafka, state)), what="a sign of life")
        finally:
            stop.set()
        watching.result()


def test_a_resumed_partition_goes_on_where_no_other_has_anything(kafka: str, topic: Callable[..., str]) -> None:
    """Landing pauses the partitions that it is behind with: one of them stood still for ever."""
    name = topic("reports", partitions=2)
    first, second = TopicPartition(name, 0), TopicPartition(name, 1)
    with closing(clients.producer(kafka)) as producer:
        for partition, many in ((0, 20), (1, 5)):
            for number in range(many):
                producer.send(name, b"%d" % number, partition=partition)
        producer.flush()
    with closing(clients.consumer(kafka, enable_auto_commit=False, max_poll_records=10)) as consumer:
        consumer.assign([first, second])
        consumer.seek_to_beginning()
        read: dict[TopicPartition, int] = {first: 0, second: 0}

        def poll() -> bool:
            for partition, records in consumer.poll(timeout_ms=200).items():
                read[partition] += len(records)
            return read[first] >= 10

        consumer.pause(second)
        wait_for(poll, what="the first ten")
        assert read[first] == 10  # the rest is in line
        consumer.resume(second)
        consumer.pause(first)
        wait_for(lambda: poll() and read[second] == 5, what="the other partition")
        consumer.resume(first)
        wait_for(lambda: poll() and read[first] == 20, what="the rest of the first partition")


@pytest.mark.parametrize("make", [clients.consumer, clients.admin])
def test_no_thread_stays_where_there_is_no_broker(make: Callable[..., object]) -> None:
    before = set(threading.enumerate())  # those of tests before may end meanwhile
    with pytest.raises(KafkaError):
        make(f"127.0.0.1:{ports.free_port()}", bootstrap_timeout_ms=200)
    assert set(threading.enumerate()) <= before


def by_pulse(kafka: str, topic: str) -> None:
    minutes = count(step=60.0)
    with closing(Pulse(kafka, topic, lambda: next(minutes))) as pulse:
        for text in (LARGE, "small"):
            pulse.beat(partial(SignOfLife, "watch", "one", NOW, troubles={"trouble": text}))
            pulse._producer.flush()


def by_rejected(kafka: str, topic: str) -> None:
    with closing(rejected.RejectedProducer(kafka, "reports", "id", topic)) as producer:
        for number, text in enumerate((LARGE, "small")):
            producer.send([RejectedMessage("not json", "", 0, number, 0, b"key", text.encode())])


def by_desk(kafka: str, topic: str) -> None:
    with closing(Desk(kafka, topic)) as desk:
        for text in (LARGE, "small"):
            with suppress(ServiceUnavailable):
                desk.send(Action(text[:5], "resolve", Target("incident"), "Mia", NOW, note=text))


def by_delivery_log(kafka: str, topic: str) -> None:
    with closing(DeliveryLog(kafka, topic, "alerts")) as log:
        for text in (LARGE, "small"):
            delivery = Delivery("1", "alerts", "post", text, NOW, [], [], digest=False)
            log.write(delivery, threading.Event())


def by_alerting(kafka: str, topic: str) -> None:
    with closing(clients.producer(kafka, **PRODUCER)) as producer:
        for text in (LARGE, "small"):
            producer.send(topic, text.encode())
            producer.flush()


SENDERS: Final[dict[str, Callable[[str, str], None]]] = {
    "serving/operators/desk.py": by_desk,
    "speed_layer/alerting/alerter.py": by_alerting,
    "speed_layer/dead_mans_switch.py": by_pulse,
    "speed_layer/landing/rejected.py": by_rejected,
    "speed_layer/notifying/delivery_log.py": by_delivery_log,
}
"""All producers of the pipeline: each sends a message that its topic refuses for good, then a small one."""

ENDS_WHEN_REFUSED: Final = {"laptop/feed/producer.py", "laptop/services/make_kafka_archive.py"}
"""A feed says how many messages the broker has not taken; set-up sends one message to a broker of its own."""


def small_topic(kafka: str, name: str) -> str:
    with closing(clients.admin(kafka)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": "2000"})])
    return name


@pytest.mark.parametrize("file", SENDERS)
def test_a_refused_message_does_not_stop_the_next(kafka: str, topic: Callable[..., str], file: str) -> None:
    name = small_topic(kafka, topic("reports", partitions=1))
    SENDERS[file](kafka, name)
    values = [message.value for message in messages(kafka, name)]
    assert b"small" in values[-1]
    assert not any(LARGE.encode() in value for value in values)


def test_every_producer_of_the_pipeline_is_in_the_table() -> None:
    rooms = ("fleet", "infra", "speed_layer", "batch_layer", "serving", "cli", "laptop")
    files = {
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "clients.producer"
    }
    assert files == SENDERS.keys() | ENDS_WHEN_REFUSED


def test_a_rejected_message_is_cut_where_its_topic_takes_no_larger_one(kafka: str, topic: Callable[..., str]) -> None:
    """At the client's own bound too: landing would begin again at this message for ever."""
    name = small_topic(kafka, topic("reports", partitions=1))
    larger = b"x" * (2 * 1024 * 1024 + 1)
    texts = {0: (None, larger), 1: (larger, b""), 2: (b"key", LARGE.encode()), 3: (b"key", b"small")}
    with closing(rejected.RejectedProducer(kafka, "reports", "id", name)) as producer:
        producer.send([RejectedMessage("not json", "", 0, at, 0, *text) for at, text in texts.items()])
    kept = {int(message.headers["offset"]): message for message in rejected.read(kafka, name)}
    assert kept.keys() == texts.keys()
    assert (kept[3].key, kept[3].value, "cut" in kept[3].headers) == (b"key", b"small", False)
    assert [kept[at].headers["cut"] for at in (0, 1, 2)] == ["262144", "262144", "0"], "zeros compress, words do not"


def test_a_rejected_message_that_no_form_can_keep_stops_no_other(kafka: str, topic: Callable[..., str]) -> None:
    """A compacted topic takes no message without a key, whatever its length."""
    name = topic("reports", partitions=1)
    with closing(clients.admin(kafka)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": "compact"})])
    with closing(rejected.RejectedProducer(kafka, "reports", "id", name)) as producer:
        producer.send([RejectedMessage("not json", "", 0, at, 0, key, b"?") for at, key in enumerate((None, b"key"))])
    assert [message.headers["offset"] for message in rejected.read(kafka, name)] == ["1"]


def test_a_replayed_message_that_is_refused_stops_no_other(kafka: str, topic: Callable[..., str]) -> None:
    name = small_topic(kafka, topic("reports", partitions=1))
    texts = [LARGE.encode(), b"y" * (2 * 1024 * 1024 + 1), *[b"small"] * (rejected.REPLAYED_AT_ONCE + 1)]
    records = [rejected.RejectedRecord(at, {}, b"key", text) for at, text in enumerate(texts)]
    assert rejected.replay(kafka, records, name) == rejected.REPLAYED_AT_ONCE + 1
    assert {message.value for message in messages(kafka, name)} == {b"small"}
