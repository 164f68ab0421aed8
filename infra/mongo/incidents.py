"""The collections that the recorder writes: alerts, incidents, deliveries and operators' actions, for people to see.

Their schemas, their indexes, and what an alert, a delivery and an action change in them: each change may be repeated.
"""

from __future__ import annotations

from collections.abc import Set
from datetime import datetime
from typing import Any, Final, Required, TypedDict

import msgspec
from pymongo import UpdateMany, UpdateOne

from fleet.alerts.alert import ENDED_BY_CLEARING, Alert, content_of
from fleet.notifications import delivery as deliveries
from fleet.notifications.actions import Action
from fleet.notifications.delivery import Delivery
from fleet.notifications.incident import Incident, key_of
from infra.mongo.client import Documents, build_index
from infra.mongo.collection import Collection


class AlertDocument(TypedDict, total=False):
    """An alert: its message, and when it was raised, and where and when people were notified."""

    _id: Required[str]
    raised_at: datetime  # the broker's time of the alert
    incident_id: str | None
    delivered_at: datetime | None
    message_id: str | None
    webhook: str
    in_digest: bool
    kept_back: str  # why it got no message of its own
    latency_ms: int | None
    drone_latency_ms: int


class IncidentDocument(TypedDict, total=False):
    """An incident: its newest delivery, and what is known of it apart from that."""

    _id: Required[str]
    webhook: str
    updated_at: datetime
    messages: list[str]  # ids of all messages that showed it


class DeliveryDocument(TypedDict, total=False):
    """A request that Discord accepted, and the state of each of its incidents in it."""

    _id: Required[str]
    webhook: str
    method: str
    message_id: str
    delivered_at: datetime
    digest: bool
    held: str
    incidents: list[dict[str, Any]]


class ActionDocument(TypedDict, total=False):
    """An action of an operator."""

    _id: Required[str]


ALERTS: Final = Collection("alerts", 1, AlertDocument, "`alert_id`", "record", Alert, ("alert_id", "clears"))
INCIDENTS: Final = Collection("incidents", 1, IncidentDocument, "`incident_id`", "record", Incident, ("incident_id",))
DELIVERIES: Final = Collection("deliveries", 1, DeliveryDocument, "`delivery_id`", "record")
ACTIONS: Final = Collection("actions", 1, ActionDocument, "`id` of the action", "serve, record", Action, ("id",))

NOT_NOTIFIED: Final = {"incident_id": None, "delivered_at": None, "message_id": None, "latency_ms": None}

Update = UpdateOne | UpdateMany


def ensure_indexes(database: Documents) -> None:
    """The indexes for the API's queries."""
    build_index(database["alerts"], ("raised_at", -1), ("_id", -1))
    build_index(database["alerts"], ("delivered_at", 1), ("raised_at", -1))
    build_index(database["alerts"], ("incident_id", 1), ("raised_at", -1))
    late = {"latency_ms": {"$gt": deliveries.WAITED_MS}}
    build_index(database["alerts"], ("raised_at", 1), name="waited", partialFilterExpression=late)
    build_index(database["incidents"], ("last", -1), ("_id", -1))
    build_index(database["incidents"], ("key", 1), ("last", -1))
    build_index(database["deliveries"], ("incidents.incident_id", 1), ("delivered_at", -1))
    build_index(database["deliveries"], ("delivered_at", 1))
    build_index(database["deliveries"], ("message_id", 1))
    build_index(database["actions"], ("at", -1), ("_id", -1))


def resolve(database: Documents, before: datetime, expired_before: datetime | None = None) -> None:
    """Resolves incidents that only a digest counted: they get no last edit, so no delivery says that they are over.

    They are over without an alert since `before`; those that a clearing ends, without one since `expired_before`.
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
    fields = {**document_of(alert), "verified": alert.verified, "content": content_of(alert), "raised_at": raised_at}
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
        fields = {**document_of(one), "webhook": delivery.webhook, "updated_at": delivery.delivered_at}
        del fields["incident_id"]
        messages = {"messages": delivery.message_id}
        updates.append(UpdateOne({"_id": one.incident_id}, {"$set": fields, "$addToSet": messages}, upsert=True))
    return updates


def delivery_updates(delivery: Delivery) -> list[UpdateOne]:
    """The delivery itself, and the state of each of its incidents in it."""
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


def contents(database: Documents, ids: Set[str]) -> dict[str, int]:
    """The checksum of the content of each alert that is known, by its id."""
    if not ids:
        return {}
    known = database["alerts"].find({"_id": {"$in": list(ids)}, "content": {"$exists": True}}, {"content": True})
    return {document["_id"]: document["content"] for document in known}


def document_of(value: msgspec.Struct) -> dict[str, Any]:
    """Its fields as MongoDB stores them; times stay times."""
    document: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(value), builtin_types=(datetime,))
    return document
