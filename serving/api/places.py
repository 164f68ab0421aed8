"""Where alerts were raised, for a heat map: the batch view `place_days`."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from pymongo.client_session import ClientSession

from fleet.figures.views import CELL_DEGREES, PLACES
from fleet.reports import fields
from infra.mongo.session import at_one_instant
from serving.api import PREFIX, answers
from serving.api.drones import Feature
from serving.api.models import DaysQuery, days_of
from serving.figures import batch_views
from serving.http.model import Model
from serving.services import Services

MAX_PLACES: Final = 3000
"""Points that a browser draws fast; those with most alerts."""

CELL_ENDS: Final = {"longitude_cell": fields.LONGITUDE, "latitude_cell": fields.LATITUDE}

MOST_ALERTS_FIRST: Final = [("alerts", "descending"), ("longitude_cell", "ascending"), ("latitude_cell", "ascending")]


class Places(Model):
    """GeoJSON points {alerts, reports}: the middles of cells of half a degree with alerts, most alerts first."""

    type: str
    features: list[Feature]
    start: str = Field(alias="from", description="first UTC day that is counted")
    end: str = Field(alias="to", description="last UTC day that is counted")
    cells: int = Field(description=f"cells with alerts; at most {MAX_PLACES} of them are listed")
    complete: bool
    incomplete_days: list[str]
    batch_version: int | None = Field(description="version of the lake that the places describe; null: no run yet")
    version: int = Field(description="newest version of the lake")
    as_of: datetime | None


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/places`."""
    api = APIBlueprint("places", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="days and places")])

    @api.get("/places", summary="Where alerts were raised, as GeoJSON", responses=answers(Places))
    def places(query: DaysQuery) -> dict[str, Any]:
        days = days_of(query, datetime.now(UTC).date())
        cells, version = _read(services, days[0], days[-1])
        incomplete = services.completeness.incomplete(days)
        served = services.merge.served()
        return {
            "type": "FeatureCollection",
            "features": [_feature(row) for row in cells.sort_by(MOST_ALERTS_FIRST).slice(0, MAX_PLACES).to_pylist()],
            **{"from": days[0].isoformat(), "to": days[-1].isoformat(), "cells": cells.num_rows},
            **{"complete": not incomplete, "incomplete_days": incomplete},
            **{"batch_version": version, "version": served.version, "as_of": served.as_of},
        }

    return api


def _read(services: Services, first: date, last: date) -> tuple[pa.Table, int | None]:
    """Cells with alerts, and the version that they are true at."""

    def read(session: ClientSession) -> tuple[pa.Table, int | None]:
        cells = batch_views.summed(services.database, PLACES, (first, last), session)
        version = batch_views.version(services.database, PLACES.name, session)
        return cells.filter(pc.greater(cells["alerts"], 0)), version

    return at_one_instant(services.database, read)


def _feature(row: dict[str, int]) -> dict[str, Any]:
    # Exactly 180 degrees, or the pole, begin a cell of their own, whose middle lies beyond the map.
    middle = [min((row[name] + 0.5) * CELL_DEGREES, ends[1]) for name, ends in CELL_ENDS.items()]
    properties = {name: row[name] for name in ("alerts", "reports")}
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": middle}, "properties": properties}
