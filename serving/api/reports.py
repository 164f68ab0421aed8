"""Single reports: of a drone or a place on one day, as a table, and a drone's track as GeoJSON (RFC 7946)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from fleet.errors import BadInput
from fleet.reports.fields import rounded_battery
from serving import single_reports
from serving.api import PREFIX, SECURITY, answers
from serving.api.drones import Feature
from serving.api.models import Query, Text
from serving.api.times import Day
from serving.http.model import Model
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Document = dict[str, Any]
Place = list[float]
"""Longitude and latitude."""

MINUTES = 1440
MOST = 5000


class ReportRow(Model):
    """A report as it landed. `message`, `country` and `city` are untrusted text."""

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
    message_cut: int = Field(description="characters of the message that are left out; `drone` and `report` give all")


class Reports(Model):
    """Reports of a day, the latest ones, in order of time."""

    model_config = TABLE

    reports: list[ReportRow]
    version: int = Field(description="version of the lake that was read; -1: nothing has landed")


class Track(Model):
    """A drone's day as GeoJSON: its line, if it has two points, then a point a report."""

    type: str
    features: list[Feature]
    version: int


class ReportsQuery(Query):
    """Which day, and which drone, country or city; at least one of them."""

    day: Day = Field(alias="date", description="a UTC day", json_schema_extra={"example": "2026-11-24"})
    drone: Text | None = None
    report: Text | None = Field(None, description="a report's id, with `drone`; its message is not cut")
    country: Text | None = None
    city: Text | None = None
    limit: int = Field(1000, ge=1, le=MOST)
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class TrackQuery(Query):
    day: Day = Field(alias="date", description="a UTC day", json_schema_extra={"example": "2026-11-24"})


class TrackPath(Model):
    drone_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/reports` and `/api/v1/drones/…/track`."""
    api = APIBlueprint("reports", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="reports")], abp_security=SECURITY)

    @api.get("/reports", summary="Reports of a drone or place on a day", responses=answers(Reports))
    def reports(query: ReportsQuery) -> Response:
        fields = {"drone_id": query.drone, "country": query.country, "city": query.city}
        wanted = {column: text for column, text in fields.items() if text is not None}
        if not wanted:
            raise BadInput("drone", "name a drone, a country or a city: a whole day is too much to look at")
        if query.report is not None:
            if query.drone is None:
                raise BadInput("drone", "a report's id is its drone's own: name the drone, too")
            wanted["report_id"] = query.report
        result = single_reports.reports(services.config.lake, query.day, wanted, query.limit)
        rows = [
            {**row, "worst_score": row["worst_score"] or None, "battery": rounded_battery(row["battery"])}
            for row in result.rows
        ]
        return table({"reports": rows, "version": result.version}, rows, query.format)

    @api.get("/drones/<id:drone_id>/track", summary="A drone's day, as GeoJSON", responses=answers(Track, 404))
    def track(path: TrackPath, query: TrackQuery) -> Document:
        result = single_reports.reports(services.config.lake, query.day, {"drone_id": path.drone_id}, MINUTES)
        return {"type": "FeatureCollection", "features": features(result.rows), "version": result.version}

    return api


def features(rows: list[Document]) -> list[Document]:
    """The line and the points of a drone's reports, which are in order of time.

    A report without a position (0, 0: what a receiver without a fix sends) is a point without geometry and no part of
    the line. A line over the antimeridian is cut there into two (RFC 7946, 3.1.9).
    """
    names = ("report_id", "reported_at", "battery", "alert", "worst_score", "message")
    places = [_place(row) for row in rows]
    points = [
        _feature({"type": "Point", "coordinates": place} if place else None, {name: row[name] for name in names})
        for place, row in zip(places, rows, strict=True)
    ]
    parts = antimeridian_cut([place for place in places if place])
    if not parts:
        return points
    line = (
        {"type": "LineString", "coordinates": parts[0]}
        if len(parts) == 1
        else {"type": "MultiLineString", "coordinates": parts}
    )
    return [_feature(line, {"reports": len(rows)}), *points]


def antimeridian_cut(places: Sequence[Place]) -> list[list[Place]]:
    """The line through `places` (longitude, latitude) in parts that do not cross 180 degrees; empty for a single place.
    Neighbouring places are joined the shorter way round; where that crosses, both parts end at the crossing's latitude,
    at longitude 180 and -180.
    """
    if len(places) < 2:
        return []
    parts = [[places[0]]]
    for (west, south), (east, north) in pairwise(places):
        if abs(east - west) > 180:
            side = math.copysign(180.0, west)
            ahead, behind = 180 - abs(west), 180 - abs(east)
            share = ahead / (ahead + behind) if ahead + behind else 0.0
            latitude = south + share * (north - south)
            parts[-1].append([side, latitude])
            parts.append([[-side, latitude]])
        parts[-1].append([east, north])
    return parts


def _place(row: Document) -> Place | None:
    longitude, latitude = row["longitude"], row["latitude"]
    return [longitude, latitude] if longitude or latitude else None


def _feature(geometry: Document | None, properties: Document) -> Document:
    return {"type": "Feature", "geometry": geometry, "properties": properties}
