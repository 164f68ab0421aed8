"""`reports.rejected`: every message that is no report, as it came, with why and from where in its headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kafka import KafkaProducer, TopicPartition
from structlog import get_logger

from fleet.errors import ServiceUnavailable
from infra.kafka import clients
from infra.kafka.config import Address
from speed_layer.landing.decoding import LARGEST, RejectedMessage

log = get_logger()

ACK_SECONDS: Final = 60
_DETAIL: Final = 1000
"""Characters of `detail`; a rejected message with its headers must fit the topic's 2 MiB."""


class RejectedProducer:
    """Writes them. Connects when there is a first one."""

    def __init__(self, bootstrap: Address, source: str, source_id: str, topic: str) -> None:
        self._bootstrap, self._source, self._source_id, self._topic = bootstrap, source, source_id, topic
        self._producer: KafkaProducer | None = None

    def send(self, messages: Iterable[RejectedMessage]) -> None:
        """Returns when the broker has all of them. Raises KafkaError; then some may be there, and come again."""
        sent = [self._send(message) for message in messages]
        for future in sent:
            future.get(timeout=ACK_SECONDS)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _send(self, message: RejectedMessage) -> Any:
        if self._producer is None:
            self._producer = clients.producer(
                self._bootstrap,
                acks="all",
                compression_type="lz4",
                linger_ms=20,
                max_request_size=2 * LARGEST,
                max_block_ms=10_000,
            )
        headers = headers_of(message, self._source, self._source_id)
        value = message.value
        if value is None and message.key is None:
            value = b""  # this client sends no message of nothing, and others do: it must not stop landing
        return self._producer.send(self._topic, value, key=message.key, headers=headers)


def headers_of(message: RejectedMessage, topic: str, topic_id: str) -> list[tuple[str, bytes]]:
    """The facts, as UTF-8; `received_at` is the broker's time of the original, RFC 3339."""
    received_at = datetime.fromtimestamp(message.received_at / 1000, UTC)
    facts = {
        "reason": message.reason,
        "detail": message.detail[:_DETAIL],
        "topic": topic,
        "topic_id": topic_id,
        "partition": str(message.partition),
        "offset": str(message.offset),
        "received_at": received_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    return [(name, value.encode("utf-8", "replace")) for name, value in facts.items()]


@dataclass(frozen=True)
class RejectedRecord:
    """A rejected message as it is read back. Duplicates have one `source`: topic id, partition, offset."""

    offset: int
    headers: Mapping[str, str]
    key: bytes | None
    value: bytes | None

    @property
    def source(self) -> tuple[str, str, str]:
        return self.headers.get("topic_id", ""), self.headers.get("partition", ""), self.headers.get("offset", "")


def read(bootstrap: Address, topic: str, reason: str | None = None) -> Iterator[RejectedRecord]:
    """The rejected messages that are there now, each once, oldest first. Raises ServiceUnavailable, KafkaError."""
    seen: set[tuple[str, str, str]] = set()
    for record in _records(bootstrap, topic):
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        message = RejectedRecord(record.offset, headers, record.key, record.value)
        if message.source in seen or (reason is not None and headers.get("reason") != reason):
            continue
        seen.add(message.source)
        yield message


def replay(bootstrap: Address, messages: Iterable[RejectedRecord], topic: str) -> int:
    """Sends the originals, with their keys, to `topic`; how many the broker has. Raises KafkaError."""
    producer = clients.producer(bootstrap, acks="all", max_request_size=2 * LARGEST)
    with closing(producer):
        sent = [producer.send(topic, message.value, key=message.key) for message in messages]
        for future in sent:
            future.get(timeout=ACK_SECONDS)
    return len(sent)


def _records(bootstrap: Address, topic: str) -> Iterator[Any]:
    consumer = clients.consumer(
        bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * LARGEST,
    )
    with closing(consumer):
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        if not partitions:
            raise ServiceUnavailable(f"there is no topic {topic} yet: nothing was rejected")
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            for records in consumer.poll(timeout_ms=500).values():
                yield from records
