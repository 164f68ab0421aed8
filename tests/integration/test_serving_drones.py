"""Drones over a real MongoDB: last states from blocks or from batch days, filters, pages, clusters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from fleet.figures import last_seen
from fleet.reports.landed import last_state
from infra.mongo.packed import pack, unpack
from serving.app import create_app
from serving.config import Config
from serving.figures.drones import Drones
from serving.services import connect
from speed_layer.landing import last_states

Documents = Database[dict[str, Any]]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)


def rows(*states: tuple[str, int, int, float, float]) -> pa.Table:
    """Last states of (drone, minutes after noon, battery percent, latitude, longitude)."""
    columns: dict[str, list[Any]] = {name: [] for name in last_seen.SCHEMA.names}
    for drone, minute, battery, latitude, longitude in states:
        state = last_state(NOON_MS + minute * 60_000, battery * 1000)
        values = (drone, state, latitude, longitude, "France" if longitude < 90 else "Japan", "Lyon", 3, battery < 50)
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return pa.table(columns, schema=last_seen.SCHEMA)


def put_block(database: Documents, name: str, written: int, *states: tuple[str, int, int, float, float]) -> None:
    document = {
        "written_at": NOON + timedelta(seconds=written),
        "block": pack(rows(*states).select(last_states.STATE.names)),
    }
    database.drone_blocks.replace_one({"_id": name}, document, upsert=True)


@pytest.fixture
def client(mongo_uri: str) -> Iterator[FlaskClient]:
    services = connect(config := Config(mongo_uri=mongo_uri, max_age=0))
    app = create_app(config, replace(services, drones=Drones(services.database, max_age=0)))
    yield app.test_client()
    app.extensions["peacewatch"].close()


states = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 9),
        st.integers(0, 100),
        st.floats(-90, 90),
        st.floats(-180, 180),
    ),
    max_size=20,
    unique_by=lambda row: row[:3],
)


@given(states, st.integers(0, 20))
def test_the_last_state_is_the_same_from_any_parts(states: list[Any], cut: int) -> None:
    whole = last_seen.merge([rows(*states)])
    parts = [last_seen.merge([rows(*states[cut:])]), last_seen.merge([rows(*states[:cut])])]
    assert last_seen.merge(parts) == whole
    assert unpack(packed(whole)) == whole
    newest = {drone: max(row[1:3] for row in states if row[0] == drone) for drone, *_ in states}
    assert whole["drone_id"].to_pylist() == sorted(newest)


def test_a_changed_block_is_seen_and_the_newest_state_stands(client: FlaskClient, mongo_database: Documents) -> None:
    put_block(mongo_database, "t/0", 1, ("d1", 1, 80, 45.0, 5.0), ("d2", 1, 15, 45.0, 5.0))
    put_block(mongo_database, "t/1", 1, ("d3", 2, 70, 35.0, 139.0))
    answer = client.get("/api/v1/drones").get_json()
    assert (answer["total"], answer["low"], answer["as_of"]) == (3, 1, "2026-11-24T12:02:00Z")
    put_block(mongo_database, "t/0", 2, ("d1", 5, 79, 46.0, 5.0), ("d2", 0, 90, 45.0, 5.0))
    by_id = {row["drone_id"]: row for row in client.get("/api/v1/drones").get_json()["drones"]}
    assert (by_id["d1"]["latitude"], by_id["d1"]["battery"]) == (46.0, 79.0)
    assert by_id["d2"]["battery"] == 15.0, "an older state of the same drone changes nothing"
    assert client.get("/api/v1/drones/d1").get_json()["reported_at"] == "2026-11-24T12:05:00Z"
    assert client.get("/api/v1/drones/d9").status_code == 404


def test_pages_go_by_id(client: FlaskClient, mongo_database: Documents) -> None:
    put_block(mongo_database, "t/0", 1, *((f"d/{n:03}", 1, 80, 45.0, 5.0) for n in range(25)))
    seen, after = [], ""
    while True:
        answer = client.get(f"/api/v1/drones?limit=7{after}").get_json()
        seen += [row["drone_id"] for row in answer["drones"]]
        if answer["next"] is None:
            break
        after = f"&after={answer['next']}"
    assert seen == [f"d/{n:03}" for n in range(25)]
    assert client.get("/api/v1/drones/d/003").get_json()["drone_id"] == "d/003"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=b", ["bx"]),
        ("low=true", ["bx"]),
        ("low=false", ["ax", "cx"]),
        ("country=Japan", ["cx"]),
        ("silent=5", ["ax"]),
        ("bbox=0,40,10,50", ["ax", "bx"]),
        ("bbox=130,-90,-170,90", ["cx"]),
        ("bbox=-180,-90,180,90", ["ax", "bx", "cx"]),
    ],
)
def test_filters(client: FlaskClient, mongo_database: Documents, query: str, expected: list[str]) -> None:
    put_block(mongo_database, "t", 1, ("ax", 0, 80, 45.0, 5.0), ("bx", 9, 15, 45.0, 5.0), ("cx", 9, 90, 35.0, 139.0))
    assert [row["drone_id"] for row in client.get(f"/api/v1/drones?{query}").get_json()["drones"]] == expected


@pytest.mark.parametrize(
    ("bbox", "expected"),
    [
        ("-180,-90,-170,90", ["east", "west"]),
        ("170,-90,180,90", ["east", "west"]),
        ("180,0,180,0", ["east", "west"]),
        ("-180,0,-180,0", ["east", "west"]),
        ("0,90,10,90", ["pole"]),
        ("170,1,180,90", []),
    ],
)
def test_the_edges_of_the_map_are_on_it(
    client: FlaskClient, mongo_database: Documents, bbox: str, expected: list[str]
) -> None:
    put_block(
        mongo_database, "t", 1, ("east", 0, 80, 0.0, 180.0), ("west", 0, 80, 0.0, -180.0), ("pole", 0, 80, 90.0, 5.0)
    )
    assert [row["drone_id"] for row in client.get(f"/api/v1/drones?bbox={bbox}").get_json()["drones"]] == expected


@pytest.mark.parametrize("bbox", ["0,0,0", "1,2,3,x", "0,50,10,40", "0,-91,1,1", "900,0,901,1"])
def test_a_box_that_is_none_is_422(client: FlaskClient, bbox: str) -> None:
    answer = client.get(f"/api/v1/drones/map?bbox={bbox}")
    assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (422, "bbox")


def test_few_drones_are_points_and_many_are_clusters_that_add_up(
    client: FlaskClient, mongo_database: Documents
) -> None:
    many = [(f"d{n}", 1, n % 100, -60 + n % 120, -170 + (n * 7) % 340) for n in range(5000)]
    put_block(mongo_database, "t", 1, *many)
    world = client.get("/api/v1/drones/map?zoom=1").get_json()["features"]
    assert len(world) < 200
    assert sum(feature["properties"]["count"] for feature in world) == 5000
    assert sum(feature["properties"]["low"] for feature in world) == 1000
    fine = client.get("/api/v1/drones/map?zoom=20").get_json()["features"]  # more cells than any screen has
    assert len(world) < len(fine) < 4096
    assert sum(feature["properties"]["count"] for feature in fine) == 5000
    near = client.get("/api/v1/drones/map?zoom=6&bbox=0,0,20,20").get_json()["features"]
    assert all(feature["properties"]["count"] == 1 for feature in near)
    assert {"drone_id", "battery"} <= near[0]["properties"].keys()


def test_without_blocks_the_last_batch_days_stand_in(client: FlaskClient, mongo_database: Documents) -> None:
    last = pa.table({"drone_id": ["d1"], "last_at": [NOON_MS], "last_battery": [15_000], "country": ["France"]})
    rest = pa.table({"last_latitude": [45.0], "last_longitude": [5.0], "city": ["Lyon"]})
    document = {"day": "2026-11-24", "block": 3, "version": 4, "last": packed(last), "rest": packed(rest)}
    mongo_database.drone_days.insert_one({"_id": "2026-11-24/03", **document})
    (row,) = client.get("/api/v1/drones").get_json()["drones"]
    assert (row["drone_id"], row["battery"], row["low"], row["city"]) == ("d1", 15.0, True, "Lyon")


def packed(cells: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, cells.schema) as stream:
        stream.write_table(cells)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed
