"""The pages and what only they ask for: nightly reports, the layers' status, scripts of others, headers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from fleet.figures.cube import HOURS
from serving.app import create_app
from serving.config import Config
from serving.report.store import ReportStore, Revision
from tests.support import reports

Documents = Database[dict[str, Any]]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PAGES = ("/", "/reports", "/health", "/drones/PW-1")


@pytest.fixture
def client(mongo_uri: str, tmp_path: Path) -> Iterator[FlaskClient]:
    app = create_app(Config(mongo_uri=mongo_uri, lake=str(tmp_path), max_age=0))
    yield app.test_client()
    app.extensions["peacewatch"].close()


def put_report(lake: Path, days_ago: int, revision: int = 0) -> str:
    day = reports.DAY - timedelta(days=days_ago)
    report = msgspec.structs.replace(reports.busy(8), day=day, revision=revision)
    forms = {"html": b"<!doctype html><p>all is calm", "pdf": b"%PDF-1.7", "png": b"\x89PNG"}
    ReportStore(str(lake)).write(Revision(day, revision), {**forms, "json": msgspec.json.encode(report)})
    return day.isoformat()


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_only_what_is_ours_and_there(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    text = answer.get_data(as_text=True)
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|<style|\son[a-z]+=", text), "the policy forbids inline code"
    for address in re.findall(r'(?:src|href)="([^"#?]+)', text):
        assert address.startswith("/"), address
        if address.startswith("/static/"):
            with client.get(address) as part:
                assert part.status_code == 200, address


def test_every_module_imports_what_is_there(client: FlaskClient) -> None:
    static = Path(create_app.__code__.co_filename).parent / "static"
    for module in static.glob("*.js"):
        for name in re.findall(r'from "\./([^"]+)"', module.read_text()):
            assert (static / name).is_file(), f"{module.name} imports {name}"


def test_a_drones_id_is_text_on_its_page(client: FlaskClient) -> None:
    text = client.get("/drones/%22%3E%3Cscript%3Ealert(1)%3C/script%3E").get_data(as_text=True)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_nightly_reports_are_listed_by_their_newest_revision(client: FlaskClient, tmp_path: Path) -> None:
    days = [put_report(tmp_path, ago, 0) for ago in range(3)]
    put_report(tmp_path, 1, 1)
    answer = client.get("/api/v1/nightly-reports?limit=2").get_json()
    assert [(row["day"], row["revision"]) for row in answer["reports"]] == [(days[0], 0), (days[1], 1)]
    assert answer["reports"][0]["reports"] == {"value": 12_960_000, "day_before": 12_900_000}
    rest = client.get(f"/api/v1/nightly-reports?before={answer['next']}").get_json()
    assert ([row["day"] for row in rest["reports"]], rest["next"]) == ([days[2]], None)
    page = client.get("/reports").get_data(as_text=True)
    assert all(f'href="/reports/{day}"' in page for day in days)
    assert "revision 1" in page


def test_a_nightly_report_in_each_form(client: FlaskClient, tmp_path: Path) -> None:
    day = put_report(tmp_path, 0, 0)
    for form, kind in {
        "html": "text/html",
        "pdf": "application/pdf",
        "png": "image/png",
        "json": "application/json",
    }.items():
        answer = client.get(f"/api/v1/nightly-reports/{day}/{form}")
        assert (answer.status_code, answer.mimetype) == (200, kind)
        known = {"If-None-Match": answer.headers["ETag"]}
        assert client.get(f"/api/v1/nightly-reports/{day}/{form}", headers=known).status_code == 304
    html = client.get(f"/api/v1/nightly-reports/{day}/html")
    assert "sandbox" in html.headers["Content-Security-Policy"]
    assert "script-src" not in html.headers["Content-Security-Policy"]
    page = client.get(f"/reports/{day}")
    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]


def test_a_report_leads_to_those_beside_it(client: FlaskClient, tmp_path: Path) -> None:
    newest, middle, oldest = [put_report(tmp_path, ago) for ago in (0, 2, 5)]
    neighbours = {
        day: re.findall(r'href="/reports/([^"]+)"', client.get(f"/reports/{day}").get_data(as_text=True))
        for day in (newest, middle, oldest)
    }
    assert neighbours == {newest: [middle], middle: [oldest, newest], oldest: [middle]}


@pytest.mark.parametrize(
    "path",
    [
        "/reports/2026-11-23",
        "/reports/yesterday",
        "/reports?before=never",
        "/api/v1/nightly-reports/2026-11-23/pdf",
        "/api/v1/nightly-reports/2026-11-22/html?revision=7",
    ],
)
def test_a_report_that_is_not_there(client: FlaskClient, tmp_path: Path, path: str) -> None:
    put_report(tmp_path, 1, 0)
    answer = client.get(path)
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")
    browser = client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    is_page = path.startswith("/reports")
    assert (browser.status_code, browser.mimetype == "text/html") == (404, is_page)
    assert (b'<a href="/reports">All nightly reports</a>' in browser.data) == is_page


def test_an_older_revision_stays_as_it_was(client: FlaskClient, tmp_path: Path) -> None:
    day = put_report(tmp_path, 0, 0)
    put_report(tmp_path, 0, 1)
    address = f"/api/v1/nightly-reports/{day}/json"
    assert [client.get(address + more).get_json()["revision"] for more in ("", "?revision=0")] == [1, 0]


def test_status_of_nothing(client: FlaskClient) -> None:
    status = client.get("/api/v1/status").get_json()
    assert (status["version"], status["landing"]["lag_seconds"], status["batch"]["version"]) == (-1, None, None)
    assert status["alerts"] == {
        "undelivered": 0,
        "oldest_undelivered": None,
        "latency_ms": {"of": 0, "p50": None, "p99": None},
    }


def test_status_of_each_layer(client: FlaskClient, mongo_database: Documents) -> None:
    now = datetime.now(UTC)
    for version in (0, 1, 2):
        mongo_database.live.insert_one({"_id": version, "committed_at": NOW, "cells": HOURS.to_document(HOURS.empty())})
    mongo_database.runs.insert_one(
        {"_id": "r", "kind": "hours", "state": "complete", "version": 0, "finished_at": NOW, "hours": 3}
    )
    for partition, seconds in enumerate((4, 90)):
        through = now - timedelta(seconds=seconds)
        mongo_database.landing.insert_one({"_id": f"t/{partition}", "next_offset": 7, "landed_through": through})
    mongo_database.landing.update_one({"_id": "t/1"}, {"$set": {"lost": [[3, 5]]}})
    for number in range(4):
        delivered = {"delivered_at": NOW, "latency_ms": 100 * number} if number else {"delivered_at": None}
        raised = NOW + timedelta(seconds=number)
        mongo_database.alerts.insert_one({"_id": str(number), "raised_at": raised, **delivered})
    for day, reasons in (
        ("2026-11-23", {"not json": 3}),
        ("2026-11-24", {"not json": 1, "too large": 2}),
        ("2026-11-22", {}),
    ):
        mongo_database.completeness.insert_one({"_id": day, "rejected": reasons})
    status = client.get("/api/v1/status").get_json()
    assert (status["rejected"]["days"], status["rejected"]["messages"]) == (3, 6)
    assert status["rejected"]["reasons"][0] == {"reason": "not json", "messages": 4}
    assert (status["version"], status["batch"]["versions_behind"], status["batch"]["hours"]) == (2, 2, 3)
    assert (status["landing"]["lag_seconds"] >= 90, status["landing"]["lost"]) == (True, 2)
    assert status["alerts"]["undelivered"] == 1
    assert status["alerts"]["oldest_undelivered"] == "2026-11-24T12:00:00Z"
    assert status["alerts"]["latency_ms"] == {"of": 3, "p50": 200, "p99": 300}
