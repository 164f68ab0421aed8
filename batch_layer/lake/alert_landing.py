"""The topic `alerts` to the lake's table `alerts`, exactly once: a batch run does it before it counts.

Alerts are few (90 a second in a storm) and their topic keeps them, so no long-running process is needed. As for
reports, the table says what has landed: its `txn` entry of a partition is the next offset, set by the commit that adds
the rows. The entry must equal what it was when they were read, and Delta refuses the second of two commits that set it.
The commit that moves the entry over a gap records what expired before it landed, so that this is counted once, too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.landed_alert import PARTITION_BY, SCHEMA, WINDOW, Past, row
from fleet.errors import NewerLayout, ServiceUnavailable
from fleet.layout import found_at
from fleet.notifications.incident import Intervals
from fleet.reports.losses import LOST, LOST_BEFORE
from fleet.reports.watermark import CLOCKS_APART, THROUGH
from fleet.text import sentence
from infra.delta import ALERTS as TABLE
from infra.delta import known, with_columns
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import refusal
from infra.kafka.partitions import of_topic, place_of
from infra.kafka.topics import id_of

CHUNK: Final = 100_000
"""Alerts of a commit; some 100 MB of memory."""
WAIT_SECONDS: Final = 30
"""Without a message for this long, though the broker has more, Kafka is away."""
BOOTSTRAP_MS: Final = 5_000

_PAST: Final = ["kafka_offset", "alert_id", "incident_key", "received_at", "clears", "content"]

log = structlog.get_logger()


@dataclass(frozen=True)
class AlertLandingConfig:
    """`intervals` are those of the notifier: they decide which alerts belong to one incident."""

    bootstrap: Address
    lake: str
    intervals: Intervals
    topic: str = topics.ALERTS
    clocks_apart: timedelta = CLOCKS_APART
    bootstrap_ms: int = BOOTSTRAP_MS
    failpoint: Callable[[str], None] = lambda _step: None  # called when the rows of a commit are "read"

    @property
    def apart_ms(self) -> int:
        return int(self.clocks_apart.total_seconds() * 1000)


@dataclass(frozen=True)
class Landed:
    """How many alerts landed, and how many messages had expired before that."""

    alerts: int = 0
    lost: int = 0

    def __add__(self, other: Landed) -> Landed:
        return Landed(self.alerts + other.alerts, self.lost + other.lost)


@dataclass(frozen=True)
class Look:
    """Where the partitions ended at a moment, none before `until` (broker's time in ms).

    `idle`: `until` by the key of each that had landed up to its end; commits record those, too.
    """

    topic_id: str
    until: int
    ends: Mapping[TopicPartition, int]
    idle: Mapping[str, int] = field(default_factory=dict)

    def key(self, at: TopicPartition) -> str:
        return f"{self.topic_id}/{at.partition}"


def land(config: AlertLandingConfig) -> Landed:
    """Lands what the topic holds now and the table does not. Raises ServiceUnavailable."""
    try:
        topic_id = _topic_id(config)
        return _land(config, topic_id) if topic_id else Landed()
    except KafkaError as error:
        if (refused := refusal(error)) is not None:
            raise ServiceUnavailable(f"{refused}; the newest alerts wait") from None
        raise ServiceUnavailable(f"Kafka does not answer, so the newest alerts wait: {sentence(error)}") from None
    except (DeltaError, OSError, pa.ArrowException) as error:
        raise ServiceUnavailable(f"the lake's alerts cannot be read or written: {sentence(error)}") from None


def _topic_id(config: AlertLandingConfig) -> str:
    """The topic's id; empty while the topic does not exist."""
    admin = clients.admin(config.bootstrap, bootstrap_timeout_ms=config.bootstrap_ms)
    with closing(admin):
        return id_of(admin, config.topic) or ""


def _land(config: AlertLandingConfig, topic_id: str) -> Landed:
    table = _open(config)
    consumer = clients.consumer(
        config.bootstrap,
        bootstrap_timeout_ms=config.bootstrap_ms,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
    )
    landed = Landed()
    with closing(consumer):
        those = of_topic(consumer, config.topic)
        look = Look(topic_id, _now_ms() - config.apart_ms, consumer.end_offsets(those))
        idle = {key: look.until for at in those if _entry(table, key := look.key(at)) == look.ends[at]}
        for at in those:
            landed += _land_partition(consumer, table, at, replace(look, idle=idle), config)
    return landed


def _entry(table: DeltaTable, key: str) -> int:
    return int(table.transaction_version(key) or 0)


def _land_partition(
    consumer: KafkaConsumer, table: DeltaTable, at: TopicPartition, look: Look, config: AlertLandingConfig
) -> Landed:
    topic_id, key, end = look.topic_id, look.key(at), look.ends[at]
    entry = _entry(table, key)
    consumer.assign([at])
    first = min(max(entry, consumer.beginning_offsets([at])[at]), end)
    if first == entry == end:
        return Landed()
    if first < entry:
        log.error(
            "the topic ends before the landed offset: the broker lost alerts", partition=key, entry=entry, end=end
        )
    past = _past(table, topic_id, at.partition, entry, config.intervals)
    consumer.seek(at, first)
    landed = Landed()
    for records, position in _chunks(consumer, at, end):
        rows = [made for record in records if (made := _row(record, topic_id, past))]
        times = [record.timestamp for record in records[-1:]] + [look.until] * (position >= end)
        facts = _losses(key, entry, first, records, config.apart_ms) | {
            THROUGH: json.dumps({**look.idle, key: max(times)})
        }
        properties = CommitProperties(facts, app_transactions=[Transaction(key, position)])
        config.failpoint("read")
        if not _commit(table, rows, key, entry, properties):
            return landed
        landed += Landed(len(rows), max(0, first - entry))
        entry = position
    return landed


def _losses(key: str, entry: int, first: int, records: list[Any], apart_ms: int) -> dict[str, str]:
    """The facts of the commit of `records` if offsets `entry` to `first` had expired."""
    if first <= entry:
        return {}
    log.warning("alerts are lost: they expired before they were landed", partition=key, first=entry, end=first)
    before = records[0].timestamp if records else _now_ms() + apart_ms
    return {LOST: json.dumps({key: [entry, first]}), LOST_BEFORE: json.dumps({key: before})}


def _now_ms() -> int:
    return int(time.time() * 1000)


def _chunks(consumer: KafkaConsumer, at: TopicPartition, end: int) -> Iterator[tuple[list[Any], int]]:
    """(messages, the offset after them), up to `end`."""
    records: list[Any] = []
    heard = time.monotonic()
    while (position := consumer.position(at)) < end:
        found = [record for polled in consumer.poll(timeout_ms=500).values() for record in polled]
        heard = time.monotonic() if found or consumer.position(at) > position else heard
        if time.monotonic() - heard > WAIT_SECONDS:
            raise ServiceUnavailable("Kafka does not answer, so the newest alerts wait")
        records += found
        if len(records) >= CHUNK:
            yield records, records[-1].offset + 1
            records = []
    yield records, position


def _row(record: Any, topic_id: str, past: Past) -> dict[str, Any] | None:
    try:
        alert = wire.decode(record.value or b"")
    except NewerLayout as error:
        raise found_at(place_of(record), error) from None
    except msgspec.MsgspecError as error:
        log.warning("a message that is not an alert", offset=record.offset, partition=record.partition, reason=error)
        return None
    place = topic_id, record.partition, record.offset
    counted = past.count(record.offset, alert)
    if counted.alert_id != alert.alert_id and counted.alerts:
        log.warning("an alert has the id of another one and other content; it counts as one of its own", place=place)
    return row(alert, datetime.fromtimestamp(record.timestamp / 1000, UTC), place, counted)


def _past(table: DeltaTable, topic_id: str, partition: int, entry: int, intervals: Intervals) -> Past:
    past = Past(intervals.over, intervals.expire)
    wanted = (
        (pc.field("topic_id") == topic_id)
        & (pc.field("kafka_partition") == partition)
        & (pc.field("kafka_offset") >= entry - WINDOW)
        & ((pc.field("alert_count") == 1) | pc.field("clears"))  # not the duplicates, which changed nothing then either
    )
    rows = table.to_pyarrow_dataset().to_table(columns=_PAST, filter=wanted).sort_by("kafka_offset")
    past.recall(zip(*(rows[name].to_pylist() for name in _PAST), strict=True))
    return past


def _commit(table: DeltaTable, rows: list[dict[str, Any]], key: str, entry: int, properties: CommitProperties) -> bool:
    """False when another run has landed them meanwhile."""
    table.update_incremental()
    if _entry(table, key) != entry:
        return False
    try:
        write_deltalake(table, pa.Table.from_pylist(rows, schema=SCHEMA), mode="append", commit_properties=properties)
    except CommitFailedError as error:
        if "Concurrent" not in str(error):
            raise
        return False
    table.update_incremental()
    return True


def _open(config: AlertLandingConfig) -> DeltaTable:
    """The table, with all columns of SCHEMA: an older version's lacks those that came later."""
    url = f"{config.lake}/{TABLE}"
    try:
        table = known(DeltaTable(url))
    except TableNotFoundError:
        try:
            return DeltaTable.create(url, SCHEMA, partition_by=list(PARTITION_BY))
        except DeltaError:
            return DeltaTable(url)  # another run was faster
    return with_columns(table, SCHEMA)
