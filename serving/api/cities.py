"""Figures by city, and how late reports came: the batch views `city_days` and `delay_days`."""

from __future__ import annotations

from datetime import date
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from pymongo.client_session import ClientSession

from fleet.figures import statistics
from fleet.figures.cube import Cube
from fleet.figures.views import CITIES, DELAY_BUCKETS, DELAYS
from infra.mongo.session import at_one_instant
from serving.api import PREFIX, answers
from serving.api.figures import Answer, envelope, range_of, whole_days
from serving.api.models import Figures, RangeQuery, SpanQuery, Text
from serving.figures import batch_views
from serving.http.model import Model
from serving.http.tables import TABLE, Format, table
from serving.services import Services

BELOW: Final = (*DELAY_BUCKETS, None)
"""Upper bounds of the buckets, in seconds (docs/batch.md); None: no bound."""

VERSION: Final = "version of the lake that this is true at; null: no batch run yet"


class CityRow(Model):
    """`country` and `city` are untrusted text."""

    country: str
    city: str
    reports: int
    alerts: int
    low_battery: int
    battery: float | None = Field(description="mean, percent")
    peace_score: float | None = Field(description="mean over the citizens seen")


class Cities(Figures):
    """Cities, most alerts first."""

    model_config = TABLE

    cities: list[CityRow]
    batch_version: int | None = Field(description=VERSION)


class DelayRow(Model):
    below: int | None = Field(description="seconds between the drone's clock and the broker's; null: longer")
    reports: int
    alerts: int


class Delays(Figures):
    """How late reports came, by the drones' clocks."""

    model_config = TABLE

    delays: list[DelayRow] = Field(min_length=len(BELOW), max_length=len(BELOW))
    batch_version: int | None = Field(description=VERSION)


class CitiesQuery(RangeQuery):
    city: Text | None = Field(None, description="only this city")
    limit: int = Field(50, ge=1, le=500, description="the most cities")
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


class DelaysQuery(SpanQuery):
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/statistics/cities` and `/delays`."""
    api = APIBlueprint("cities", __name__, url_prefix=f"{PREFIX}/statistics", abp_tags=[Tag(name="statistics")])

    def look(query: SpanQuery, cube: Cube) -> tuple[pa.Table, Answer]:
        served, wanted = range_of(services, query)
        cells, version = _read(services, cube, whole_days(wanted))
        return cells, envelope(services, served, wanted, query) | {"batch_version": version}

    @api.get("/cities", summary="Figures by city", responses=answers(Cities))
    def cities(query: CitiesQuery) -> Response:
        cells, answer = look(query, CITIES)
        for name in ("country", "city"):
            if (only := getattr(query, name)) is not None:
                cells = cells.filter(pc.equal(cells[name], only))
        rows = statistics.by_place(cells)[: query.limit]
        return table({**answer, "cities": rows}, rows, query.format)

    @api.get("/delays", summary="How late reports came", responses=answers(Delays))
    def delays(query: DelaysQuery) -> Response:
        cells, answer = look(query, DELAYS)
        known = {row["delay_bucket"]: row for row in cells.to_pylist()}
        none = {"reports": 0, "alerts": 0}
        rows = [{"below": below, **none, **_without_key(known.get(at, {}))} for at, below in enumerate(BELOW)]
        return table({**answer, "delays": rows}, rows, query.format)

    return api


def _without_key(row: Answer) -> Answer:
    return {name: value for name, value in row.items() if name != "delay_bucket"}


def _read(services: Services, cube: Cube, days: list[date]) -> tuple[pa.Table, int | None]:
    """The cells of all `days` together, and the version that they are true at."""

    def read(session: ClientSession) -> tuple[pa.Table, int | None]:
        cells = batch_views.summed(services.database, cube, (days[0], days[-1]), session)
        return cells, batch_views.version(services.database, cube.name, session)

    return at_one_instant(services.database, read) if days else (cube.empty(), None)
