"""Single reports from a real Delta table, and days and places from MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from flask.testing import FlaskClient
from pymongo.database import Database

from fleet.reports.sealed import SEALED_THROUGH_KEY
from serving.app import create_app
from serving.config import Config
from tests.support import lakes

Documents = Database[dict[str, Any]]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def client(mongo_uri: str, tmp_path: Path) -> Iterator[FlaskClient]:
    app = create_app(Config(mongo_uri=mongo_uri, lake=str(tmp_path), max_age=0))
    yield app.test_client()
    app.extensions["peacewatch"].close()


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake of one day: 100 reports of 7 drones, a minute apart, and one of the day before."""
    rows = [lakes.row(number, NOON + timedelta(minutes=number), country="France") for number in range(100)]
    rows.append(lakes.row(100, NOON - timedelta(days=1), drone_id="drone-1"))
    lakes.make(tmp_path)
    lakes.land(tmp_path, rows)
    return tmp_path


@pytest.mark.usefixtures("lake")
def test_a_drones_reports_of_a_day_are_in_order(client: FlaskClient) -> None:
    answer = client.get("/api/v1/reports?date=2026-11-24&drone=drone-1").get_json()
    assert [row["report_id"] for row in answer["reports"]] == [f"r{number}" for number in range(1, 100, 7)]
    assert answer["version"] >= 0
    latest = client.get("/api/v1/reports?date=2026-11-24&country=France&limit=3").get_json()["reports"]
    assert [row["report_id"] for row in latest] == ["r97", "r98", "r99"]


@pytest.mark.usefixtures("lake")
def test_a_track_is_a_line_and_its_points(client: FlaskClient) -> None:
    line, *points = client.get("/api/v1/drones/drone-1/track?date=2026-11-24").get_json()["features"]
    assert line["geometry"]["type"] == "LineString"
    assert line["geometry"]["coordinates"] == [point["geometry"]["coordinates"] for point in points]
    (only,) = client.get("/api/v1/drones/drone-1/track?date=2026-11-23").get_json()["features"]
    assert only["geometry"]["type"] == "Point"
    assert client.get("/api/v1/drones/nobody/track?date=2026-11-24").get_json()["features"] == []


def test_a_sealed_day_is_said_to_be_one(client: FlaskClient, lake: Path) -> None:
    properties = {SEALED_THROUGH_KEY: "2026-11-23"}
    DeltaTable(lake / "reports").alter.set_table_properties(properties, raise_if_not_exists=False)
    answer = client.get("/api/v1/drones/drone-1/track?date=2026-11-23")
    assert (answer.status_code, len(answer.get_json()["features"])) == (200, 1), "its reports are still there"
    for asked in ("reports?drone=drone-1&", "drones/drone-1/track?"):
        answer = client.get(f"/api/v1/{asked}date=2026-11-22")
        said = answer.get_json()["errors"]
        assert (answer.status_code, [error["field"] for error in said]) == (422, ["date"])
        assert said[0]["reason"] == "2026-11-22 is sealed: its reports have left the lake, its figures stay"
    assert client.get("/api/v1/reports?date=2026-11-25&drone=drone-1").get_json()["reports"] == []


def test_an_empty_lake_has_no_reports(client: FlaskClient) -> None:
    answer = client.get("/api/v1/reports?date=2026-11-24&drone=drone-1")
    assert (answer.status_code, answer.get_json()) == (200, {"reports": [], "version": -1})


@pytest.mark.usefixtures("lake")
def test_a_lake_that_cannot_be_read_is_503(client: FlaskClient, tmp_path: Path) -> None:
    for file in tmp_path.rglob("*.parquet"):
        file.write_bytes(b"not parquet")
    answer = client.get("/api/v1/reports?date=2026-11-24&drone=drone-1")
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert str(tmp_path) not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("reports?date=2026-11-24", "drone"),
        ("reports?drone=d", "date"),
        ("reports?date=2026-02-30&drone=d", "date"),
        ("completeness?from=2026-11-24&to=2026-11-23", "to"),
        ("completeness?from=2020-11-24&to=2026-11-23", "from"),
        ("places?from=2026-11-24T08", "from"),
    ],
)
def test_a_bad_request_names_the_field(client: FlaskClient, path: str, field: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, field)


def test_a_day_that_nobody_worked_out_is_not_called_complete(client: FlaskClient, mongo_database: Documents) -> None:
    document = {"complete": True, "missing": [], "received": 9, "expected": 10, "rejected": {"not json": 2, "empty": 1}}
    document |= {"lost": 70, "lost_alerts": 0, "losses": ["up to 70 reports"]}
    mongo_database.completeness.insert_one({"_id": "2026-11-23", **document})
    first, second = client.get("/api/v1/completeness?from=2026-11-23&to=2026-11-24").get_json()["days"]
    assert (first["date"], first["complete"], first["rejected"]) == ("2026-11-23", True, 3)
    assert (first["lost"], first["lost_alerts"], first["losses"]) == (70, 0, ["up to 70 reports"])
    assert (second["date"], second["complete"], second["received"]) == ("2026-11-24", None, None)
    assert len(client.get("/api/v1/completeness").get_json()["days"]) == 7


def test_places_add_up_the_days_of_the_batch_view(client: FlaskClient, mongo_database: Documents) -> None:
    days = {"2026-11-22": [(7, 7, 9, 9)], "2026-11-23": [(90, 9, 100, 2), (91, -9, 50, 0)]}
    days["2026-11-24"] = [(90, 9, 60, 3)]
    names = ("latitude_cell", "longitude_cell", "reports", "alerts")
    for day, cells in days.items():
        columns = {name: list(column) for name, column in zip(names, zip(*cells, strict=True), strict=True)}
        mongo_database.place_days.insert_one({"_id": day, "version": 4, "cells": columns})
    mongo_database.runs.insert_one({"kind": "drones", "state": "complete", "version": 6})
    places = client.get("/api/v1/places?from=2026-11-23&to=2026-11-24").get_json()
    (place,) = places["features"]  # a cell without alerts is none
    assert place["properties"] == {"alerts": 5, "reports": 160}
    assert place["geometry"]["coordinates"] == [4.75, 45.25]
    assert (places["batch_version"], places["cells"], places["incomplete_days"]) == (6, 1, ["2026-11-23", "2026-11-24"])
    assert client.get("/api/v1/places?from=2020-01-01&to=2020-01-02").get_json()["features"] == []
