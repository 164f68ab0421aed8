"""The topic `deliveries` as the notifier's memory: written after each call, read again by whoever becomes active."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Event
from typing import Any, Final

from kafka import TopicPartition
from kafka.errors import KafkaError
from msgspec import MsgspecError
from structlog import get_logger

from fleet.notifications import delivery as deliveries
from fleet.notifications.delivery import Delivery
from fleet.notifications.state import Book
from infra.kafka import clients
from infra.kafka.config import Address

log = get_logger()

KEPT: Final = 5000
"""Deliveries that a successor reads at least: by their ids it knows copies of alerts. Nearly three hours of a storm."""


class Ledger:
    """Deliveries of one webhook. `needed_from` is the offset by partition from which a successor must read."""

    def __init__(self, bootstrap: Address, topic: str, webhook: str) -> None:
        self._bootstrap, self._topic, self._webhook = bootstrap, topic, webhook
        self._producer = clients.producer(
            bootstrap,
            linger_ms=0,
            compression_type="lz4",
            max_request_size=8 * 1024 * 1024,
        )
        self._recent: deque[tuple[int, int]] = deque(maxlen=KEPT)  # partition, offset
        self._last: dict[str, tuple[int, int]] = {}  # where the last delivery of each message is

    def write(self, delivery: Delivery, stop: Event) -> None:
        """Returns when the broker has it, however long it is away: Discord has shown it already.

        Raises KafkaError only when `stop` is set meanwhile; the message is then repeated by the next notifier.
        """
        while True:
            try:
                future = self._producer.send(self._topic, deliveries.encode(delivery), key=self._webhook.encode())
                written = future.get(timeout=130)
            except KafkaError as error:
                log.warning("a delivery is not written down yet", message_id=delivery.message_id, reason=error)
                if stop.wait(1.0):
                    raise
            else:
                return self._remember(written.partition, written.offset, delivery)

    def replay(self, book: Book, committed: dict[int, int | None]) -> int:
        """Enters into `book` what was told, from the `committed` offsets on; how many deliveries there were."""
        count = 0
        for partition, offset, delivery in self._read(committed):
            if delivery.webhook != self._webhook:
                book.known(delivery)
                continue
            book.replay(delivery)
            self._remember(partition, offset, delivery)
            count += 1
        book.recovered()
        return count

    def needed_from(self, book: Book) -> dict[int, int]:
        """By partition, the first delivery that a successor needs: for copies, and for the messages still open."""
        self._last = {id_: at for id_, at in self._last.items() if id_ in book.messages or id_ == book.digest_message}
        needed: dict[int, int] = {}
        oldest = [self._recent[0]] if self._recent else []
        for partition, offset in [*oldest, *self._last.values()]:
            needed[partition] = min(offset, needed.get(partition, offset))
        return needed

    def close(self) -> None:
        self._producer.close(timeout=5)

    def _remember(self, partition: int, offset: int, delivery: Delivery) -> None:
        self._recent.append((partition, offset))
        self._last[delivery.message_id] = (partition, offset)

    def _read(self, committed: dict[int, int | None]) -> Iterator[tuple[int, int, Delivery]]:
        consumer = clients.consumer(self._bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(self._topic, partition) for partition in committed]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            starts = consumer.beginning_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, max(starts[partition], committed[partition.partition] or 0))
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                for records in consumer.poll(timeout_ms=500, max_records=2000).values():
                    for record in records:
                        delivery = _decode(record)
                        if delivery is not None:
                            yield record.partition, record.offset, delivery
        finally:
            consumer.close()


def _decode(record: Any) -> Delivery | None:
    try:
        return deliveries.decode(record.value or b"")
    except MsgspecError as error:
        log.warning("a message that is no delivery", partition=record.partition, offset=record.offset, reason=error)
        return None
