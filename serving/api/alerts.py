"""Alerts, newest first. The recorder writes them; here they are only read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from serving.api import PREFIX, SECURITY, answers
from serving.api.listing import Kept, Listing, ListingQuery, list_of
from serving.api.models import Text
from serving.events.rows import AlertRow, Kind, Severity, alert_row
from serving.services import Services

FIELDS = {name: name for name in ("kind", "severity", "country", "city")}
KEPT = Kept("alerts", "raised_at", FIELDS | {"drone": "drone_id", "incident": "incident_id"}, alert_row)

BY_DELIVERY: Final[Mapping[str, dict[str, Any]]] = {
    "delivered": {"delivered_at": {"$ne": None}},
    "undelivered": {"delivered_at": None},
}


class Alerts(Listing):
    """A page of alerts."""

    alerts: list[AlertRow]


class AlertsQuery(ListingQuery):
    """Which alerts, and where in them. Their time is when they were raised."""

    kind: Kind | None = None
    severity: Severity | None = None
    country: Text | None = None
    city: Text | None = None
    drone: Text | None = Field(None, description="a drone's id")
    incident: Text | None = Field(None, description="an incident's id")
    state: Literal["delivered", "undelivered"] | None = Field(None, description="whether Discord has accepted it")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/alerts`."""
    api = APIBlueprint("alerts", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="alerts")], abp_security=SECURITY)

    @api.get("/alerts", summary="Alerts, newest first", responses=answers(Alerts))
    def alerts(query: AlertsQuery) -> Response:
        return list_of(services, KEPT, query, BY_DELIVERY[query.state] if query.state else None)

    return api
