"""Drones: their last state, as a list and for the map."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import pyarrow.compute as pc
from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field, StringConstraints
from werkzeug.exceptions import NotFound

from fleet.errors import BadInput
from serving.api import PREFIX, SECURITY, answers
from serving.api.models import Query, Text
from serving.figures import clusters
from serving.figures.clusters import Box
from serving.figures.drones import Fleet, shown
from serving.http.model import Model
from serving.http.paging import MAX_PAGE
from serving.http.problems import FORMS
from serving.http.tables import TABLE, Format, table
from serving.services import Services

Document = dict[str, Any]
_NUMBER = r"-?[0-9]{1,3}(\.[0-9]{1,10})?"
_BOX = rf"^{_NUMBER}(,{_NUMBER}){{3}}$"
BoxText = Annotated[str, StringConstraints(pattern=_BOX)]
FORMS[_BOX] = "give west,south,east,north in degrees, such as -5,41,10,51"


class DroneRow(Model):
    """A drone's last report. `country` and `city` are untrusted text."""

    drone_id: str
    reported_at: datetime
    latitude: float
    longitude: float
    battery: float = Field(description="percent")
    low: bool
    country: str
    city: str
    worst_score: int | None = Field(description="lowest peace score it saw; null: nobody was seen")
    alert: bool


class DroneList(Model):
    """A page of drones, by id."""

    model_config = TABLE

    drones: list[DroneRow]
    next: str | None = Field(description="`after` of the next page; null: this is the last")
    total: int = Field(description="drones that match the filters")
    low: int = Field(description="those low on battery")
    version: int
    as_of: datetime | None = Field(description="time of the fleet's newest report")


class Feature(Model):
    """A GeoJSON feature."""

    type: str
    geometry: dict[str, Any] | None = Field(description="null: the position is unknown")
    properties: dict[str, Any]


class Features(Model):
    """GeoJSON (RFC 7946)."""

    type: str
    features: list[Feature]
    as_of: datetime | None


class DronesQuery(Query):
    """Which drones."""

    q: Text | None = Field(None, description="the first characters of their ids")
    country: Text | None = None
    city: Text | None = None
    low: bool | None = Field(None, description="whether the battery is below the threshold")
    silent: int | None = Field(
        None, ge=1, le=100_000, description="minutes without a report, counted back from the fleet's newest report"
    )
    bbox: BoxText | None = Field(None, description="west,south,east,north in degrees")
    limit: int = Field(50, ge=1, le=MAX_PAGE)
    after: Text | None = Field(None, description="`next` of the previous page")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class MapQuery(Query):
    """A view of the map."""

    bbox: BoxText = Field("-180,-90,180,90", description="west,south,east,north in degrees")
    zoom: int = Field(2, ge=0, le=20)
    country: Text | None = None
    low: bool | None = None


class DronePath(Model):
    drone_id: Text


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/drones`."""
    api = APIBlueprint("drones", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="drones")], abp_security=SECURITY)

    @api.get("/drones", summary="Drones by id", responses=answers(DroneList))
    def drones(query: DronesQuery) -> Response:
        fleet = _filtered(services.drones.fleet(), query)
        total, low = fleet.rows.num_rows, int(fleet.low.sum())
        if query.after:
            fleet = fleet.where(pc.greater(fleet.rows["drone_id"], query.after))
        rows = shown(fleet.rows.slice(0, query.limit))
        following = rows[-1]["drone_id"] if fleet.rows.num_rows > query.limit else None
        answer = {"drones": rows, "next": following, "total": total, "low": low}
        answer |= {"version": services.merge.served().version, "as_of": fleet.as_of}
        return table(answer, rows, query.format)

    @api.get("/drones/map", summary="Drones in a part of the map, as GeoJSON", responses=answers(Features))
    def drones_map(query: MapQuery) -> Document:
        fleet = services.drones.fleet()
        mask = clusters.inside(fleet, box(query.bbox))
        if query.country:
            mask &= pc.equal(fleet.rows["country"], query.country).to_numpy()
        if query.low is not None:
            mask &= fleet.low == query.low
        features = clusters.features(fleet, mask, query.zoom)
        return {"type": "FeatureCollection", "features": features, "as_of": fleet.as_of}

    @api.get("/drones/<id(but='days|track'):drone_id>", summary="One drone", responses=answers(DroneRow, 404))
    def drone(path: DronePath) -> Document:
        row = services.drones.fleet().one(path.drone_id)
        if row is None:
            raise NotFound("there is no such drone")
        return row

    return api


def box(text: str) -> Box:
    """West, south, east, north. Raises BadInput for an invalid box."""
    west, south, east, north = (float(part) for part in text.split(","))
    if not -90 <= south <= north <= 90:
        raise BadInput("bbox", "south and north are degrees from -90 to 90, south first")
    if not (-540 <= west <= 540 and -540 <= east <= 540):
        raise BadInput("bbox", "west and east are degrees from -540 to 540")
    return west, south, east, north


def _filtered(fleet: Fleet, query: DronesQuery) -> Fleet:
    if query.q:
        fleet = fleet.where(pc.starts_with(fleet.rows["drone_id"], query.q))
    for name in ("country", "city"):
        if getattr(query, name):
            fleet = fleet.where(pc.equal(fleet.rows[name], getattr(query, name)))
    if query.low is not None:
        fleet = fleet.where(fleet.low == query.low)
    if query.silent and fleet.as_of:
        fleet = fleet.where(fleet.times <= fleet.as_of.timestamp() * 1000 - query.silent * 60_000)
    return fleet.where(clusters.inside(fleet, box(query.bbox))) if query.bbox else fleet
