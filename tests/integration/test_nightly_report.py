"""The nightly report on real MongoDB: its figures are the API's, a late report revises it, Discord hears of it once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from pypdf import PdfReader

from fleet.cube import HOURS
from serving import nightly_report
from serving.app import create_app
from serving.config import Config
from serving.nightly_report import Desk
from serving.report import figures
from serving.report.gather import Asked
from serving.report.store import ReportStore
from serving.services import Services, connect
from tests.standin import serving as standin_serving

DAY = date(2026, 11, 23)
HOUR = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp()) // 3600
NOW = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)


@pytest.fixture
def views(mongo_uri: str) -> Iterator[Services]:
    connected = connect(Config(mongo_uri=mongo_uri, max_age=0))
    yield connected
    connected.close()


@pytest.fixture
def desk(views: Services, tmp_path: Path) -> Desk:
    return Desk(views, ReportStore(str(tmp_path)), "http://page.test", lambda: NOW)


def cells(hour: int, reports: int, alerts: int, country: str = "日本") -> pa.Table:
    """One cell: so many reports of battery 50 % that saw one citizen each, of score 3."""
    row = (hour, country, 3, reports, alerts, 50_000 * reports, 0, reports, 3 * reports)
    return pa.table({name: [value] for name, value in zip(HOURS.schema.names, row, strict=True)}, schema=HOURS.schema)


def land(views: Services, version: int, *parts: pa.Table) -> None:
    document = HOURS.to_document(HOURS.merge(parts))
    views.database.live.insert_one({"_id": version, "committed_at": NOW, "cells": document})


def completeness(views: Services, **fields: Any) -> None:
    document = {"_id": DAY.isoformat(), "complete": True, "missing": [], **fields}
    views.database.completeness.replace_one({"_id": document["_id"]}, document, upsert=True)


def pdf_text(pdf: bytes) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def test_figures_are_those_of_the_api(desk: Desk, views: Services):
    weeks = [cells(HOUR - 168 * week, 1000, 10 * week) for week in range(1, 5)]
    land(views, 0, *weeks, cells(HOUR - 24, 900, 9), cells(HOUR + 8, 12_345, 67), cells(HOUR + 20, 5, 0, "España"))
    completeness(views, expected=12_400, late=3, rejected={"not json": 2})
    made, new = nightly_report.build(desk, Asked(DAY))
    assert new
    report = desk.store.facts(made)
    api = create_app(Config(mongo_uri="", max_age=0), views).test_client()
    for name, read in (
        ("averages", lambda a: (a["reports"], a["battery"], a["peace_score"])),
        ("alerts-by-part-of-day", lambda a: a["hours"]),
        ("alerts-by-country", lambda a: [(row["country"], row["reports"], row["alerts"]) for row in a["countries"]]),
    ):
        answer = api.get(f"/api/v1/statistics/{name}?from={DAY}&to={DAY}").get_json()
        said = {
            "averages": (
                report.headline.reports.value,
                report.headline.battery.value,
                report.headline.peace_score.value,
            ),
            "alerts-by-part-of-day": report.statistics.alerts_by_hour,
            "alerts-by-country": [(p.country, p.reports, p.alerts) for p in report.statistics.countries],
        }[name]
        assert said == read(answer)
        assert answer["version"] == report.making.version
    assert (report.state, report.headline.reports.day_before, report.headline.alerts.usual) == ("complete", 900, 25)
    text = pdf_text(desk.store.read(made, "pdf"))
    assert figures.count(12_350) in text
    assert figures.count(67) in text


def test_officers_day_is_their_own(desk: Desk, views: Services):
    land(views, 0, cells(HOUR - 1, 10, 1), cells(HOUR + 22, 100, 2), cells(HOUR + 23, 1000, 3))
    made, _ = nightly_report.build(desk, Asked(DAY, "Europe/Paris"))
    report = desk.store.facts(made)
    assert report.headline.reports.value == 110
    assert report.statistics.alerts_by_hour[0] == 1


def test_a_late_report_revises_and_says_what_changed(desk: Desk, views: Services):
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=["partition 3 is landed only through 23:40"])
    first, _ = nightly_report.build(desk, Asked(DAY))
    assert desk.store.facts(first).state == "incomplete"
    assert b"partition 3 is landed only through 23:40" in desk.store.read(first, "html")
    assert nightly_report.build(desk, Asked(DAY)) == (first, False)

    land(views, 1, cells(HOUR + 1, 5, 2))
    completeness(views)
    second, new = nightly_report.build(desk, Asked(DAY))
    assert (new, second.revision) == (True, 1)
    report = desk.store.facts(second)
    assert report.state == "complete"
    changed = {change.figure: (change.before, change.after) for change in report.changes}
    assert changed["reports received"] == (10, 15)
    assert changed["alerts raised"] == (1, 3)
    assert [made.revision for made in desk.store.days()] == [1]


def test_a_day_without_reports_makes_a_report(desk: Desk, views: Services):
    completeness(views)
    made, _ = nightly_report.build(desk, Asked(DAY))
    assert desk.store.facts(made).state == "empty"
    assert "Nothing was received" in pdf_text(desk.store.read(made, "pdf"))


def test_discord_hears_of_it_once_with_the_picture(desk: Desk, views: Services, tmp_path: Path):
    land(views, 0, cells(HOUR, 10, 1, "@everyone *bold*"))
    completeness(views)
    made, _ = nightly_report.build(desk, Asked(DAY))
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        message = nightly_report.publish(desk, made, webhook)
        assert nightly_report.publish(desk, made, webhook) == message
        told = httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"]
    assert [one["id"] for one in told] == [message]
    assert told[0]["calls"] == {"everyone": False, "users": [], "roles": []}
    assert told[0]["attachments"][0]["filename"] == "chart.png"


def test_waiting_ends_when_the_day_is_complete_or_the_deadline_passes(desk: Desk, views: Services):
    land(views, 0, cells(HOUR, 10, 1))
    assert not nightly_report.wait(desk, Asked(DAY), timedelta(0))
    completeness(views)
    assert nightly_report.wait(desk, Asked(DAY), timedelta(0))


@pytest.mark.parametrize("landed", [False, True])
def test_a_day_before_the_first_report_has_nothing_to_wait_for(desk: Desk, views: Services, landed: bool):
    if landed:
        land(views, 0, cells(HOUR + 24, 10, 1))
    assert nightly_report.wait(desk, Asked(DAY), timedelta(0))
    made, _ = nightly_report.build(desk, Asked(DAY))
    assert desk.store.facts(made).state == "empty"
