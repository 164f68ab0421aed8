"""Alerts by kind and the incidents that began, by day: the batch view `alert_days`."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from pymongo.client_session import ClientSession

from fleet.figures import statistics
from fleet.figures.views import ALERTS
from infra.mongo import view_parts
from infra.mongo.session import at_one_instant
from serving.api import PREFIX, answers
from serving.api.figures import envelope, range_of, whole_days
from serving.api.models import Figures, RangeQuery
from serving.figures import batch_views
from serving.http.model import Model
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Documents = list[dict[str, Any]]


class Counted(Model):
    alerts: int
    unverified: int = Field(description="those from messages that are not whole reports")
    incidents: int = Field(description="incidents that began with one of these alerts")


class KindRow(Counted):
    kind: str


class SeverityRow(Counted):
    severity: str = Field(description="an incident has the severity of its first alert")


class AlertDay(Counted):
    date: str


class Kinds(Figures):
    """Alerts by kind and severity, and by the UTC day of their reports."""

    model_config = TABLE

    kinds: list[KindRow]
    severities: list[SeverityRow]
    days: list[AlertDay] = Field(description="every day of the range")
    batch_version: int | None = Field(description="version of the lake's table `alerts` that was read")


class KindsQuery(RangeQuery):
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/statistics/alerts-by-kind`."""
    api = APIBlueprint("kinds", __name__, url_prefix=f"{PREFIX}/statistics", abp_tags=[Tag(name="statistics")])

    @api.get("/alerts-by-kind", summary="Alerts by kind, incidents by day", responses=answers(Kinds))
    def alerts_by_kind(query: KindsQuery) -> Response:
        served, wanted = range_of(services, query)
        days = whole_days(wanted)
        documents, version = _read(services, batch_views.of_days(days[0], days[-1])) if days else ([], None)
        cells = {document["_id"]: ALERTS.from_document(document["cells"]) for document in documents}
        answer = envelope(services, served, wanted, query) | {"batch_version": version}
        answer |= statistics.alerts_by_kind(cells, days, query.country)
        return table(answer, answer["kinds"], query.format)

    return api


def _read(services: Services, days: dict[str, Any]) -> tuple[Documents, int | None]:
    def read(session: ClientSession) -> tuple[Documents, int | None]:
        stored = services.database.alert_days.find(days, session=session)
        documents = list(view_parts.whole(services.database, "alert_days", stored, session))
        return documents, batch_views.version(services.database, "alert_days", session, kind="alerts")

    return at_one_instant(services.database, read)
