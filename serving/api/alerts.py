"""Alerts, newest first. The recorder writes them; here they are only read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from serving.api import PREFIX, answers
from serving.api.models import Query, Text
from serving.api.times import Moment, between
from serving.paging import CURSOR, MAX_PAGE, page
from serving.rows import AlertRow, Kind, Severity, alert_row
from serving.services import Services
from serving.tables import TABLE, Format, table

Document = dict[str, Any]


class Alerts(BaseModel):
    """A page of alerts."""

    model_config = TABLE

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
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/alerts`."""
    api = APIBlueprint("alerts", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="alerts")])

    @api.get("/alerts", summary="Alerts, newest first", responses=answers(Alerts))
    def alerts(query: AlertsQuery) -> Response:
        found, following = page(services.database.alerts, _wanted(query), "raised_at", query.limit, query.cursor)
        served = services.merge.served()
        rows = [alert_row(document) for document in found]
        answer = {"alerts": rows, "next": following, "version": served.version, "as_of": served.as_of}
        return table(answer, rows, query.format)

    return api


def _wanted(query: AlertsQuery) -> Document:
    fields = {"kind": "kind", "severity": "severity", "country": "country", "city": "city"}
    fields |= {"drone": "drone_id", "incident": "incident_id"}
    wanted: Document = {to: getattr(query, name) for name, to in fields.items() if getattr(query, name) is not None}
    if query.delivered is not None:
        wanted["delivered_at"] = {"$ne": None} if query.delivered else None
    return wanted | between("raised_at", query.since, query.until)
