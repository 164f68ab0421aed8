"""The producer against a real Kafka: all of it, in order by drone, and counted by what the broker has acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import TopicPartition

from fleet.errors import ServiceUnavailable
from infra.kafka import clients
from laptop.feed.producer import IN_FLIGHT, Feed
from laptop.services import kafka as kafka_server


def read(bootstrap: str, topic: str) -> list[tuple[int, bytes, bytes]]:
    """(partition, key, value) of everything in the topic."""
    consumer = clients.consumer(bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found = []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for messages in consumer.poll(timeout_ms=1000).values():
            found += [(message.partition, message.key, message.value) for message in messages]
    consumer.close()
    return found


def test_everything_arrives_once_and_in_order_by_drone(kafka: str, topic: Callable[..., str]) -> None:
    name = topic()
    messages = [(f"d{number % 50}".encode(), f"{number}".encode()) for number in range(3 * IN_FLIGHT)]
    with Feed(kafka, name) as feed:
        for key, value in messages:
            feed.send(key, value)
        assert feed.sent - feed.acknowledged <= IN_FLIGHT
        assert feed.acknowledged > 0
    assert feed.acknowledged == feed.sent == len(messages)
    found = read(kafka, name)
    assert sorted(value for _, _, value in found) == sorted(value for _, value in messages)
    for drone in range(50):
        key = f"d{drone}".encode()
        assert [value for _, found_key, value in found if found_key == key] == [v for k, v in messages if k == key]
        assert len({partition for partition, found_key, _ in found if found_key == key}) == 1


def test_an_error_inside_sends_no_more_but_closes(kafka: str, topic: Callable[..., str]) -> None:
    feed = Feed(kafka, topic())
    with pytest.raises(ZeroDivisionError), feed:
        feed.send(b"d", str(1 / 0).encode())
    assert feed.sent == 0
    feed.send(b"d", b"1")
    with pytest.raises(ServiceUnavailable, match="0 of 1 reports: IllegalStateError"):
        feed.flush()


def test_messages_that_the_broker_refuses_are_reported(kafka: str, topic: Callable[..., str]) -> None:
    feed = Feed(kafka, topic(), second_tries=0)
    feed.send(b"d", b"fine")
    feed.send(b"d", b"x" * 1_100_000)
    with pytest.raises(ServiceUnavailable, match="acknowledged 1 of 2 reports"):
        feed.flush()
    feed.close()


def test_messages_held_by_a_stuck_client_are_sent_by_another(kafka: str, topic: Callable[..., str]) -> None:
    """As after the death of a leader, when kafka-python may neither send a message nor give it up."""
    name = topic()
    with Feed(kafka, name, patience=1) as feed:
        feed.send(b"d", b"before")
        assert feed.flush() == 1
        feed._producer._sender._send_producer_data = lambda: 100  # its thread sends nothing more
        feed.send(b"d", b"kept")
        assert feed.flush() == 2
    assert [value for _, _, value in read(kafka, name)] == [b"before", b"kept"]


def test_no_kafka_is_one_sentence(free_port: int) -> None:
    with pytest.raises(ServiceUnavailable, match=f"Kafka at 127.0.0.1:{free_port} does not answer"):
        Feed(f"127.0.0.1:{free_port}", connect_ms=300)


@pytest.mark.slow
def test_a_broker_that_is_killed_and_comes_back_has_everything(tmp_path: Path, free_port: int) -> None:
    broker = kafka_server.start(tmp_path, free_port)
    kafka_server.create_topics(broker.address)
    with Feed(broker.address) as feed:
        for number in range(2000):
            feed.send(b"d", f"{number}".encode())
        broker.kill()
        for number in range(2000, 4000):
            feed.send(b"d", f"{number}".encode())
        broker = kafka_server.start(tmp_path, free_port)
        assert feed.flush() == 4000
    assert {value for _, _, value in read(broker.address, "reports")} == {f"{n}".encode() for n in range(4000)}
    broker.kill()
