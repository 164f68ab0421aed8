"""What the broker has of a topic."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from kafka import KafkaConsumer

from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.partitions import of_topic, records_to

FETCH_BYTES = 8_000_000


def messages(bootstrap: Address, topic: str) -> list[Any]:
    """All messages of a topic as they are now, in the order of each partition."""
    with closing(from_the_beginning(bootstrap, topic)) as consumer:
        return new_messages(consumer)


def from_the_beginning(bootstrap: Address, topic: str) -> KafkaConsumer:
    """One that `new_messages` reads, for who looks at a topic again and again."""
    consumer = clients.consumer(bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=FETCH_BYTES)
    partitions = of_topic(consumer, topic)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    return consumer


def new_messages(consumer: KafkaConsumer) -> list[Any]:
    """What the topic has now and this consumer has not returned before."""
    return list(records_to(consumer, consumer.end_offsets(list(consumer.assignment()))))
