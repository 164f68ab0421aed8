"""Incidents: alerts of one kind in one place, as Discord was told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field
from werkzeug.exceptions import NotFound

from serving.api import PREFIX, answers
from serving.api.models import Query, Text
from serving.api.times import Moment, between
from serving.paging import CURSOR, MAX_PAGE, page
from serving.rows import AlertRow, IncidentRow, Kind, Severity, State, alert_row, incident_row
from serving.services import Services
from serving.tables import TABLE, Format, table

Document = dict[str, Any]
SHOWN_ALERTS = 100


class Incidents(BaseModel):
    """A page of incidents."""

    model_config = TABLE

    incidents: list[IncidentRow]
    next: str | None = Field(description="cursor of the next page; null: this is the last")
    version: int = Field(description="version of the lake at this moment; incidents do not wait for it")
    as_of: datetime | None


class OneIncident(IncidentRow):
    """An incident with its newest alerts and the Discord messages that told it."""

    recent_alerts: list[AlertRow] = Field(description=f"the newest {SHOWN_ALERTS}; all are at /alerts?incident=")
    messages: list[str] = Field(description="ids of the Discord messages that told it, oldest first")


class IncidentsQuery(Query):
    """Which incidents, and where in them."""

    kind: Kind | None = None
    severity: Severity | None = None
    state: State | None = None
    country: Text | None = None
    city: Text | None = None
    drone: Text | None = Field(None, description="one of the drones that the incident names")
    since: Moment | None = Field(None, description="latest alert at or after")
    until: Moment | None = Field(None, description="latest alert before")
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    cursor: str | None = Field(None, pattern=CURSOR, description="`next` of the page before")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class IncidentPath(BaseModel):
    incident_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/incidents`."""
    api = APIBlueprint("incidents", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="incidents")])

    @api.get("/incidents", summary="Incidents, latest first", responses=answers(Incidents))
    def incidents(query: IncidentsQuery) -> Response:
        found, following = page(services.database.incidents, _wanted(query), "last", query.limit, query.cursor)
        served = services.merge.served()
        rows = [incident_row(document) for document in found]
        answer = {"incidents": rows, "next": following, "version": served.version, "as_of": served.as_of}
        return table(answer, rows, query.format)

    @api.get("/incidents/<incident_id>", summary="One incident", responses=answers(OneIncident, 404))
    def incident(path: IncidentPath) -> Document:
        document = services.database.incidents.find_one({"_id": path.incident_id})
        if document is None:
            raise NotFound("there is no such incident")
        alerts = services.database.alerts.find({"incident_id": path.incident_id, "raised_at": {"$type": "date"}})
        newest = alerts.sort([("raised_at", -1), ("_id", -1)]).limit(SHOWN_ALERTS)
        return {
            **incident_row(document),
            "recent_alerts": [alert_row(alert) for alert in newest],
            "messages": document.get("messages") or [],
        }

    return api


def _wanted(query: IncidentsQuery) -> Document:
    fields = {name: name for name in ("kind", "severity", "state", "country", "city")} | {"drone": "drones"}
    wanted: Document = {to: getattr(query, name) for name, to in fields.items() if getattr(query, name) is not None}
    return wanted | between("last", query.since, query.until)
