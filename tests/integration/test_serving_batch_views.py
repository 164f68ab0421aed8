"""Answers from batch-only views: sums over the documents of days, named by the version that they are true at."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from batch_layer.views import blocks
from batch_layer.views.drone_days import SCHEMA
from fleet.figures import views
from fleet.figures.cube import Cube
from serving.api import cities
from serving.figures import batch_views
from tests.integration.test_serving_api import HOUR, NOON, client, put_live

Documents = Database[dict[str, Any]]
__all__ = ["client"]  # the fixture
NOON_MS = int(NOON.timestamp() * 1000)


def put(database: Documents, view: str, names: tuple[str, ...], days: dict[str, list[tuple[Any, ...]]]) -> None:
    """Documents of a view at version 3, after a run at version 4 that found nothing new."""
    for day, rows in days.items():
        cells = {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        database[view].insert_one({"_id": day, "version": 3, "cells": cells})
    database.runs.insert_one({"kind": "drones", "state": "complete", "version": 4})


def test_cities_add_up_over_days(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR - 24, "France", 3, 8, 2), (HOUR, "France", 3, 8, 2))
    lyon = ("France", "Lyon", 10, 4, 500_000, 1, 10, 50)
    days = {"2026-11-22": [lyon], "2026-11-23": [lyon, ("Fiji", "Lyon", 5, 1, 50_000, 0, 0, 0)], "2026-11-24": [lyon]}
    put(mongo_database, "city_days", tuple(views.CITIES.schema.names), days)
    found = client.get("/api/v1/statistics/cities?from=2026-11-23&to=2026-11-24").get_json()
    assert [(row["country"], row["city"], row["alerts"]) for row in found["cities"]] == [
        ("France", "Lyon", 8),
        ("Fiji", "Lyon", 1),
    ]
    assert found["cities"][0] | {"country": "", "city": ""} == {
        **{"country": "", "city": "", "reports": 20, "alerts": 8, "low_battery": 2, "battery": 50.0, "peace_score": 5.0}
    }
    assert (found["batch_version"], found["incomplete_days"]) == (4, ["2026-11-23", "2026-11-24"])
    (fiji,) = client.get("/api/v1/statistics/cities?city=Lyon&country=Fiji").get_json()["cities"]
    assert (fiji["reports"], fiji["peace_score"]) == (5, None)
    assert client.get("/api/v1/statistics/cities?limit=1&format=csv").get_data(as_text=True).count("Lyon") == 1


def test_a_place_at_the_edge_of_the_map_is_shown_on_it(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    edges = [(180, 0, 1, 4), (-180, 0, 1, 3), (0, 360, 1, 2), (0, -360, 1, 1)]
    put(mongo_database, "place_days", tuple(views.PLACES.schema.names), {"2026-11-24": edges})
    found = client.get("/api/v1/places?from=2026-11-24&to=2026-11-24").get_json()["features"]
    assert [feature["geometry"]["coordinates"] for feature in found] == [
        *([0.25, 90.0], [0.25, -89.75], [180.0, 0.25], [-179.75, 0.25])
    ]


def test_a_long_range_is_added_up_as_it_is_read(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    place = (7, -9, 5, 1)
    days = {f"2026-11-{day:02}": [place, (day, 0, 2, day % 2)] for day in range(1, 25)}
    put(mongo_database, "place_days", tuple(views.PLACES.schema.names), days)
    together: list[int] = []

    class Counted(Cube):
        """Notes how many cells are added up at a time."""

        def merge(self, parts: Iterable[pa.Table]) -> pa.Table:
            parts = list(parts)
            together.append(sum(part.num_rows for part in parts))
            return super().merge(parts)

    counted = Counted(views.PLACES.name, views.PLACES.keys, views.PLACES.measures)
    days_of_range = (date(2026, 11, 1), date(2026, 11, 24))
    with mongo_database.client.start_session() as session:
        total = batch_views.summed(mongo_database, counted, days_of_range, session, most_cells=3)
        assert total == batch_views.summed(mongo_database, views.PLACES, days_of_range, session)
    found = client.get("/api/v1/places?from=2026-11-01&to=2026-11-24").get_json()
    assert found["features"][0]["properties"] == {"alerts": 24, "reports": 120}
    assert (found["cells"], len(found["features"])) == (13, 13)
    assert len(together) > 3
    assert max(together) <= 2 * 26, "the sum, and as much again"


def test_delays_have_every_bucket(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    put(mongo_database, "delay_days", ("delay_bucket", "reports", "alerts"), {"2026-11-24": [(0, 5, 1), (8, 2, 0)]})
    rows = client.get("/api/v1/statistics/delays").get_json()["delays"]
    assert [row["below"] for row in rows] == list(cities.BELOW)
    assert (rows[0]["reports"], rows[0]["alerts"], rows[1]["reports"], rows[8]["reports"]) == (5, 1, 0, 2)


@pytest.mark.parametrize("path", ["cities?from=2026-11-24T08", "delays?to=2026-11-24T08"])
def test_batch_views_are_by_whole_days(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/api/v1/statistics/{path}")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "from")


def test_a_drones_days_are_read_from_its_blocks(client: FlaskClient, mongo_database: Documents) -> None:
    for day, count in (("2026-11-22", 300), ("2026-11-24", 200)):
        drones = {field.name: [0] * count if field.type != pa.string() else ["x"] * count for field in SCHEMA}
        drones |= {"drone_id": [f"drone-{n:03}" for n in range(count)], "reports": list(range(count))}
        drones |= {"lowest_battery": [12_500] * count, "last_at": [NOON_MS] * count}
        written = blocks.documents(date.fromisoformat(day), 7, pa.table(drones, schema=SCHEMA))
        mongo_database.drone_days.insert_many(divided.document for divided in written)
    address = "/api/v1/drones/drone-123/days"
    rows = client.get(f"{address}?from=2026-11-20&to=2026-11-24").get_json()["days"]
    assert [(row["date"], row["reports"], row["lowest_battery"]) for row in rows] == [
        ("2026-11-22", 123, 12.5),
        ("2026-11-24", 123, 12.5),
    ]
    assert (rows[0]["last_at"], rows[0]["version"]) == ("2026-11-24T12:00:00Z", 7)
    assert client.get("/api/v1/drones/drone-299/days?from=2026-11-24&to=2026-11-24").get_json()["days"] == []
    refused = client.get(f"{address}?from=2026-01-01&to=2026-11-24")
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (422, "from")
