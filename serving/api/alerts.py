"""Alerts, newest first. The recorder writes them; here they are only read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from serving.api import PREFIX, answers
from serving.api.models import Query, Text
from serving.api.times import Moment, between
from serving.paging import CURSOR, MAX_PAGE, page
from serving.services import Services

Document = dict[str, Any]
Kind = Literal["unrest", "low_battery", "watchword", "silent"]
Severity = Literal["critical", "high", "moderate"]


class Citizen(BaseModel):
    """Somebody a drone saw."""

    name: str
    peace_score: int


class AlertRow(BaseModel):
    """An alert. What a drone sent (`message`, names, places) is text of anybody: escape it."""

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
    verified: bool = Field(description="false: read out of a message that is no whole report")
    incident_id: str | None
    delivered_at: datetime | None = Field(description="when Discord took it; null: not yet")
    latency_ms: int | None = Field(description="from the broker's time of the report to Discord's answer")


class Alerts(BaseModel):
    """A page of alerts."""

    alerts: list[AlertRow]
    next: str | None = Field(description="cursor of the next page; null: this is the last")
    version: int = Field(description="version of the lake at this moment; alerts do not wait for it")
    as_of: datetime | None


class AlertsQuery(Query):
    """Which alerts, and where in them."""

    kind: Kind | None = None
    severity: Severity | None = None
    country: Text | None = None
    city: Text | None = None
    drone: Text | None = Field(None, description="a drone's id")
    incident: Text | None = Field(None, description="an incident's id")
    delivered: bool | None = Field(None, description="whether Discord has taken it")
    since: Moment | None = Field(
        None, description="raised at or after", json_schema_extra={"example": "2026-11-24T00:00:00Z"}
    )
    until: Moment | None = Field(None, description="raised before")
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, pattern=CURSOR, description="`next` of the page before")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/alerts`."""
    api = APIBlueprint("alerts", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="alerts")])

    @api.get("/alerts", summary="Alerts, newest first", responses=answers(Alerts))
    def alerts(query: AlertsQuery) -> Document:
        found, following = page(services.database.alerts, _wanted(query), "raised_at", query.limit, query.cursor)
        served = services.merge.served()
        return {
            "alerts": [row(document) for document in found],
            "next": following,
            "version": served.version,
            "as_of": served.as_of,
        }

    return api


def row(document: Document) -> Document:
    """An alert as the API shows it."""
    scores = [citizen["peace_score"] for citizen in document.get("citizens") or []]
    shown = {name: document.get(name) for name in AlertRow.model_fields}
    return shown | {
        "alert_id": document["_id"],
        "worst_score": min(scores, default=None),
        "citizens": document.get("citizens") or [],
        "message": document.get("message") or "",
        "verified": document.get("verified", True),
    }


def _wanted(query: AlertsQuery) -> Document:
    fields = {"kind": "kind", "severity": "severity", "country": "country", "city": "city"}
    fields |= {"drone": "drone_id", "incident": "incident_id"}
    wanted: Document = {to: getattr(query, name) for name, to in fields.items() if getattr(query, name) is not None}
    if query.delivered is not None:
        wanted["delivered_at"] = {"$ne": None} if query.delivered else None
    return wanted | between("raised_at", query.since, query.until)
