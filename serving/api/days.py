"""By day and by place: whether a day is complete, and where alerts were raised."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from fleet.errors import BadInput
from fleet.statistics import dates_between
from serving.api import PREFIX, answers
from serving.api.drones import Feature
from serving.api.models import Query, Text
from serving.api.times import Moment, between
from serving.ranges import MAX_DAYS
from serving.rows import Kind
from serving.services import Services
from serving.tables import TABLE, Format, table

Document = dict[str, Any]
MAX_PLACES = 2000
FEATURES = "FeatureCollection"


class DayRow(BaseModel):
    """What is known of a UTC day; null where the batch layer has not worked it out."""

    date: str
    complete: bool | None = Field(description="null: not worked out yet")
    missing: list[str] = Field(description="why it is not complete")
    received: int | None
    expected: int | None
    late: int | None = Field(description="reports that came after the day was complete")
    copies: int | None
    rejected: int | None
    version: int | None = Field(description="version of the lake that this was worked out at")


class Completeness(BaseModel):
    """Whether days are complete."""

    model_config = TABLE

    days: list[DayRow]
    version: int
    as_of: datetime | None


class DaysQuery(Query):
    """Which days; without them the last seven."""

    start: date | None = Field(None, alias="from", description="first UTC day")
    end: date | None = Field(None, alias="to", description="last UTC day; it is in the range")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class Places(BaseModel):
    """Where alerts were raised, as GeoJSON points {country, city, alerts, worst}."""

    type: str
    features: list[Feature]
    version: int
    as_of: datetime | None


class PlacesQuery(Query):
    """Which alerts; without `since` those of the last 24 hours."""

    since: Moment | None = Field(None, description="raised at or after")
    until: Moment | None = Field(None, description="raised before")
    kind: Kind | None = None
    country: Text | None = None


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/completeness` and `/api/v1/places`."""
    api = APIBlueprint("days", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="days and places")])

    @api.get("/completeness", summary="Whether each day is complete", responses=answers(Completeness))
    def completeness(query: DaysQuery) -> Response:
        days = _days(query, datetime.now(UTC).date())
        names = [day.isoformat() for day in days]
        found = services.database.completeness.find({"_id": {"$in": names}})
        known = {document["_id"]: document for document in found}
        served = services.merge.served()
        rows = [_day(name, known.get(name, {})) for name in names]
        return table({"days": rows, "version": served.version, "as_of": served.as_of}, rows, query.format)

    @api.get("/places", summary="Where alerts were raised, as GeoJSON", responses=answers(Places))
    def places(query: PlacesQuery) -> Document:
        since = query.since or (query.until or datetime.now(UTC)) - timedelta(days=1)
        wanted: Document = between("raised_at", since, query.until) | {"latitude": {"$type": "number"}}
        wanted |= {name: value for name in ("kind", "country") if (value := getattr(query, name)) is not None}
        served = services.merge.served()
        features = [_place(document) for document in services.database.alerts.aggregate(_by_place(wanted))]
        return {"type": FEATURES, "features": features, "version": served.version, "as_of": served.as_of}

    return api


def _days(query: DaysQuery, today: date) -> list[date]:
    last = query.end or max(today, query.start or today)
    first = query.start or last - timedelta(days=6)
    if last < first:
        raise BadInput("to", "the range ends before it starts")
    if (last - first).days >= MAX_DAYS:
        raise BadInput("from", f"the range is longer than {MAX_DAYS} days")
    return dates_between(first, last)


def _day(name: str, document: Document) -> Document:
    rejected = document.get("rejected")
    return {
        "date": name,
        "complete": document.get("complete"),
        "missing": [str(reason) for reason in document.get("missing", [])],
        **{field: document.get(field) for field in ("received", "expected", "late", "copies")},
        "rejected": sum(rejected.values()) if isinstance(rejected, dict) else rejected,
        "version": document.get("version"),
    }


def _by_place(wanted: Document) -> list[Document]:
    middle = {name: {"$avg": f"${name}"} for name in ("latitude", "longitude")}
    worst = {"$min": {"$min": "$citizens.peace_score"}}
    place = {"country": "$country", "city": "$city"}
    return [
        {"$match": wanted},
        {"$group": {"_id": place, "alerts": {"$sum": 1}, "worst": worst, **middle}},
        {"$sort": {"alerts": -1, "_id.country": 1, "_id.city": 1}},
        {"$limit": MAX_PLACES},
    ]


def _place(document: Document) -> Document:
    at = [round(document["longitude"], 4), round(document["latitude"], 4)]
    properties = {**document["_id"], "alerts": document["alerts"], "worst": document["worst"]}
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": at}, "properties": properties}
