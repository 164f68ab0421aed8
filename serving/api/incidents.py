"""Incidents: alerts of one kind in one place, as Discord shows them."""

from __future__ import annotations

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from werkzeug.exceptions import NotFound

from serving.api import PREFIX, SECURITY, answers
from serving.api.listing import Document, Kept, Listing, ListingQuery, list_of
from serving.api.models import Text
from serving.events.rows import (
    AlertRow,
    DeliveryRow,
    IncidentRow,
    Kind,
    Severity,
    State,
    alert_row,
    delivery_row,
    incident_row,
)
from serving.http.model import Model
from serving.services import Services

SHOWN = 100
"""Alerts and deliveries that are shown of an incident; in a storm it has thousands."""

FIELDS = {name: name for name in ("kind", "severity", "state", "country", "city")}
KEPT = Kept("incidents", "last", FIELDS | {"drone": "drones"}, incident_row)


class Incidents(Listing):
    """A page of incidents."""

    incidents: list[IncidentRow]


class OneIncident(IncidentRow):
    """An incident with its newest alerts and its deliveries to Discord."""

    recent_alerts: list[AlertRow] = Field(description=f"the newest {SHOWN}; all are at /alerts?incident=")
    messages: list[str] = Field(description="ids of its Discord messages, oldest first")
    deliveries: list[DeliveryRow] = Field(description=f"its {SHOWN} newest deliveries to Discord, newest first")


class IncidentsQuery(ListingQuery):
    """Which incidents, and where in them. Their time is that of the latest alert."""

    kind: Kind | None = None
    severity: Severity | None = None
    state: State | None = None
    country: Text | None = None
    city: Text | None = None
    drone: Text | None = Field(None, description="one of the drones that the incident names")


class IncidentPath(Model):
    incident_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/incidents`."""
    api = APIBlueprint(
        "incidents", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="incidents")], abp_security=SECURITY
    )

    @api.get("/incidents", summary="Incidents, latest first", responses=answers(Incidents))
    def incidents(query: IncidentsQuery) -> Response:
        return list_of(services, KEPT, query)

    @api.get(
        "/incidents/<id(but='acknowledge|resolve'):incident_id>",
        summary="One incident",
        responses=answers(OneIncident, 404),
    )
    def incident(path: IncidentPath) -> Document:
        document = services.database.incidents.find_one({"_id": path.incident_id})
        if document is None:
            raise NotFound("there is no such incident")
        newest = {"incident_id": path.incident_id, "raised_at": {"$type": "date"}}
        alerts = services.database.alerts.find(newest).sort([("raised_at", -1), ("_id", -1)]).limit(SHOWN)
        calls = services.database.deliveries.find({"incidents.incident_id": path.incident_id})
        return {
            **incident_row(document),
            "recent_alerts": [alert_row(alert) for alert in alerts],
            "messages": document.get("messages") or [],
            "deliveries": [
                delivery_row(call, path.incident_id) for call in calls.sort("delivered_at", -1).limit(SHOWN)
            ],
        }

    return api
