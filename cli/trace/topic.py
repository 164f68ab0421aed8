"""The report's messages on Kafka: on `reports` and on `reports.rejected`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition

from fleet import topics
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.partitions import of_topic
from infra.kafka.topics import id_of, missing
from speed_layer.landing import rejected
from speed_layer.landing.deduplication import WINDOW
from speed_layer.landing.rejected import RejectedRecord

POLL_MS: Final = 5000
SETTINGS: Final = {"enable_auto_commit": False, "group_id": None, "max_poll_records": 5000}


class _Named(msgspec.Struct):
    """The fields of a message that identify a report."""

    drone_id: str
    report_id: str


_decoder: Final = msgspec.json.Decoder(_Named)


@dataclass(frozen=True)
class ReportMessage:
    """A message on `reports` with the drone and the report id that are searched for."""

    partition: int
    offset: int
    received_at: datetime
    size: int

    @property
    def source(self) -> str:
        return f"{topics.REPORTS}/{self.partition}/{self.offset}"


def near(kafka: Address, drone: str, report: str, landed: Iterable[tuple[int, int]]) -> list[ReportMessage]:
    """The report's messages. If it has landed, they are within WINDOW offsets of each landed `(partition, offset)`: a
    duplicate is no further away. If not, the last WINDOW offsets of every partition are searched. Raises KafkaError."""
    with closing(clients.consumer(kafka, **SETTINGS)) as consumer:
        partitions = of_topic(consumer, topics.REPORTS)
        if not partitions:
            missing(kafka, topics.REPORTS)  # raises if ACLs hide it from us
            return []
        first, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        spans = [(TopicPartition(topics.REPORTS, partition), offset) for partition, offset in landed]
        if not spans:
            spans = [(partition, end - WINDOW) for partition, end in ends.items()]
        messages: list[ReportMessage] = []
        for partition, start in spans:
            if partition in ends:
                low, high = max(start, first[partition]), min(ends[partition], start + WINDOW + 1)
                messages += _matching(consumer, partition, range(low, high), drone, report)
        return list(dict.fromkeys(messages))  # spans of two rows may overlap


def topic_id(kafka: Address) -> str | None:
    """The id of `reports`, by which the lake names its partitions; None if there is no topic. Raises KafkaError."""
    with closing(clients.admin(kafka)) as admin:
        return id_of(admin, topics.REPORTS)


def rejections(
    kafka: Address, drone: str, report: str, places: Collection[tuple[str, str, str]]
) -> Iterator[RejectedRecord]:
    """The rejected messages that name the drone and the report, or whose original is at one of `places` (topic id,
    partition, offset): with pseudonyms they have no value. Each once. Raises KafkaError."""
    with suppress(rejected.NothingRejected):
        for record in rejected.read(kafka, topics.REJECTED):
            value = record.value or b""
            is_of_drone = record.key == drone.encode() or _holds(value, drone)
            if record.source in places or (is_of_drone and _holds(value, report)):
                yield record


def _matching(
    consumer: KafkaConsumer, partition: TopicPartition, offsets: range, drone: str, report: str
) -> Iterator[ReportMessage]:
    if not offsets:
        return
    consumer.assign([partition])
    consumer.seek(partition, offsets.start)
    while consumer.position(partition) < offsets.stop:
        records = consumer.poll(timeout_ms=POLL_MS).get(partition, [])
        if not records:
            return
        for record in records:
            if record.offset < offsets.stop and _is(record, drone, report):
                received_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                yield ReportMessage(partition.partition, record.offset, received_at, len(record.value))


def _is(record: Any, drone: str, report: str) -> bool:
    if not _holds(record.value or b"", report):
        return False
    try:
        named = _decoder.decode(record.value)
    except msgspec.MsgspecError:
        return False
    return (named.drone_id, named.report_id) == (drone, report)


def _holds(value: bytes, text: str) -> bool:
    """Whether the JSON in `value` may contain `text`, plain or escaped."""
    return text.encode() in value or msgspec.json.encode(text).strip(b'"') in value or b"\\u" in value
