"""`alerts`, `deliveries` and operators' actions to MongoDB, for the API and the report. No part of the alert pipeline.

Every write may be repeated, and the two topics may be read in any order: an alert's own fields come from `alerts`,
where and when people were notified from `deliveries`. Offsets are committed after the writes, and kept in MongoDB with
what was written: into a database that was emptied, or restored from a backup, it records what is missing there.

Of an alert and its duplicates the first one's fields stay; an alert with the same id and other content has a row of its
own (fleet.alerts.alert). A document that MongoDB refuses for its content is skipped and counted: it would come again
after a restart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from msgspec import MsgspecError
from prometheus_client import Counter, Gauge, Histogram
from pymongo.errors import PyMongoError
from structlog import get_logger

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert, conflict_id, content_of, is_conflict
from fleet.alerts.pipeline_health import RecentFaults, SignOfLife
from fleet.errors import NewerLayout, ServiceUnavailable
from fleet.layout import found_at
from fleet.notifications import actions as operators
from fleet.notifications import delivery as deliveries
from fleet.notifications.delivery import Delivery
from fleet.notifications.incident import Intervals
from infra import retry
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.assignment import Assignment
from infra.kafka.partitions import behind, of_topic, place_of
from infra.kafka.topics import missing
from infra.logs import named
from infra.metrics import LATENCY_BUCKETS
from infra.mongo import client as mongo
from infra.mongo import incidents, layouts, recording
from infra.mongo.incidents import Update
from infra.operations import LOOPS
from speed_layer.dead_mans_switch import Pulse, process_name

log = get_logger()

RESOLVE_SECONDS: Final = 60.0

RECORDED: Final = Counter("peacewatch_recording_messages", "messages that were recorded, by topic", ["topic"])
WRITE_SECONDS: Final = Histogram(
    "peacewatch_recording_write_seconds", "time to write what one poll brought to MongoDB", buckets=LATENCY_BUCKETS
)
UNRECORDED: Final = Gauge("peacewatch_recording_unrecorded", "messages that wait in the partitions of this process")
Documents = mongo.Documents

AWAY: Final = (retry.NotReady, KafkaError, PyMongoError, ServiceUnavailable, OSError)


@dataclass(frozen=True)
class RecorderConfig:
    bootstrap: Address
    mongo_uri: str
    intervals: Intervals
    group: str = "peacewatch-recorder"
    alerts: str = topics.ALERTS
    deliveries: str = topics.DELIVERIES
    actions: str = ""  # operators' actions, for the audit list; empty: not recorded
    state: str = ""  # the topic of the signs of life; empty: none is sent


def run(config: RecorderConfig, stop: Event) -> None:
    """Records until `stop` is set. Kafka and MongoDB may come and go."""
    faults = RecentFaults()

    def health() -> SignOfLife:
        now = datetime.now(UTC)
        return SignOfLife("recorder", process_name(), now, troubles=faults.troubles("recorder", now))

    def session() -> None:
        consumer = clients.consumer(
            config.bootstrap,
            group_id=config.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=2000,
            session_timeout_ms=10_000,
        )
        pulse = Pulse(config.bootstrap, config.state) if config.state else None
        with (
            closing(consumer),
            closing(pulse) if pulse else nullcontext(),
            mongo.client(config.mongo_uri, "recorder", wait_ms=5000) as client,
        ):
            database = mongo.database(client)
            layouts.claim(database)
            incidents.ensure_indexes(database)
            assignment = _subscribe(config, consumer)
            resolved_at = float("-inf")
            while not stop.is_set():
                LOOPS.beat()
                _record(config, consumer, database, faults)
                _resume(consumer, database, assignment)
                if pulse:
                    pulse.beat(health)
                if time.monotonic() - resolved_at > RESOLVE_SECONDS:
                    resolved_at = time.monotonic()
                    now = datetime.now(UTC)
                    incidents.resolve(database, now - config.intervals.over, now - config.intervals.expire)

    retry.run(session, stop, "recorder", away=AWAY)


def _subscribe(config: RecorderConfig, consumer: KafkaConsumer) -> Assignment:
    """To all topics. Raises KafkaError if ACLs hide one, since a subscription then says nothing.

    One that is not there yet is read as soon as it is.
    """
    names = [name for name in (config.alerts, config.deliveries, config.actions) if name]
    for name in names:
        if not of_topic(consumer, name):
            missing(config.bootstrap, name)
    assignment = Assignment(consumer)
    consumer.subscribe(names, listener=assignment)
    return assignment


def _resume(consumer: KafkaConsumer, database: Documents, assignment: Assignment) -> None:
    """Continues new partitions at the offset before which this database and the group both have everything.

    A group without an offset begins with the topic, as does an empty database; one of a version that kept no positions
    goes by the group. A position that was expired or belongs to an earlier topic of the name is beyond the group's.
    """
    _, new = assignment.take()
    if not new:
        return
    known, is_empty = recording.positions(database), recording.is_empty(database)
    starts: dict[str, int] = {}
    for partition in new:
        name = _name(partition)
        committed = consumer.committed(partition)
        if committed is None or is_empty:
            consumer.seek_to_beginning(partition)
            starts[name] = 0
            continue
        starts[name] = min(committed, known.get(name, committed))
        if starts[name] < committed:
            log.info("recording again what this database lacks", partition=name, messages=committed - starts[name])
        consumer.seek(partition, starts[name])
    recording.note(database, starts)
    consumer.resume(*new)


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}/{partition.partition}"


@dataclass
class _Batch:
    """What one poll makes of each collection."""

    alerts: list[Update] = field(default_factory=list)
    incidents: list[Update] = field(default_factory=list)
    deliveries: list[Update] = field(default_factory=list)
    actions: list[Update] = field(default_factory=list)

    def add_delivery(self, delivery: Delivery) -> None:
        self.alerts += incidents.notified_updates(delivery)
        self.incidents += incidents.incident_updates(delivery)
        self.deliveries += incidents.delivery_updates(delivery)


def _record(config: RecorderConfig, consumer: KafkaConsumer, database: Documents, faults: RecentFaults) -> None:
    batch = _Batch()
    raised: list[tuple[Alert, datetime]] = []
    polled = consumer.poll(timeout_ms=500)
    began = time.perf_counter()
    for records in polled.values():
        for record in records:
            try:
                _enter(config, record, batch, raised)
            except NewerLayout as error:
                raise found_at(place_of(record), error) from None
            except (MsgspecError, IndexError) as error:
                place = place_of(record)
                log.warning("a message cannot be read", place=place, reason=error)
                faults.add("unreadable", datetime.now(UTC), f"the last one is {place}")
    batch.alerts = _alerts(database, raised) + batch.alerts
    batch.incidents += [update for alert, _ in raised if alert.clears for update in incidents.cleared_updates(alert)]
    for collection, updates in vars(batch).items():
        for _ in range(_write(database, collection, updates)):
            faults.add("unrecorded", datetime.now(UTC), f"the last one is of the collection {collection}")
    _log_alerts([alert for alert, _ in raised])
    if polled:
        recording.note(database, {_name(at): records[-1].offset + 1 for at, records in polled.items() if records})
        _measure(consumer, polled, time.perf_counter() - began)
        try:
            consumer.commit()
        except (CommitFailedError, RebalanceInProgressError) as error:
            log.info("offsets are not committed; the same is written again", reason=error)


def _enter(config: RecorderConfig, record: Any, batch: _Batch, raised: list[tuple[Alert, datetime]]) -> None:
    """Raises NewerLayout, MsgspecError and IndexError."""
    if record.topic == config.alerts:
        raised.append((wire.decode(record.value or b""), _time(record)))
    elif record.topic == config.actions:
        batch.actions += incidents.action_updates(operators.decode(record.value or b""))
    else:
        batch.add_delivery(deliveries.decode(record.value or b""))


def _alerts(database: Documents, raised: list[tuple[Alert, datetime]]) -> list[Update]:
    """The rows of alerts; an alert with the id of another one gets the same new id as in the notifier."""
    alerts = [(alert, raised_at) for alert, raised_at in raised if not alert.clears]
    contents = incidents.contents(database, {alert.alert_id for alert, _ in alerts})
    updates: list[Update] = []
    for alert, raised_at in alerts:
        content = content_of(alert)
        known = contents.setdefault(alert.alert_id, content)
        updates += incidents.alert_updates(alert, raised_at, conflict_id(alert) if is_conflict(known, content) else "")
    return updates


def _write(database: Documents, collection: str, updates: Sequence[Update]) -> int:
    """Writes in order: of two states of one incident the later stays. Returns how many were refused for their content.
    Raises PyMongoError and OSError if MongoDB is away.
    """
    if not updates:
        return 0
    try:
        database[collection].bulk_write(updates, ordered=True)
    except Exception as error:
        if _is_away(error):
            raise
        return sum(not _is_written(database, collection, update) for update in updates)
    return 0


def _is_written(database: Documents, collection: str, update: Update) -> bool:
    try:
        database[collection].bulk_write([update])
    except Exception as error:
        if _is_away(error):
            raise
        log.error("MongoDB refuses a document", collection=collection, reason=mongo.reason(error))  # noqa: TRY400 - the document may be large
        return False
    return True


def _is_away(error: Exception) -> bool:
    return isinstance(error, PyMongoError | OSError) and not mongo.is_refused(error)


def _log_alerts(alerts: Sequence[Alert]) -> None:
    sources = [alert.source or alert.alert_id for alert in alerts]
    if sources:
        log.info("recorded", **named("sources", sources))


def _measure(consumer: KafkaConsumer, polled: Mapping[TopicPartition, Sequence[Any]], seconds: float) -> None:
    for partition, records in polled.items():
        RECORDED.labels(partition.topic).inc(len(records))
    WRITE_SECONDS.observe(seconds)
    UNRECORDED.set(sum(behind(consumer, at, consumer.position(at)) for at in consumer.assignment()))


def _time(record: Any) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)
