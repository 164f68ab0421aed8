"""A drone's days, one row each: the batch view `drone_days`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow.compute as pc
from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field
from pymongo.client_session import ClientSession

from fleet.errors import BadInput
from fleet.figures.drone_blocks import block_of
from infra.mongo import view_parts
from infra.mongo.packed import unpack
from infra.mongo.session import at_one_instant
from serving.api import PREFIX, SECURITY, answers
from serving.api.drones import DronePath
from serving.api.models import DaysQuery, days_of
from serving.http.model import Model
from serving.http.tables import TABLE, Format, table
from serving.services import Services

MOST_DAYS: Final = 31
"""Each day reads a block of some 400 KB where the fleet is large."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
COUNTED: Final = ("reports", "minutes", "expected", "gaps", "alerts")


class DroneDay(Model):
    """A drone's UTC day. `country` and `city` are untrusted text."""

    date: str
    reports: int
    minutes: int = Field(description="different minutes with a report")
    expected: int = Field(description="minutes from its first report to its last; each should have a report")
    gaps: int = Field(description="periods without a report, between its first and its last")
    alerts: int
    lowest_battery: float = Field(description="percent")
    last_battery: float
    first_at: datetime
    last_at: datetime
    country: str
    city: str
    version: int = Field(description="version of the lake that the day was computed from")


class DroneDays(Model):
    """Days on which the drone reported."""

    model_config = TABLE

    days: list[DroneDay]


class DroneDaysQuery(DaysQuery):
    format: Format | None = Field(None, description="`csv` for a spreadsheet")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/drones/…/days`."""
    api = APIBlueprint("drone_days", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="drones")], abp_security=SECURITY)

    @api.get("/drones/<id:drone_id>/days", summary="A drone's days", responses=answers(DroneDays, 404))
    def drone_days(path: DronePath, query: DroneDaysQuery) -> Response:
        days = days_of(query, datetime.now(UTC).date())
        if len(days) > MOST_DAYS:
            raise BadInput("from", f"the range is longer than {MOST_DAYS} days")
        rows = [row for day in days if (row := _day(services, day, path.drone_id))]
        return table({"days": rows}, rows, query.format)

    return api


def _day(services: Services, day: date, drone_id: str) -> dict[str, Any] | None:
    block = f"{day.isoformat()}/{block_of(drone_id):02}"

    def read(session: ClientSession) -> tuple[dict[str, Any], int] | None:
        document = services.database.drone_days.find_one({"_id": block}, session=session)
        if document is None:
            return None
        for part in view_parts.contents(services.database, "drone_days", document, session):
            last = unpack(part["last"])
            at = pc.index(last["drone_id"], drone_id).as_py()
            if at >= 0:
                rest = unpack(part["rest"])
                return last.slice(at, 1).to_pylist()[0] | rest.slice(at, 1).to_pylist()[0], document["version"]
        return None

    read_day = at_one_instant(services.database, read)
    if read_day is None:
        return None
    row, version = read_day
    return {
        "date": day.isoformat(),
        **{name: row[name] for name in COUNTED},
        **{name: row[name] / 1000 for name in ("lowest_battery", "last_battery")},
        **{name: _EPOCH + timedelta(milliseconds=row[name]) for name in ("first_at", "last_at")},
        **{name: row[name] for name in ("country", "city")},
        "version": version,
    }
