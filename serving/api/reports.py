"""Single reports: of a drone or a place on one day, as a table, and a drone's track as GeoJSON."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field

from fleet.errors import BadInput
from serving import single_reports
from serving.api import PREFIX, answers
from serving.api.drones import Feature
from serving.api.models import Query, Text
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Document = dict[str, Any]
MINUTES = 1440
MOST = 5000


class ReportRow(BaseModel):
    """A report as it landed. `message`, `country` and `city` are text of anybody."""

    report_id: str
    drone_id: str
    reported_at: datetime
    latitude: float
    longitude: float
    battery: float
    country: str
    city: str
    worst_score: int | None = Field(description="lowest peace score it saw; null: nobody was seen")
    alert: bool
    message: str


class Reports(BaseModel):
    """Reports of a day, the latest ones, in order of time."""

    model_config = TABLE

    reports: list[ReportRow]
    version: int = Field(description="version of the lake that was read; -1: nothing has landed")


class Track(BaseModel):
    """A drone's day as GeoJSON: its line, if it has two points, then a point a report."""

    type: str
    features: list[Feature]
    version: int


class ReportsQuery(Query):
    """Which day, and of whom; at least a drone, a country or a city."""

    day: date = Field(alias="date", description="a UTC day", json_schema_extra={"example": "2026-11-24"})
    drone: Text | None = None
    country: Text | None = None
    city: Text | None = None
    limit: int = Field(1000, ge=1, le=MOST)
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class TrackQuery(Query):
    day: date = Field(alias="date", description="a UTC day", json_schema_extra={"example": "2026-11-24"})


class TrackPath(BaseModel):
    drone_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/reports` and `/api/v1/drones/…/track`."""
    api = APIBlueprint("reports", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="reports")])

    @api.get("/reports", summary="Reports of a drone or place on a day", responses=answers(Reports))
    def reports(query: ReportsQuery) -> Response:
        fields = {"drone_id": query.drone, "country": query.country, "city": query.city}
        wanted = {column: text for column, text in fields.items() if text is not None}
        if not wanted:
            raise BadInput("drone", "name a drone, a country or a city: a whole day is too much to look at")
        found = single_reports.reports(services.config.lake, query.day, wanted, query.limit)
        rows = [{**row, "worst_score": row["worst_score"] or None} for row in found.rows]
        return table({"reports": rows, "version": found.version}, rows, query.format)

    @api.get("/drones/<path:drone_id>/track", summary="A drone's day, as GeoJSON", responses=answers(Track, 404))
    def track(path: TrackPath, query: TrackQuery) -> Document:
        found = single_reports.reports(services.config.lake, query.day, {"drone_id": path.drone_id}, MINUTES)
        return {"type": "FeatureCollection", "features": features(found.rows), "version": found.version}

    return api


def features(rows: list[Document]) -> list[Document]:
    """The line and the points of a drone's reports, which are in order of time."""
    places = [[row["longitude"], row["latitude"]] for row in rows]
    names = ("report_id", "reported_at", "battery", "alert", "worst_score", "message")
    points = [
        _feature("Point", place, {name: row[name] for name in names}) for place, row in zip(places, rows, strict=True)
    ]
    return [_feature("LineString", places, {"reports": len(rows)}), *points] if points[1:] else points


def _feature(kind: str, coordinates: list[Any], properties: Document) -> Document:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}
