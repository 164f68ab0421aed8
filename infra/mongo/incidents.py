"""The collections that the recorder writes: alerts, incidents, deliveries and operators' actions, for people to see."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Required, TypedDict

from fleet.alerts.alert import Alert
from fleet.notifications.actions import Action
from fleet.notifications.incident import Incident
from infra.mongo.schema import Collection


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
    """A call that Discord took, and how each of its incidents stood in it."""

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
