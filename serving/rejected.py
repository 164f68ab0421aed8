"""The topic `reports.rejected` now: how many messages came recently, and the newest ones with their reasons."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from fleet import topics
from fleet.errors import ServiceUnavailable
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import refusal
from infra.kafka.partitions import of_topic
from infra.kafka.topics import id_of

MAX_AGE: Final = 5.0
"""Seconds between reads of Kafka, however many people look."""

NEWEST: Final = 20
EXCERPT: Final = 300
"""Characters that are shown of a message, which may be a MiB."""

WAIT_SECONDS: Final = 3.0
SPANS: Final = {"last_hour": timedelta(hours=1), "last_day": timedelta(days=1)}

Row = dict[str, Any]


class RejectedMessages:
    """The newest rejected messages, for many threads: one of them reads."""

    def __init__(self, read: Callable[[], Row]) -> None:
        """`read` calls `newest`."""
        self._read = read
        self._newest: Row = {}
        self._read_at = float("-inf")
        self._failure: ServiceUnavailable | None = None
        self._failed_at = float("-inf")
        self._lock = threading.Lock()

    def now(self) -> Row:
        """{last_hour, last_day: messages by the broker's time; newest: rows}. Raises ServiceUnavailable."""
        asked_at = time.monotonic()
        if not self._lock.acquire(timeout=2 * WAIT_SECONDS):
            raise ServiceUnavailable("Kafka does not answer now")
        try:
            if time.monotonic() - self._read_at >= MAX_AGE:
                self._try(asked_at)
            return self._newest
        finally:
            self._lock.release()

    def _try(self, asked_at: float) -> None:
        if self._failure and self._failed_at > asked_at:
            raise self._failure  # those who waited for the lock share its failure
        try:
            self._newest = self._read()
        except ServiceUnavailable as failure:
            self._failure, self._failed_at = failure, time.monotonic()
            raise
        self._failure, self._read_at = None, time.monotonic()


def newest(bootstrap: Address | None, topic: str = topics.REJECTED) -> Row:
    """What RejectedMessages.now returns, read from the topic now. Raises ServiceUnavailable."""
    if bootstrap is None:
        raise ServiceUnavailable("this server was started without a Kafka to read rejected messages from")
    try:
        with closing(_consumer(bootstrap)) as consumer:
            partitions = of_topic(consumer, topic)
            if not partitions:
                with closing(clients.admin(bootstrap)) as admin:
                    id_of(admin, topic)  # raises where ACLs hide it from us
            return _look(consumer, partitions)
    except KafkaError as error:
        raise ServiceUnavailable(str(refusal(error) or "Kafka does not answer now")) from error


def _consumer(bootstrap: Address) -> Any:
    return clients.consumer(
        bootstrap,
        enable_auto_commit=False,
        bootstrap_timeout_ms=int(WAIT_SECONDS * 1000),
        request_timeout_ms=int(WAIT_SECONDS * 1000),
    )


def _look(consumer: KafkaConsumer, partitions: list[TopicPartition]) -> Row:
    if not partitions:
        return {**dict.fromkeys(SPANS, 0), "newest": []}
    consumer.assign(partitions)
    ends, firsts = consumer.end_offsets(partitions), consumer.beginning_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(firsts[partition], ends[partition] - NEWEST))
    rows = [_row(record) for record in _until(consumer, ends)]
    newest = sorted(rows, key=lambda row: (row["rejected_at"], row["partition"], row["offset"]), reverse=True)[:NEWEST]
    counted = {name: _since(consumer, ends, datetime.now(UTC) - span) for name, span in SPANS.items()}
    return {**counted, "newest": newest}


def _until(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]) -> Iterable[Any]:
    gives_up_at = time.monotonic() + WAIT_SECONDS
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=200).values():
            yield from records
        if time.monotonic() > gives_up_at:
            return


def _since(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int], time_from: datetime) -> int:
    offsets = consumer.offsets_for_times(dict.fromkeys(ends, int(time_from.timestamp() * 1000)))
    return sum(ends[partition] - at.offset for partition, at in offsets.items() if at is not None)


def _row(record: Any) -> Row:
    facts = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    value = record.value or b""
    return {
        "rejected_at": datetime.fromtimestamp(record.timestamp / 1000, UTC),
        "partition": record.partition,
        "offset": record.offset,
        "reason": facts.get("reason", ""),
        "detail": facts.get("detail", ""),
        "received_at": datetime.fromisoformat(at) if (at := facts.get("received_at")) else None,
        "bytes": len(value),
        "excerpt": value[: 4 * EXCERPT].decode("utf-8", "replace")[:EXCERPT],
    }
