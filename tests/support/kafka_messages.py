"""What the broker has of a topic."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.partitions import of_topic, records_to


def messages(bootstrap: Address, topic: str) -> list[Any]:
    """All messages of a topic as they are now, in the order of each partition."""
    with closing(
        clients.consumer(bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=8_000_000)
    ) as consumer:
        partitions = of_topic(consumer, topic)
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        return list(records_to(consumer, ends))
