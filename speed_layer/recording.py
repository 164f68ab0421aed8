"""`alerts`, `deliveries` and operators' actions to MongoDB, for people to look at. Never on an alert's own way.

Every write is the same when it is made again, and in any order of the two topics: an alert's own fields come from
`alerts`, where and when it was told from `deliveries`. Offsets are committed after the writes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final

import msgspec
from kafka import KafkaConsumer
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from msgspec import MsgspecError
from pymongo import UpdateOne
from pymongo.database import Database
from pymongo.errors import PyMongoError
from structlog import get_logger

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert
from fleet.errors import NewerLayout
from fleet.notifications import actions as operators
from fleet.notifications import delivery as deliveries
from fleet.notifications.actions import Action
from fleet.notifications.delivery import Delivery
from infra import retry
from infra.kafka import clients
from infra.kafka.config import Address
from infra.mongo import client as mongo
from infra.mongo import layouts

log = get_logger()

UNTOLD: Final = {"incident_id": None, "delivered_at": None, "message_id": None, "latency_ms": None}
RESOLVE_SECONDS: Final = 60.0
AWAY: Final = (retry.NotYet, KafkaError, PyMongoError, NewerLayout, OSError)


@dataclass(frozen=True)
class RecorderConfig:
    bootstrap: Address
    mongo_uri: str
    group: str = "peacewatch-recorder"
    alerts: str = topics.ALERTS
    deliveries: str = topics.DELIVERIES
    over_after: timedelta = timedelta(minutes=35)  # quiet and resolve of fleet.notifications.incident.Intervals
    actions: str = ""  # operators' actions, for the audit list; empty: they are not recorded


def run(config: RecorderConfig, stop: Event) -> None:
    """Until `stop` is set. Kafka and MongoDB may come and go."""

    def session() -> None:
        consumer = clients.consumer(
            config.bootstrap,
            group_id=config.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=2000,
            session_timeout_ms=10_000,
        )
        with closing(consumer), mongo.client(config.mongo_uri, "recorder", wait_ms=5000) as client:
            database = mongo.database(client)
            layouts.claim(database)
            create_indexes(database)
            consumer.subscribe([name for name in (config.alerts, config.deliveries, config.actions) if name])
            resolved_at = float("-inf")
            while not stop.is_set():
                _record(config, consumer, database)
                if time.monotonic() - resolved_at > RESOLVE_SECONDS:
                    resolved_at = time.monotonic()
                    resolve(database, datetime.now(UTC) - config.over_after)

    retry.run(session, stop, "recorder", away=AWAY)


def create_indexes(database: Database[dict[str, Any]]) -> None:
    """What the API asks by."""
    database["alerts"].create_index([("raised_at", -1), ("_id", -1)])
    database["alerts"].create_index([("delivered_at", 1), ("raised_at", -1)])
    database["alerts"].create_index([("incident_id", 1), ("raised_at", -1)])
    late = {"latency_ms": {"$gt": deliveries.WAITED_MS}}
    database["alerts"].create_index([("raised_at", 1)], name="waited", partialFilterExpression=late)
    database["incidents"].create_index([("last", -1), ("_id", -1)])
    database["deliveries"].create_index([("incidents.incident_id", 1), ("delivered_at", -1)])
    database["deliveries"].create_index([("delivered_at", 1)])
    database["actions"].create_index([("at", -1), ("_id", -1)])


def resolve(database: Database[dict[str, Any]], before: datetime) -> None:
    """Incidents that only a digest counted get no last edit, so no delivery says that they are over."""
    over = {"message_id": "", "state": {"$ne": "resolved"}, "last": {"$lt": before}}
    database["incidents"].update_many(over, {"$set": {"state": "resolved"}})


def alert_updates(alert: Alert, raised_at: datetime) -> list[UpdateOne]:
    """`raised_at` is the broker's time of the alert; of a copy the earlier stands."""
    if alert.clears:
        return []
    fields = {**_document(alert), "verified": alert.verified}
    del fields["alert_id"]
    update = {"$set": fields, "$min": {"raised_at": raised_at}, "$setOnInsert": UNTOLD}
    return [UpdateOne({"_id": alert.alert_id}, update, upsert=True)]


def told_updates(delivery: Delivery) -> list[UpdateOne]:
    """Where and when each alert of the delivery was told."""
    updates = []
    for position, alert_id in enumerate(delivery.alert_ids):
        incident_id = delivery.incidents[delivery.alert_incidents[position]].incident_id
        told = {
            "incident_id": incident_id,
            "delivered_at": delivery.delivered_at,
            "message_id": delivery.message_id,
            "webhook": delivery.webhook,
            "in_digest": delivery.digest,
            "kept_back": delivery.kept_back.get(incident_id, ""),
            "latency_ms": delivery.broker_ms[position],
            "drone_latency_ms": delivery.drone_ms[position],
        }
        updates.append(UpdateOne({"_id": alert_id}, {"$set": told}, upsert=True))
    return updates


def incident_updates(delivery: Delivery) -> list[UpdateOne]:
    """The incidents as the delivery told them."""
    updates = []
    for one in delivery.incidents:
        fields = {**_document(one), "webhook": delivery.webhook, "updated_at": delivery.delivered_at}
        del fields["incident_id"]
        messages = {"messages": delivery.message_id}
        updates.append(UpdateOne({"_id": one.incident_id}, {"$set": fields, "$addToSet": messages}, upsert=True))
    return updates


def call_updates(delivery: Delivery) -> list[UpdateOne]:
    """The call itself, and how each of its incidents stood in it."""
    names = ("webhook", "method", "message_id", "delivered_at", "digest", "held")
    fields: dict[str, Any] = {name: getattr(delivery, name) for name in names}
    shown = ("incident_id", "alerts", "state", "severity")
    fields["incidents"] = [{name: getattr(one, name) for name in shown} for one in delivery.incidents]
    return [UpdateOne({"_id": delivery.delivery_id}, {"$set": fields}, upsert=True)]


def action_updates(action: Action) -> list[UpdateOne]:
    """The audit list's row, as the API wrote it when MongoDB was there."""
    fields = {name: getattr(action, name) for name in ("action", "by", "at", "note", "until")}
    target = msgspec.to_builtins(action.target)
    return [UpdateOne({"_id": action.id}, {"$set": {**fields, "target": target}}, upsert=True)]


def _record(config: RecorderConfig, consumer: KafkaConsumer, database: Database[dict[str, Any]]) -> None:
    alerts: list[UpdateOne] = []
    incidents: list[UpdateOne] = []
    calls: list[UpdateOne] = []
    actions: list[UpdateOne] = []
    for partition, records in consumer.poll(timeout_ms=500).items():
        for record in records:
            try:
                if partition.topic == config.alerts:
                    alerts += alert_updates(wire.decode(record.value or b""), _time(record))
                elif partition.topic == config.actions:
                    actions += action_updates(operators.decode(record.value or b""))
                else:
                    delivery = deliveries.decode(record.value or b"")
                    alerts += told_updates(delivery)
                    incidents += incident_updates(delivery)
                    calls += call_updates(delivery)
            except MsgspecError as error:
                log.warning("a message that cannot be read", place=f"{partition}-{record.offset}", reason=error)
    _write(database, "alerts", alerts)
    _write(database, "incidents", incidents)
    _write(database, "deliveries", calls)
    _write(database, "actions", actions)
    if alerts or calls or actions:
        try:
            consumer.commit()
        except (CommitFailedError, RebalanceInProgressError) as error:
            log.info("offsets are not committed; the same is written again", reason=error)


def _write(database: Database[dict[str, Any]], collection: str, updates: Iterable[UpdateOne]) -> None:
    """In order: of two states of one incident the later stands."""
    if updates:
        database[collection].bulk_write(list(updates), ordered=True)


def _document(value: msgspec.Struct) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(value), builtin_types=(datetime,))
    return document


def _time(record: Any) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)
