"""Completeness by day: whether all of its reports are known to have landed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from serving.api import PREFIX, answers
from serving.api.models import DaysQuery, days_of
from serving.http.model import Model
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Document = dict[str, Any]


class DayRow(Model):
    """A UTC day; fields are null if the batch layer has not computed it."""

    date: str
    complete: bool | None = Field(description="null: not computed yet")
    missing: list[str] = Field(description="why it is not complete")
    received: int | None
    expected: int | None
    late: int | None = Field(description="reports that came after the day was complete")
    lost: int | None = Field(
        description="the most messages, perhaps of this day, that were lost before they landed; null: unknown"
    )
    lost_alerts: int | None = Field(description="the same for alerts, which are then missing in `alerts-by-kind`")
    losses: list[str] = Field(description="what was lost, and when; such a day is never complete")
    folded: list[str] = Field(description="names that are counted as `other` because there were too many")
    copies: int | None = Field(description="duplicates: reports that landing dropped, and those in the lake")
    conflicts: int | None = Field(description="reports with the identity of another report, but different content")
    rejected: int | None
    version: int | None = Field(description="version of the lake that this was computed from")


class Completeness(Model):
    """Whether days are complete."""

    model_config = TABLE

    days: list[DayRow]
    version: int
    as_of: datetime | None


class TableOfDays(DaysQuery):
    """Which days; without them the last seven."""

    format: Format | None = Field(None, description="`csv` for a spreadsheet")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/completeness`."""
    api = APIBlueprint("days", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="days and places")])

    @api.get("/completeness", summary="Whether each day is complete", responses=answers(Completeness))
    def completeness(query: TableOfDays) -> Response:
        names = [day.isoformat() for day in days_of(query, datetime.now(UTC).date())]
        documents = services.database.completeness.find({"_id": {"$in": names}})
        known = {document["_id"]: document for document in documents}
        served = services.merge.served()
        rows = [_day(name, known.get(name, {})) for name in names]
        return table({"days": rows, "version": served.version, "as_of": served.as_of}, rows, query.format)

    return api


def _day(name: str, document: Document) -> Document:
    rejected = document.get("rejected")
    return {
        "date": name,
        "complete": document.get("complete"),
        "missing": [str(reason) for reason in document.get("missing", [])],
        "losses": list(document.get("losses", [])),
        "folded": list(document.get("folded", [])),
        **{name: document.get(name) for name in ("received", "expected", "late", "lost", "lost_alerts")},
        **{name: document.get(name) for name in ("copies", "conflicts")},
        "rejected": sum(rejected.values()) if isinstance(rejected, dict) else rejected,
        "version": document.get("version"),
    }
