"""Alerts and incidents as the API, the event stream and the pages show them, from the recorder's documents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from fleet.alerts.alert import Kind, Severity
from fleet.notifications.incident import State
from serving.http.model import Model

Document = Mapping[str, Any]

__all__ = [
    "AlertRow",
    "DeliveryRow",
    "IncidentRow",
    "Kind",
    "Severity",
    "State",
    "alert_row",
    "delivery_row",
    "incident_row",
]


class Citizen(Model):
    """Somebody a drone saw."""

    name: str
    peace_score: int


class AlertRow(Model):
    """An alert. `message`, names and places are untrusted text from a drone: escape them."""

    alert_id: str
    kind: str
    severity: str
    drone_id: str
    report_id: str
    country: str
    city: str
    reported_at: datetime | None = Field(description="by the drone's clock")
    raised_at: datetime = Field(description="by the broker's clock")
    latitude: float | None
    longitude: float | None
    battery: float | None
    worst_score: int | None = Field(description="lowest peace score of the citizens; null: nobody was seen")
    citizens: list[Citizen]
    message: str
    note: str = Field(description="what the rule adds: the nearest charging station, the watchword, the last report")
    verified: bool = Field(description="false: taken from a message that is not a whole report")
    newcomer: bool = Field(description="true: the fleet had known the drone for a short while only")
    incident_id: str | None
    delivered_at: datetime | None = Field(description="when Discord accepted it; null: not yet")
    latency_ms: int | None = Field(description="from the broker's time of the report to Discord's answer")


class IncidentRow(Model):
    """Alerts of one kind in one place, as Discord shows them now. Names, places and `heard` are untrusted text."""

    incident_id: str
    kind: str
    severity: str
    state: str = Field(description="open, growing, quiet or resolved")
    country: str
    city: str
    since: datetime = Field(description="broker's time of the first alert")
    last: datetime = Field(description="broker's time of the latest alert")
    alerts: int
    worst_score: int | None = Field(description="lowest peace score; null: nobody was seen")
    who: list[Citizen]
    drones: list[str]
    heard: str
    note: str
    latitude: float | None
    longitude: float | None
    battery: float | None = Field(description="percent, as last reported; null: not known")
    verified: bool
    newcomers_only: bool = Field(description="true: no drone that the fleet has known for a while reports it")
    acknowledged_by: str | None
    acknowledgement: str | None
    resolved_by: str | None
    message_id: str | None
    updated_at: datetime | None = Field(description="when Discord accepted this form")


class DeliveryRow(Model):
    """A request that Discord answered with 2xx, and the incident as it was shown then."""

    delivery_id: str
    delivered_at: datetime
    method: str = Field(description="post: a new message; edit: of a message that was there")
    message_id: str
    digest: bool = Field(description="whether the incident was counted in a digest")
    alerts: int = Field(description="alerts that the incident stood for then")
    state: str
    severity: str


def alert_row(document: Document) -> dict[str, Any]:
    """An alert of the collection `alerts`."""
    citizens = document.get("citizens") or []
    shown = {name: document.get(name) for name in AlertRow.model_fields}
    return shown | {
        "alert_id": document["_id"],
        "worst_score": min((citizen["peace_score"] for citizen in citizens), default=None),
        "citizens": citizens,
        "message": document.get("message") or "",
        "note": document.get("note") or "",
        "verified": document.get("verified", True),
        "newcomer": document.get("newcomer", False),
    }


def incident_row(document: Document) -> dict[str, Any]:
    """An incident of the collection `incidents`; empty fields become null or stay empty."""
    shown = {name: document.get(name) or None for name in IncidentRow.model_fields}
    texts = {name: document.get(name) or "" for name in ("heard", "note", "country", "city")}
    lists = {name: document.get(name) or [] for name in ("who", "drones")}
    places = {name: document.get(name) for name in ("latitude", "longitude", "battery")}
    counted = {"alerts": document.get("alerts", 0), "verified": document.get("verified", True)}
    counted["newcomers_only"] = document.get("newcomers_only", False)
    return {**shown, **texts, **lists, **places, **counted, "incident_id": document["_id"]}


def delivery_row(document: Document, incident_id: str) -> dict[str, Any]:
    """A delivery of the collection `deliveries`, for one of its incidents."""
    shown = next(incident for incident in document["incidents"] if incident["incident_id"] == incident_id)
    names = ("delivered_at", "method", "message_id", "digest")
    known = {name: shown[name] for name in ("alerts", "state", "severity")}
    return {"delivery_id": document["_id"], **known, **{name: document[name] for name in names}}
