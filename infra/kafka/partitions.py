"""A consumer's partitions of a topic: their numbers, its lag, records' places, and all records up to given ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaConsumer, TopicPartition

from infra.kafka.address import Address
from infra.kafka.topics import missing


def of_topic(consumer: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """In order; empty while there is no such topic, or if ACLs hide it from us."""
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]


def required(consumer: KafkaConsumer, bootstrap: Address, topic: str) -> list[TopicPartition]:
    """In order, at least one. Raises NotReady while there is no such topic, KafkaError if ACLs hide it from us."""
    partitions = of_topic(consumer, topic)
    if not partitions:
        raise missing(bootstrap, topic)
    return partitions


def behind(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> int:
    """How many messages are at `offset` and after it, as far as the last poll has shown; 0 before the first."""
    end = consumer.highwater(partition)
    return 0 if end is None else max(0, end - offset)


def place_of(record: Any) -> str:
    """Where a record is, for people."""
    return f"{record.topic}-{record.partition}-{record.offset}"


def records_to(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int], most: int | None = None) -> Iterator[Any]:
    """All records from the consumer's positions to `ends`, and those that came with the last of them.

    `most`: the most records of a poll, for records that each take long.
    """
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=500, max_records=most).values():
            yield from records
