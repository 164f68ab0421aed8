"""`reports.rejected`: every message that is not a report, unchanged, with its reason and origin in the headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from kafka import KafkaProducer
from kafka.errors import KafkaError
from structlog import get_logger

from fleet.errors import ServiceUnavailable
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import PERMANENT
from infra.kafka.partitions import of_topic, records_to
from infra.kafka.topics import missing
from speed_layer.landing import metrics
from speed_layer.landing.decoding import LARGEST, RejectedMessage

log = get_logger()

ACK_SECONDS: Final = 60

CUTS: Final = (256 * 1024, 16 * 1024, 0)
"""Bytes of value and of key that are kept of a message that the topic takes in no larger form. Its owner may allow less
than the contract says, and the key of an outside topic may be of any length."""

REPLAYED_AT_ONCE: Final = 100
"""Messages that await their acknowledgement: at 2 MiB each they are 200 MiB."""

WITHHELD: Final = "withheld"
"""Header of a message without its value, because of the names in it (PEACEWATCH_PSEUDONYM_KEY)."""

_DETAIL: Final = 1000
"""Characters of `detail`; a rejected message with its headers must fit the topic's 2 MiB."""


class RejectedProducer:
    """Writes them. Connects when there is a first one."""

    def __init__(self, bootstrap: Address, source: str, source_id: str, topic: str) -> None:
        self._bootstrap, self._source, self._source_id, self._topic = bootstrap, source, source_id, topic
        self._producer: KafkaProducer | None = None

    def send(self, messages: Iterable[RejectedMessage]) -> None:
        """Returns when the broker has all of them. Raises KafkaError; then some may be there, and come again.

        What the topic refuses for good is cut; what it takes in no form is counted and logged: it stops no other.
        """
        sent = [(message, self._send(message)) for message in messages]
        for message, future in sent:
            if not _is_taken(future, in_batch=True):
                self._send_alone(message)

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=5)

    def _send_alone(self, message: RejectedMessage) -> None:
        """Whole once more, since it may have been refused for another of its batch; then cut."""
        place = f"{self._source}-{message.partition}-{message.offset}"
        for kept in (None, *CUTS):
            if _is_taken(self._send(message, kept)):
                if kept is not None:
                    log.warning("a rejected message is too large for its topic and is cut", place=place, bytes=kept)
                return
        metrics.UNKEPT.inc()
        log.error("a rejected message is refused by its topic in every form and is not kept", place=place)

    def _send(self, message: RejectedMessage, kept: int | None = None) -> Any:
        """The future; None if the client itself refuses it. `kept`: bytes of value and of key, None: all."""
        if self._producer is None:
            self._producer = clients.producer(
                self._bootstrap,
                compression_type="lz4",
                linger_ms=20,
                max_request_size=2 * LARGEST,
                max_block_ms=10_000,
            )
        headers = headers_of(message, self._source, self._source_id)
        value, key = message.value, message.key
        if kept is not None:
            headers.append(("cut", str(kept).encode()))
            value, key = value and value[:kept], key and key[:kept]
        if value is None and key is None:
            value = b""  # this client sends no message of nothing, and others do: it must not stop landing
        try:
            return self._producer.send(self._topic, value, key=key, headers=headers)
        except PERMANENT:
            return None


def _is_taken(future: Any, *, in_batch: bool = False) -> bool:
    """Waits for the broker. False if the message is refused for good; raises every other KafkaError.

    `in_batch`: also where another message of its batch was refused, which the client says by a KafkaError of no kind.
    """
    try:
        if future is not None:
            future.get(timeout=ACK_SECONDS)
    except PERMANENT:
        return False
    except KafkaError as error:
        if in_batch and type(error) is KafkaError:
            return False
        raise
    return future is not None


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
    if message.withheld:
        facts[WITHHELD] = "true"
    return [(name, value.encode("utf-8", "replace")) for name, value in facts.items()]


class NothingRejected(ServiceUnavailable):
    """There is no topic of rejected messages yet."""


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
    """Sends the originals, with their keys, to `topic`; how many the broker has. Those it refuses for good are logged,
    and those whose value was withheld: `reports` has it at the place that their headers name.

    Raises KafkaError.
    """
    taken, following = 0, iter(messages)
    with closing(clients.producer(bootstrap, max_request_size=2 * LARGEST)) as producer:
        while part := list(islice(following, REPLAYED_AT_ONCE)):
            sent = [(message, _replayed(producer, topic, message)) for message in part if not _lacks_value(message)]
            for message, future in sent:
                if _is_taken(future, in_batch=True) or _is_taken(_replayed(producer, topic, message)):
                    taken += 1
                else:
                    log.error("a rejected message is refused by the topic", rejected_offset=message.offset, topic=topic)
    return taken


def _lacks_value(message: RejectedRecord) -> bool:
    if WITHHELD not in message.headers or message.value:
        return False
    log.error("the value of a rejected message is withheld: replay it from the topic of reports", **message.headers)
    return True


def _replayed(producer: KafkaProducer, topic: str, message: RejectedRecord) -> Any:
    try:
        return producer.send(topic, message.value, key=message.key)
    except PERMANENT:
        return None


def _records(bootstrap: Address, topic: str) -> Iterator[Any]:
    consumer = clients.consumer(
        bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 * LARGEST,
    )
    with closing(consumer):
        partitions = of_topic(consumer, topic)
        if not partitions:
            missing(bootstrap, topic)  # raises if ACLs hide it from us
            raise NothingRejected(f"there is no topic {topic} yet: nothing was rejected")
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        yield from records_to(consumer, consumer.end_offsets(partitions))
