"""The REST API over a real MongoDB: answers, errors, pages, and what happens when the database is away."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from fleet.figures.cube import HOURS
from laptop import ports
from laptop.services import mongo
from serving.app import create_app
from serving.config import Config
from serving.figures.served import Wanted
from serving.services import WARM_DAYS, connect

Documents = Database[dict[str, Any]]
T = TypeVar("T")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = int(NOON.timestamp()) // 3600
STATISTICS = (
    "alerts-by-part-of-day",
    "alerts-by-country",
    "averages",
    "alerts-by-weekday",
    "low-battery",
    "alerts-by-peace-score",
    "alerts-by-kind",
)


def put_live(database: Documents, version: int, *rows: tuple[int, str, int, int, int]) -> None:
    """A live document of cells (hour, country, worst score, reports, alerts)."""
    columns: dict[str, list[Any]] = {name: [] for name in HOURS.schema.names}
    for hour, country, score, reports, alerts in rows:
        values = (hour, country, score, reports, alerts, reports * 40_000, reports // 4, reports, reports * score)
        for name, value in zip(HOURS.schema.names, values, strict=True):
            columns[name].append(value)
    document = {"committed_at": NOON + timedelta(seconds=version), "cells": columns}
    database.live.replace_one({"_id": version}, document, upsert=True)


def put_alert(database: Documents, number: int, raised_at: datetime, **more: Any) -> None:
    document = {
        "kind": "unrest",
        "severity": "high",
        "drone_id": f"drone-{number % 3}",
        "report_id": str(number),
        "country": "France",
        "city": "Lyon",
        "raised_at": raised_at,
        "citizens": [{"name": "Zoë", "peace_score": 2}],
        "message": "",
        "incident_id": "i1",
        "delivered_at": None,
    }
    database.alerts.insert_one({"_id": f"unrest/{number:04}", **document, **more})


@pytest.fixture
def client(mongo_uri: str, mongo_database: Documents) -> Iterator[FlaskClient]:
    app = create_app(Config(mongo_uri=mongo_uri, max_age=0))
    app.testing = False
    with app.test_client() as client:
        yield client
    app.extensions["peacewatch"].close()


def first(look: Callable[[], T], wanted: Callable[[T], bool]) -> T:
    """What `look` gives as soon as it is `wanted`, or after a minute."""
    until = time.monotonic() + 60
    while not wanted(value := look()) and time.monotonic() < until:
        time.sleep(0.02)
    return value


def is_of(version: int, answer: TestResponse) -> bool:
    served: int = answer.get_json()["version"]
    return served == version


def test_every_statistic_names_its_version_and_range(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    put_live(mongo_database, 1, (HOUR - 48, "Chile", 5, 4, 1))
    for name in STATISTICS:
        answer = client.get(f"/api/v1/statistics/{name}").get_json()
        assert answer["version"] == 1, name
        assert answer["as_of"] == "2026-11-24T12:00:01Z", name
        assert (answer["from"], answer["to"], answer["tz"]) == ("2026-11-22", "2026-11-24", "UTC"), name


@pytest.mark.parametrize(
    ("query", "reports"),
    [
        ("", 12),
        ("from=2026-11-24", 8),
        ("to=2026-11-22", 4),
        ("from=2026-11-23&to=2026-11-23", 0),
        ("from=2026-11-24T12&to=2026-11-24T12", 8),
        ("from=2026-11-24T13", 0),
        ("from=2026-11-24T00&to=2026-11-24T11", 0),
        ("country=Chile", 4),
        ("country=Atlantis", 0),
        ("from=2030-01-01", 0),
        ("to=1970-01-01", 0),
        ("from=2026-11-25&to=2026-11-25&tz=Pacific/Kiritimati", 8),
        ("from=2026-11-24&to=2026-11-24&tz=Pacific/Kiritimati", 0),
    ],
)
def test_a_range_counts_what_is_in_it(client: FlaskClient, mongo_database: Documents, query: str, reports: int) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    put_live(mongo_database, 1, (HOUR - 48, "Chile", 5, 4, 1))
    assert client.get(f"/api/v1/statistics/averages?{query}").get_json()["reports"] == reports


def test_nothing_landed_is_an_answer_and_no_error(client: FlaskClient) -> None:
    for name in STATISTICS:
        answer = client.get(f"/api/v1/statistics/{name}")
        assert answer.status_code == 200, name
        assert (answer.get_json()["version"], answer.get_json()["from"]) == (-1, None), name


def test_every_statistic_says_which_days_are_not_complete(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    mongo_database.completeness.insert_many(
        [{"_id": "2026-11-23", "complete": True}, {"_id": "2026-11-24", "complete": False}]
    )
    answer = client.get("/api/v1/statistics/averages?from=2026-11-23&to=2026-11-24").get_json()
    assert (answer["complete"], answer["incomplete_days"]) == (False, ["2026-11-24"])
    assert client.get("/api/v1/statistics/averages?from=2026-11-23&to=2026-11-23").get_json()["complete"]
    abroad = client.get("/api/v1/statistics/averages?from=2026-11-23&to=2026-11-23&tz=Asia/Tokyo").get_json()
    assert abroad["incomplete_days"] == ["2026-11-22"]


def test_drones_are_true_at_the_batch_version(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR, "France", 3, 8, 2))
    cells = {"next_day": [""], "country": ["France"], "drones": [8], "low": [2]}
    mongo_database.drones_by_day.insert_one({"_id": "2026-11-24", "version": 0, "cells": cells})
    put_live(mongo_database, 1, (HOUR, "France", 3, 8, 2))
    answer = client.get("/api/v1/statistics/low-battery").get_json()
    assert answer["drones"] == {"low": 2, "total": 8, "share": 0.25}
    assert (answer["version"], answer["batch_version"]) == (1, 0)


BAD_REQUESTS = [
    ("/api/v1/statistics/averages?from=yesterday", "from", "give a day (2026-11-24)"),
    ("/api/v1/statistics/averages?from=2026-02-30", "from", "no such day"),
    ("/api/v1/statistics/averages?from=2026-11-24&to=2026-11-23", "to", "ends before it starts"),
    ("/api/v1/statistics/averages?from=2020-01-01&to=2026-11-23", "from", "400 days"),
    ("/api/v1/statistics/averages?fron=2026-11-24", "fron", "no such parameter"),
    ("/api/v1/statistics/averages?tz=Mars/Olympus", "tz", "no time zone"),
    ("/api/v1/statistics/averages?tz=../../etc/passwd", "tz", "IANA time zone"),
    ("/api/v1/statistics/averages?from=2026-11-24&to=2026-11-24&tz=Asia/Kolkata", "tz", "whole-hour|whole hours"),
    ("/api/v1/statistics/averages?tz=right/Europe/Paris", "tz", "no time zone"),
    ("/api/v1/statistics/averages?from=20٢٦-11-24", "from", "give a day (2026-11-24)"),
    ("/api/v1/statistics/averages?country=France&country=Fiji", "country", "it is given 2 times"),
    ("/api/v1/statistics/averages?from=2026-11-24&from=2026-11-24", "from", "it is given 2 times"),
    ("/api/v1/alerts?kind=unrest&kind=silent", "kind", "it is given 2 times"),
    ("/api/v1/drones/map?bbox=١,2,3,4", "bbox", "give west,south,east,north"),
    ("/api/v1/silences?city=Nice", "city", "no such parameter"),
    ("/api/v1/drones/d1?date=2026-11-24", "date", "no such parameter"),
    ("/api/v1/incidents/i1?limit=5", "limit", "no such parameter"),
    ("/api/v1/session?by=Mara", "by", "no such parameter"),
    ("/api/v1/statistics/averages?country=", "country", "at least 1"),
    ("/api/v1/statistics/alerts-by-country?limit=0", "limit", "greater than or equal to 1"),
    ("/api/v1/statistics/alerts-by-country?limit=1e9", "limit", "valid integer"),
    ("/api/v1/statistics/alerts-by-country?limit=301", "limit", "less than or equal to 300"),
    ("/api/v1/statistics/low-battery?from=2026-11-24T03&to=2026-11-24T04", "from", "whole days"),
    ("/api/v1/statistics/low-battery?tz=Europe/Paris", "tz", "no such parameter"),
    ("/api/v1/alerts?limit=501", "limit", "less than or equal to 500"),
    ("/api/v1/alerts?cursor=AAAA", "cursor", "not a cursor"),
    ("/api/v1/alerts?cursor=%24where", "cursor", "not a cursor"),
    ("/api/v1/alerts?kind=weather", "kind", "unrest"),
    ("/api/v1/alerts?since=2026-11-24T12:00:00", "since", "offset from UTC"),
    ("/api/v1/alerts?since=2026-11-24T12:00:00Z&until=2026-11-23T12:00:00Z", "until", "ends before"),
    ("/api/v1/stream?events=weather", "events", "names of events"),
]


@pytest.mark.parametrize(("path", "field", "reason"), BAD_REQUESTS, ids=[path for path, _, _ in BAD_REQUESTS])
def test_a_bad_request_names_the_field_and_the_reason(client: FlaskClient, path: str, field: str, reason: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert answer.mimetype == "application/problem+json"
    (problem,) = answer.get_json()["errors"]
    assert problem["field"] == field
    assert any(part in problem["reason"] for part in reason.split("|")), problem["reason"]


def test_a_plus_in_a_zone_is_a_plus(client: FlaskClient) -> None:
    for zone in ("Etc/GMT+5", "Etc/GMT%2B5"):
        assert client.get(f"/api/v1/statistics/averages?tz={zone}").get_json()["tz"] == "Etc/GMT+5"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/incidents/nothing", 404),
        ("POST", "/api/v1/alerts", 405),
        ("DELETE", "/", 405),
    ],
)
def test_missing_resource_is_a_problem_too(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.get_json()["status"] == status


def test_mongodb_away_is_503_and_comes_back_by_itself(tmp_path: Path) -> None:
    server = mongo.start(tmp_path, port := ports.free_port())
    app = create_app(Config(mongo_uri=server.uri))
    client = app.test_client()
    paths = ("/readyz", "/api/v1/statistics/averages", "/api/v1/alerts")
    try:
        assert [client.get(path).status_code for path in paths for _ in range(2)] == [200] * 6
        server.kill()
        for path in paths:
            answer = first(partial(client.get, path), lambda answer: answer.status_code != 200)
            assert (answer.status_code, answer.mimetype) == (503, "application/problem+json"), path
            assert int(answer.headers["Retry-After"]) > 0
            assert str(port) not in answer.get_data(as_text=True)
        assert client.get("/healthz").status_code == 200
        server = mongo.start(tmp_path, port)
        assert [client.get(path).status_code for path in paths] == [200] * 3
    finally:
        server.kill()
        app.extensions["peacewatch"].close()


@pytest.mark.parametrize("path", STATISTICS)
def test_an_answer_that_was_ready_is_of_the_newest_version(
    mongo_uri: str, client: FlaskClient, mongo_database: Documents, path: str
) -> None:
    app = create_app(Config(mongo_uri=mongo_uri))  # keeps what it worked out; `client` works out each answer
    often, address = app.test_client(), f"/api/v1/statistics/{path}?from=2026-11-23&to=2026-11-24"
    for version in range(3):
        put_live(mongo_database, version, (HOUR, "France", 3, 8, 2), (HOUR - 20, "Fiji", 5, version + 1, 1))
        answers = [first(partial(often.get, address), partial(is_of, version))]
        answers += [often.get(address), client.get(address)]
        assert len({answer.get_data() for answer in answers}) == 1
    app.extensions["peacewatch"].close()


def test_alerts_by_kind_are_of_the_batch_view(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, (HOUR - 48, "France", 3, 8, 2), (HOUR, "France", 3, 8, 2))
    names = ("kind", "severity", "country", "alerts", "unverified", "incidents")
    days = {
        "2026-11-22": [("unrest", "high", "Fiji", 9, 1, 2), ("silent", "moderate", "France", 1, 0, 1)],
        "2026-11-24": [("unrest", "critical", "France", 4, 0, 1), ("unrest", "high", "France", 7, 2, 0)],
        "2026-11-25": [("unrest", "high", "France", 100, 0, 1)],
    }
    for day, rows in days.items():
        cells = dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True))
        mongo_database.alert_days.insert_one({"_id": day, "version": 3, "cells": cells})
    mongo_database.runs.insert_one({"kind": "alerts", "state": "complete", "version": 5})
    answer = client.get("/api/v1/statistics/alerts-by-kind?from=2026-11-22&to=2026-11-24").get_json()
    assert [tuple(row.values()) for row in answer["kinds"]] == [("unrest", 20, 3, 3), ("silent", 1, 0, 1)]
    severities = [("high", 16, 3, 2), ("critical", 4, 0, 1), ("moderate", 1, 0, 1)]
    assert [tuple(row.values()) for row in answer["severities"]] == severities
    by_day = [("2026-11-22", 10, 1, 3), ("2026-11-23", 0, 0, 0), ("2026-11-24", 11, 2, 1)]
    assert [tuple(row.values()) for row in answer["days"]] == by_day
    assert answer["batch_version"] == 5
    france = client.get("/api/v1/statistics/alerts-by-kind?country=France").get_json()["kinds"]
    assert [tuple(row.values()) for row in france] == [("unrest", 11, 2, 1), ("silent", 1, 0, 1)]
    refused = client.get("/api/v1/statistics/alerts-by-kind?from=2026-11-24T08")
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (422, "from")


def test_a_server_reads_the_newest_month_before_it_is_asked(mongo_uri: str, mongo_database: Documents) -> None:
    days = range(40)
    put_live(mongo_database, 0, *((HOUR - 24 * day, "France", 3, 8, 2) for day in days))
    services = connect(Config(mongo_uri=mongo_uri, max_age=0))
    services.warm()
    served = services.merge.served()
    asked = Wanted([HOUR - 24 * day for day in days])
    assert served.missing(asked) == [HOUR - 24 * day for day in days if day >= WARM_DAYS]
    services.close()


def test_a_series_adds_up_to_the_whole(client: FlaskClient, mongo_database: Documents) -> None:
    put_live(mongo_database, 0, *((HOUR - 5 * number, "France", 3, number, 1) for number in range(1, 40)))
    whole = client.get("/api/v1/statistics/averages").get_json()
    for group in ("hour", "day", "week", "month"):
        answer = client.get(f"/api/v1/statistics/series?group={group}&tz=Asia/Tokyo").get_json()
        assert sum(row["reports"] for row in answer["series"]) == whole["reports"], group
        assert sum(row["alerts"] for row in answer["series"]) == 39, group


def test_tables_come_as_csv_and_no_cell_is_a_formula(client: FlaskClient, mongo_database: Documents) -> None:
    put_alert(mongo_database, 1, NOON, city="=HYPERLINK(1)", message='a "quoted", text\nof two lines')
    for answer in (
        client.get("/api/v1/alerts?format=csv"),
        client.get("/api/v1/alerts", headers={"Accept": "text/csv"}),
    ):
        assert answer.mimetype == "text/csv"
        (row,) = csv.DictReader(io.StringIO(answer.get_data(as_text=True), newline=""))
        assert row["city"] == "'=HYPERLINK(1)"
        assert row["message"] == 'a "quoted", text\nof two lines'
        assert row["raised_at"] == "2026-11-24T12:00:00Z"
        assert answer.headers["X-Peacewatch-Version"] == "-1"


@pytest.mark.parametrize("path", ["statistics/series", "statistics/alerts-by-country", "incidents", "alerts"])
def test_an_empty_table_is_empty_csv(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}?format=csv")
    assert (answer.status_code, answer.get_data()) == (200, b"")


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Singapore"])
@pytest.mark.parametrize("outlier", [0, 10 * 365 * 24])
def test_a_report_of_1970_or_1980_begins_no_default_range(
    client: FlaskClient, mongo_database: Documents, zone: str, outlier: int
) -> None:
    put_live(mongo_database, 0, (outlier, "France", 3, 1, 1), (HOUR - 30, "France", 3, 8, 2))
    put_live(mongo_database, 1, (HOUR, "France", 3, 8, 2))
    answer = client.get(f"/api/v1/statistics/averages?tz={zone}")
    assert answer.status_code == 200
    averages = answer.get_json()
    assert averages["from"] is not None
    assert averages["from"][:7] == "2026-11"
    assert averages["reports"] == 16, "two hours of eight; the outlier is counted where somebody asks for its time"
    year = "1970" if not outlier else "1979"
    of_year = client.get(f"/api/v1/statistics/averages?tz={zone}&from={year}-12-01&to={int(year) + 1}-01-31")
    assert of_year.status_code == 200


def test_a_plus_that_arrived_as_a_space_is_a_plus(client: FlaskClient, mongo_database: Documents) -> None:
    put_alert(mongo_database, 1, NOON)
    for offset, count in (("+01:00", 1), ("%2B01:00", 1), ("%2B00:00", 1), ("-01:00", 0)):
        answer = client.get(f"/api/v1/alerts?since=2026-11-24T12:00:00{offset}")
        assert answer.status_code == 200, offset
        assert len(answer.get_json()["alerts"]) == count, offset


NO_TIMES = ("0", "0.5", "-1", "1e9", "20261124", "1795953216", "２０２６-11-24", "2026-11-24Z", "NaN")
"""Numbers are no days and no moments: 20261124 was one in August 1970."""


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (
            "statistics/averages?from=2026-11-24T25",
            "give a day (2026-11-24) or an hour (2026-11-24T08) from 1970 to 2099",
        ),
        ("alerts?since=2026-11-24T08", "give a moment with its offset from UTC"),
        ("alerts?since=yesterday", "give a moment with its offset from UTC"),
        ("alerts?cursor=!", "this is not a cursor; take `next` of the previous page"),
        ("drones?bbox=1,2", "give west,south,east,north in degrees, such as -5,41,10,51"),
        ("completeness?from=24.11.2026", "give a day, such as 2026-11-24"),
        *((f"alerts?until={moment}", "give a moment with its offset from UTC") for moment in NO_TIMES),
        *((f"completeness?to={day}", "give a day, such as 2026-11-24") for day in NO_TIMES),
        *((f"drones/d1/track?date={day}", "give a day, such as 2026-11-24") for day in NO_TIMES),
        *((f"nightly-reports?before={day}", "give a day, such as 2026-11-24") for day in NO_TIMES),
        ("statistics/averages?tz=Köln", "give an IANA time zone, such as Europe/Paris"),
    ],
)
def test_a_wrong_value_is_answered_by_a_plain_sentence(client: FlaskClient, query: str, sentence: str) -> None:
    answer = client.get(f"/api/v1/{query}")
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["reason"].startswith(sentence)


def test_an_alerts_note_is_in_the_api(client: FlaskClient, mongo_database: Documents) -> None:
    put_alert(mongo_database, 1, NOON, note="nearest charging station: Lyon Gare, 2 km")
    (alert,) = client.get("/api/v1/alerts").get_json()["alerts"]
    assert alert["note"] == "nearest charging station: Lyon Gare, 2 km"


def test_places_folded_into_other_are_rows_and_are_named(client: FlaskClient, mongo_database: Documents) -> None:
    """Past a bound a partition and hour, unlisted places land as `other`; past a document's bound they are folded."""
    put_live(mongo_database, 0, (HOUR, "other", 3, 8, 2), (HOUR, "France", 5, 4, 1))
    folded = ["hours: 12 countries as other"]
    day = {"complete": True, "missing": [], "version": 0, "folded": folded, "rejected": {"conflict": 2, "no_json": 1}}
    mongo_database.completeness.insert_one({"_id": "2026-11-24", **day})
    rows = client.get("/api/v1/statistics/alerts-by-country").get_json()["countries"]
    assert [(row["country"], row["alerts"], row["reports"]) for row in rows] == [("other", 2, 8), ("France", 1, 4)]
    assert client.get("/api/v1/statistics/averages?country=other").get_json()["reports"] == 8
    (named,) = client.get("/api/v1/completeness?from=2026-11-24&to=2026-11-24").get_json()["days"]
    assert (named["folded"], named["rejected"]) == (folded, 3)
    reasons = client.get("/api/v1/status").get_json()["rejected"]["reasons"]
    assert {"reason": "conflict", "messages": 2} in reasons
