"""The topic `deliveries` as the notifier's memory: written after each request, read by the next active notifier."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final, NamedTuple

from kafka import TopicPartition
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from msgspec import MsgspecError
from structlog import get_logger

from fleet.errors import NewerLayout
from fleet.layout import found_at
from fleet.notifications import delivery as deliveries
from fleet.notifications.delivery import Delivery
from fleet.notifications.state import NotificationState
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import sentence
from infra.kafka.partitions import place_of, records_to

log = get_logger()

KEPT: Final = 5000
"""Deliveries that a successor reads at least, to know duplicates of their alerts. Nearly three hours of a storm."""

KEPT_BYTES: Final = 256 * 1024 * 1024
"""But no more than this: a flood of long ids must not make a successor read for minutes before it notifies anybody."""

TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
"""The topic never accepts these, however often they are sent."""


class Place(NamedTuple):
    """Where a delivery is in the topic, and its bytes."""

    partition: int
    offset: int
    size: int


class DeliveryLog:
    """Deliveries of one webhook. `needed_from` is the offset by partition from which a successor must read.

    `unwritten` counts deliveries that the topic accepted in no form: Discord shows their messages, and may get them
    twice.
    """

    def __init__(self, bootstrap: Address, topic: str, webhook: str) -> None:
        self._bootstrap, self._topic, self._webhook = bootstrap, topic, webhook
        self._producer = clients.producer(
            bootstrap,
            linger_ms=0,
            compression_type="lz4",
            max_request_size=8 * 1024 * 1024,
        )
        self.unwritten = 0
        self._recent: deque[Place] = deque(maxlen=KEPT)
        self._recent_bytes = 0
        self._last: dict[str, Place] = {}  # where the last delivery of each message is

    def write(self, delivery: Delivery, stop: Event) -> None:
        """Returns when the broker has it, however long the broker is away: Discord shows it already.

        A delivery that is too large for the topic is written in parts. A part that cannot be divided further is given
        up, so that it does not block the next deliveries. Raises KafkaError only when `stop` is set meanwhile; the
        message is then repeated by the next notifier.
        """
        value = deliveries.encode(delivery)
        while True:
            try:
                written = self._producer.send(self._topic, value, key=self._webhook.encode()).get(timeout=130)
            except TOO_LARGE as error:
                return self._write_parts(delivery, error, stop)
            except KafkaError as error:
                log.warning("a delivery is not written yet", message_id=delivery.message_id, reason=sentence(error))
                if stop.wait(1.0):
                    raise
            else:
                return self._remember(Place(written.partition, written.offset, len(value)), delivery)

    def replay(self, state: NotificationState, committed: dict[int, int | None]) -> int:
        """Enters into `state` what was notified, from the `committed` offsets on. Returns the number of deliveries."""
        count = 0
        for place, delivery in self._read(committed):
            if delivery.webhook != self._webhook:
                state.replay_other_channel(delivery)
                continue
            state.replay(delivery)
            self._remember(place, delivery)
            count += 1
        state.finish_replay(datetime.now(UTC))
        return count

    def needed_from(self, state: NotificationState) -> dict[int, int]:
        """By partition, the first delivery that a successor needs: for duplicates, and for the messages still open."""
        is_open = {*state.messages, state.digest.message_id}
        self._last = {message_id: at for message_id, at in self._last.items() if message_id in is_open}
        needed: dict[int, int] = {}
        oldest = [self._recent[0]] if self._recent else []
        for place in [*oldest, *self._last.values()]:
            needed[place.partition] = min(place.offset, needed.get(place.partition, place.offset))
        return needed

    def close(self) -> None:
        self._producer.close(timeout=5)

    def _write_parts(self, delivery: Delivery, error: KafkaError, stop: Event) -> None:
        parts = deliveries.split(delivery)
        if not parts:
            self.unwritten += 1
            log.error("a delivery is too large for its topic and is not kept", message_id=delivery.message_id)
            return
        log.warning("a delivery is too large for its topic: it is written in parts", reason=error, parts=len(parts))
        for part in parts:
            self.write(part, stop)

    def _remember(self, place: Place, delivery: Delivery) -> None:
        if len(self._recent) == KEPT:
            self._recent_bytes -= self._recent[0].size
        self._recent.append(place)
        self._recent_bytes += place.size
        while self._recent_bytes > KEPT_BYTES and len(self._recent) > 1:
            self._recent_bytes -= self._recent.popleft().size
        self._last[delivery.message_id] = place

    def _read(self, committed: dict[int, int | None]) -> Iterator[tuple[Place, Delivery]]:
        consumer = clients.consumer(self._bootstrap, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(self._topic, partition) for partition in committed]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            starts = consumer.beginning_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, max(starts[partition], committed[partition.partition] or 0))
            for record in records_to(consumer, ends, most=2000):
                delivery = _decode(record)
                if delivery is not None:
                    yield Place(record.partition, record.offset, len(record.value)), delivery
        finally:
            consumer.close()


def _decode(record: Any) -> Delivery | None:
    """None for what cannot be read. Raises NewerLayout: without it, people would be notified again."""
    try:
        return deliveries.decode(record.value or b"")
    except NewerLayout as error:
        raise found_at(place_of(record), error) from None
    except MsgspecError as error:
        log.warning("a message cannot be read", place=place_of(record), reason=error)
        return None
