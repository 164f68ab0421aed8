"""`alerts`, `deliveries` and operators' actions to MongoDB, for people to look at. No part of the alert pipeline.

Every write may be repeated, and the two topics may be read in any order: an alert's own fields come from `alerts`,
where and when people were notified from `deliveries`. Offsets are committed after the writes.

Of an alert and its duplicates the first one's fields stay; one with the same id and other content has a row of its own
(fleet.alerts.alert). What MongoDB refuses for what it is, is passed by and counted: it would come again after a
restart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from msgspec import MsgspecError
from prometheus_client import Counter, Gauge, Histogram
from pymongo import UpdateMany, UpdateOne
from pymongo.errors import PyMongoError
from structlog import get_logger

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import ENDED_BY_CLEARING, Alert, conflict_id, content_of, is_conflict
from fleet.alerts.pipeline_health import RecentFaults, SignOfLife
from fleet.errors import NewerLayout
from fleet.notifications import actions as operators
from fleet.notifications import delivery as deliveries
from fleet.notifications.actions import Action
from fleet.notifications.delivery import Delivery
from fleet.notifications.incident import Intervals, key_of
from fleet.text import sentence
from infra import retry
from infra.kafka import clients
from infra.kafka.config import Address
from infra.kafka.partitions import behind
from infra.logs import named
from infra.metrics import LATENCY_BUCKETS
from infra.mongo import client as mongo
from infra.mongo import layouts
from infra.operations import LOOPS
from speed_layer.dead_mans_switch import Pulse, process_name

log = get_logger()

NOT_NOTIFIED: Final = {"incident_id": None, "delivered_at": None, "message_id": None, "latency_ms": None}
RESOLVE_SECONDS: Final = 60.0

RECORDED: Final = Counter("peacewatch_recording_messages", "messages that were recorded, by topic", ["topic"])
WRITE_SECONDS: Final = Histogram(
    "peacewatch_recording_write_seconds", "time to write what one poll brought to MongoDB", buckets=LATENCY_BUCKETS
)
UNRECORDED: Final = Gauge("peacewatch_recording_unrecorded", "messages that wait in the partitions of this process")
Documents = mongo.Documents
Update = UpdateOne | UpdateMany

AWAY: Final = (retry.NotReady, KafkaError, PyMongoError, NewerLayout, OSError)


@dataclass(frozen=True)
class RecorderConfig:
    bootstrap: Address
    mongo_uri: str
    intervals: Intervals
    group: str = "peacewatch-recorder"
    alerts: str = topics.ALERTS
    deliveries: str = topics.DELIVERIES
    actions: str = ""  # operators' actions, for the audit list; empty: they are not recorded
    state: str = ""  # the topic of the signs of life; empty: none is given


def run(config: RecorderConfig, stop: Event) -> None:
    """Until `stop` is set. Kafka and MongoDB may come and go."""
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
            create_indexes(database)
            consumer.subscribe([name for name in (config.alerts, config.deliveries, config.actions) if name])
            resolved_at = float("-inf")
            while not stop.is_set():
                LOOPS.beat()
                _record(config, consumer, database, faults)
                if pulse:
                    pulse.beat(health)
                if time.monotonic() - resolved_at > RESOLVE_SECONDS:
                    resolved_at = time.monotonic()
                    now = datetime.now(UTC)
                    resolve(database, now - config.intervals.over, now - config.intervals.expire)

    retry.run(session, stop, "recorder", away=AWAY)


def create_indexes(database: Documents) -> None:
    """What the API asks by."""
    database["alerts"].create_index([("raised_at", -1), ("_id", -1)])
    database["alerts"].create_index([("delivered_at", 1), ("raised_at", -1)])
    database["alerts"].create_index([("incident_id", 1), ("raised_at", -1)])
    late = {"latency_ms": {"$gt": deliveries.WAITED_MS}}
    database["alerts"].create_index([("raised_at", 1)], name="waited", partialFilterExpression=late)
    database["incidents"].create_index([("last", -1), ("_id", -1)])
    database["incidents"].create_index([("key", 1), ("last", -1)])
    database["deliveries"].create_index([("incidents.incident_id", 1), ("delivered_at", -1)])
    database["deliveries"].create_index([("delivered_at", 1)])
    database["deliveries"].create_index([("message_id", 1)])
    database["actions"].create_index([("at", -1), ("_id", -1)])


def resolve(database: Documents, before: datetime, expired_before: datetime | None = None) -> None:
    """Incidents that only a digest counted get no last edit, so no delivery says that they are over.

    Over are those without an alert since `before`; of those that a clearing ends, since `expired_before`.
    """
    lasting = list(ENDED_BY_CLEARING)
    over = {"message_id": "", "state": {"$ne": "resolved"}}
    by_time = [
        {"last": {"$lt": before}, "kind": {"$nin": lasting}},
        {"last": {"$lt": expired_before or before}, "kind": {"$in": lasting}},
    ]
    database["incidents"].update_many({**over, "$or": by_time}, {"$set": {"state": "resolved"}})


def alert_updates(alert: Alert, raised_at: datetime, alert_id: str = "") -> list[UpdateOne]:
    """`raised_at` is the broker's time of the alert. The first of an alert and its duplicates makes the row; `alert_id`
    is another one's than its own where that is taken."""
    fields = {**_document(alert), "verified": alert.verified, "content": content_of(alert), "raised_at": raised_at}
    del fields["alert_id"]
    known = {"$ne": [{"$type": "$kind"}, "missing"]}
    made = {"$mergeObjects": [{"$literal": NOT_NOTIFIED}, "$$ROOT", {"$literal": fields}]}
    update = [{"$replaceWith": {"$cond": [known, "$$ROOT", made]}}]
    return [UpdateOne({"_id": alert_id or alert.alert_id}, update, upsert=True)]


def cleared_updates(alert: Alert) -> list[UpdateMany]:
    """The end of incidents that only a digest counted: no delivery has it."""
    over = {"key": key_of(alert), "message_id": "", "state": {"$ne": "resolved"}, "last": {"$lte": alert.received_at}}
    return [UpdateMany(over, {"$set": {"state": "resolved", "cleared": True}})]


def notified_updates(delivery: Delivery) -> list[UpdateOne]:
    """Where and when people were notified of each alert of the delivery."""
    updates = []
    for position, alert_id in enumerate(delivery.alert_ids):
        incident_id = delivery.incidents[delivery.alert_incidents[position]].incident_id
        notified = {
            "incident_id": incident_id,
            "delivered_at": delivery.delivered_at,
            "message_id": delivery.message_id,
            "webhook": delivery.webhook,
            "in_digest": delivery.digest,
            "kept_back": delivery.kept_back.get(incident_id, ""),
            "latency_ms": delivery.broker_ms[position],
            "drone_latency_ms": delivery.drone_ms[position],
        }
        updates.append(UpdateOne({"_id": alert_id}, {"$set": notified}, upsert=True))
    return updates


def incident_updates(delivery: Delivery) -> list[UpdateOne]:
    """The incidents as people were notified of them."""
    updates = []
    for one in delivery.incidents:
        fields = {**_document(one), "webhook": delivery.webhook, "updated_at": delivery.delivered_at}
        del fields["incident_id"]
        messages = {"messages": delivery.message_id}
        updates.append(UpdateOne({"_id": one.incident_id}, {"$set": fields, "$addToSet": messages}, upsert=True))
    return updates


def delivery_updates(delivery: Delivery) -> list[UpdateOne]:
    """The delivery itself, and how each of its incidents stood in it."""
    names = ("webhook", "method", "message_id", "delivered_at", "digest", "held")
    fields: dict[str, Any] = {name: getattr(delivery, name) for name in names}
    shown = ("incident_id", "alerts", "state", "severity")
    fields["incidents"] = [{name: getattr(one, name) for name in shown} for one in delivery.incidents]
    return [UpdateOne({"_id": delivery.delivery_id}, {"$set": fields}, upsert=True)]


def action_updates(action: Action) -> list[UpdateOne]:
    """The audit list's row, as the API wrote it when MongoDB was there."""
    fields = {name: getattr(action, name) for name in ("action", "by", "at", "note", "until", "ends")}
    target = msgspec.to_builtins(action.target)
    return [UpdateOne({"_id": action.id}, {"$set": {**fields, "target": target}}, upsert=True)]


@dataclass
class _Batch:
    """What one poll makes of each collection."""

    alerts: list[Update] = field(default_factory=list)
    incidents: list[Update] = field(default_factory=list)
    deliveries: list[Update] = field(default_factory=list)
    actions: list[Update] = field(default_factory=list)

    def add_delivery(self, delivery: Delivery) -> None:
        self.alerts += notified_updates(delivery)
        self.incidents += incident_updates(delivery)
        self.deliveries += delivery_updates(delivery)


def _record(config: RecorderConfig, consumer: KafkaConsumer, database: Documents, faults: RecentFaults) -> None:
    batch = _Batch()
    raised: list[tuple[Alert, datetime]] = []
    polled = consumer.poll(timeout_ms=500)
    began = time.perf_counter()
    for partition, records in polled.items():
        for record in records:
            try:
                if partition.topic == config.alerts:
                    raised.append((wire.decode(record.value or b""), _time(record)))
                elif partition.topic == config.actions:
                    batch.actions += action_updates(operators.decode(record.value or b""))
                else:
                    batch.add_delivery(deliveries.decode(record.value or b""))
            except (MsgspecError, IndexError) as error:
                place = f"{partition.topic}-{partition.partition}-{record.offset}"
                log.warning("a message cannot be read", place=place, reason=error)
                faults.add("unreadable", datetime.now(UTC), f"the last one is {place}")
    batch.alerts = _alerts(database, raised) + batch.alerts
    batch.incidents += [update for alert, _ in raised if alert.clears for update in cleared_updates(alert)]
    for collection, updates in vars(batch).items():
        for _ in range(_write(database, collection, updates)):
            faults.add("unrecorded", datetime.now(UTC), f"the last one is of the collection {collection}")
    _log_alerts([alert for alert, _ in raised])
    if polled:
        _measure(consumer, polled, time.perf_counter() - began)
        try:
            consumer.commit()
        except (CommitFailedError, RebalanceInProgressError) as error:
            log.info("offsets are not committed; the same is written again", reason=error)


def _alerts(database: Documents, raised: list[tuple[Alert, datetime]]) -> list[Update]:
    """The rows of alerts; one with the id of another alert gets the id that the notifier gives it, too."""
    alerts = [(alert, raised_at) for alert, raised_at in raised if not alert.clears]
    ids = list({alert.alert_id for alert, _ in alerts})
    known_alerts = database["alerts"].find({"_id": {"$in": ids}, "content": {"$exists": True}}, {"content": True})
    contents: dict[str, int] = {document["_id"]: document["content"] for document in known_alerts} if ids else {}
    updates: list[Update] = []
    for alert, raised_at in alerts:
        content = content_of(alert)
        known = contents.setdefault(alert.alert_id, content)
        updates += alert_updates(alert, raised_at, conflict_id(alert) if is_conflict(known, content) else "")
    return updates


def _write(database: Documents, collection: str, updates: Sequence[Update]) -> int:
    """In order: of two states of one incident the later stands. How many were refused for what they are.

    Raises PyMongoError and OSError where MongoDB is away.
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
        log.error("MongoDB refuses a document", collection=collection, reason=sentence(error))  # noqa: TRY400 - the document may be large
        return False
    return True


def _is_away(error: Exception) -> bool:
    return isinstance(error, PyMongoError | OSError) and not mongo.is_refused(error)


def _document(value: msgspec.Struct) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(value), builtin_types=(datetime,))
    return document


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
