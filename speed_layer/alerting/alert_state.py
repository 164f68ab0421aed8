"""The compacted topic `alert-state`: what the rules remember of each partition of `reports`, and at which offset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from kafka import KafkaProducer, TopicPartition
from structlog import get_logger

from fleet.alerts.absence import BUCKETS, Silence
from fleet.alerts.rules import Memory
from infra.kafka import clients
from infra.kafka.config import Address
from infra.retry import NotYet

log = get_logger()


class Saved(msgspec.Struct, omit_defaults=True):
    """A message with the key `alerting/<topic id>/<partition>`."""

    offset: int
    low: list[str] = []
    silent: list[str] = []
    crowd: int = 0


class SavedBucket(msgspec.Struct):
    """A message with the key `alerting/<topic id>/<partition>/spoke/<bucket>`: when each drone last spoke."""

    spoke_at: dict[str, datetime]


@dataclass
class Partition:
    """A partition of `reports` as it is judged: `memory` is true before `offset`."""

    offset: int = 0
    memory: Memory = field(default_factory=Memory)
    is_changed: bool = False

    def advance(self, offset: int) -> None:
        self.offset, self.is_changed = offset, True


class AlertState:
    """Reads and writes the topic `topic` for the input `source`.

    A source that was deleted and made again has another id, and is judged from its beginning.
    """

    def __init__(self, bootstrap: Address, topic: str, source: str, producer: KafkaProducer) -> None:
        self._bootstrap, self._topic, self._producer = bootstrap, topic, producer
        self.source_id = _topic_id(bootstrap, source)

    def save(self, partitions: Mapping[int, Partition]) -> None:
        """Returns when the broker has them. Raises KafkaError."""
        sent = []
        for number, partition in partitions.items():
            memory = partition.memory
            silence = memory.silence
            # a bucket first: one that is newer than the offset does no harm, one that is older would
            if silence.changed:
                bucket = silence.changed.pop()
                value = msgspec.json.encode(SavedBucket(silence.saved(bucket)))
                sent.append(self._producer.send(self._topic, value, key=self._key(number, f"/spoke/{bucket}")))
            saved = Saved(partition.offset, sorted(memory.low), sorted(silence.silent), silence.crowd)
            sent.append(self._producer.send(self._topic, msgspec.json.encode(saved), key=self._key(number)))
        for future in sent:
            future.get(timeout=60)
        for partition in partitions.values():
            partition.is_changed = False

    def load(self, numbers: Sequence[int]) -> dict[int, Partition]:
        """The partitions as last saved, new ones from the beginning."""
        values = self._read()
        return {number: self._partition(values, number) for number in numbers}

    def _partition(self, values: Mapping[bytes, bytes | None], number: int) -> Partition:
        value = values.get(self._key(number))
        if value is None:
            return Partition()
        saved = msgspec.json.decode(value, type=Saved)
        silence = Silence(silent=set(saved.silent), crowd=saved.crowd)
        spoke_at: dict[str, datetime] = {}
        for bucket in range(BUCKETS):
            part = values.get(self._key(number, f"/spoke/{bucket}"))
            if part is not None:
                spoke_at |= msgspec.json.decode(part, type=SavedBucket).spoke_at
        silence.restore(spoke_at)
        return Partition(saved.offset, Memory(set(saved.low), silence))

    def _key(self, partition: int, part: str = "") -> bytes:
        return f"alerting/{self.source_id}/{partition}{part}".encode()

    def _read(self) -> dict[bytes, bytes | None]:
        """The newest value of each key."""
        records: list[Any] = []
        consumer = clients.consumer(self._bootstrap, enable_auto_commit=False)
        with closing(consumer):
            found = consumer.partitions_for_topic(self._topic)
            if not found:
                raise NotYet(f"the topic {self._topic} is not there yet")
            partitions = [TopicPartition(self._topic, partition) for partition in found]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            consumer.seek_to_beginning(*partitions)
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                for batch in consumer.poll(timeout_ms=500).values():
                    records += batch
        return newest(records)


def newest(records: Iterable[Any]) -> dict[bytes, bytes | None]:
    """The newest value of each key of Kafka's `records`, those of a partition in its own order.

    A topic that was given more partitions has old values of a key in one and newer ones in another: the broker's time
    decides between these. Within a partition the order does, for that time can go back (a new leader, a clock set).
    """
    last = {(record.partition, record.key or b""): record for record in records}
    ordered = sorted(last.values(), key=lambda record: record.timestamp)
    return {record.key or b"": record.value for record in ordered}


def _topic_id(bootstrap: Address, topic: str) -> str:
    with closing(clients.admin(bootstrap)) as admin:
        for found in admin.describe_topics([topic]):
            if found["error_code"] == 0:
                return str(found["topic_id"])
    raise NotYet(f"the topic {topic} is not there yet")
