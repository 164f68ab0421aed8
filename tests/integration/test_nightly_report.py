"""The nightly report on real MongoDB: its figures are the API's, a late report revises it, Discord hears of it once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.app import create_app
from serving.config import Config
from serving.report import completeness as trust
from serving.report import facts, figures, nightly
from serving.report.build import OfficersDay
from serving.report.nightly import ReportDesk
from serving.report.store import ReportStore
from serving.services import Services, connect
from tests.support.report_views import DAY, HOUR, NOW, cells, completeness, land, landed_through, pdf_text, plain_forms
from tests.support.standin import serving as standin_serving

PARIS = OfficersDay(DAY, "Europe/Paris")
UNREST = {"kind": "unrest", "severity": "high", "webhook": "alerts"}


@pytest.fixture
def views(mongo_uri: str) -> Iterator[Services]:
    connected = connect(Config(mongo_uri=mongo_uri, max_age=0))
    yield connected
    connected.close()


@pytest.fixture
def desk(views: Services, tmp_path: Path) -> ReportDesk:
    return ReportDesk(views, ReportStore(str(tmp_path)), "http://page.test", lambda: NOW)


@pytest.fixture
def plain_desk(desk: ReportDesk) -> ReportDesk:
    """The same, for tests that read the report's facts alone."""
    return replace(desk, to_forms=plain_forms)


def test_figures_are_those_of_the_api(desk: ReportDesk, views: Services) -> None:
    weeks = [cells(HOUR - 168 * week, 1000, 10 * week) for week in range(1, 5)]
    land(views, 0, *weeks, cells(HOUR - 24, 900, 9), cells(HOUR + 8, 12_345, 67), cells(HOUR + 20, 5, 0, "España"))
    completeness(views, expected=12_400, late=3, rejected={"not json": 2})
    made, new = nightly.build(desk, OfficersDay(DAY))
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


def test_officers_day_is_their_own(plain_desk: ReportDesk, views: Services) -> None:
    land(views, 0, cells(HOUR - 1, 10, 1), cells(HOUR + 22, 100, 2), cells(HOUR + 23, 1000, 3))
    made, _ = nightly.build(plain_desk, OfficersDay(DAY, "Europe/Paris"))
    report = plain_desk.store.facts(made)
    assert report.headline.reports.value == 110
    assert report.statistics.alerts_by_hour[0] == 1


def test_a_late_report_revises_and_says_what_changed(desk: ReportDesk, views: Services) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=["partition 3 is landed only through 23:40"])
    first, _ = nightly.build(desk, OfficersDay(DAY))
    assert desk.store.facts(first).state == "incomplete"
    assert b"partition 3 is landed only through 23:40" in desk.store.read(first, "html")
    assert nightly.build(desk, OfficersDay(DAY)) == (first, False)

    land(views, 1, cells(HOUR + 1, 5, 2))
    completeness(views)
    second, new = nightly.build(desk, OfficersDay(DAY))
    assert (new, second.number) == (True, 1)
    report = desk.store.facts(second)
    assert report.state == "complete"
    changed = {change.figure: (change.before, change.after) for change in report.changes}
    assert changed["reports received"] == (10, 15)
    assert changed["alerts raised"] == (1, 3)
    assert [revision.number for revision in desk.store.days()] == [1]


def test_a_day_without_reports_makes_a_report(desk: ReportDesk, views: Services) -> None:
    completeness(views)
    made, _ = nightly.build(desk, OfficersDay(DAY))
    assert desk.store.facts(made).state == "empty"
    assert "Nothing was received" in pdf_text(desk.store.read(made, "pdf"))


def test_discord_hears_of_it_once_with_the_picture(desk: ReportDesk, views: Services, tmp_path: Path) -> None:
    land(views, 0, cells(HOUR, 10, 1, "@everyone *bold*"))
    completeness(views)
    made, _ = nightly.build(desk, OfficersDay(DAY))
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        message = nightly.publish(desk, made, webhook)
        assert nightly.publish(desk, made, webhook) == message
        messages = httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"]
    assert [each["id"] for each in messages] == [message]
    assert messages[0]["calls"] == {"everyone": False, "users": [], "roles": []}
    assert messages[0]["attachments"][0]["filename"] == "chart.png"


def test_waiting_ends_when_the_day_is_complete_or_the_deadline_passes(plain_desk: ReportDesk, views: Services) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    assert not nightly.wait(plain_desk, OfficersDay(DAY), timedelta(0))
    completeness(views)
    assert nightly.wait(plain_desk, OfficersDay(DAY), timedelta(0))


@pytest.mark.parametrize("landed", [False, True])
def test_a_day_before_the_first_report_has_nothing_to_wait_for(
    plain_desk: ReportDesk, views: Services, landed: bool
) -> None:
    if landed:
        land(views, 0, cells(HOUR + 24, 10, 1))
    assert nightly.wait(plain_desk, OfficersDay(DAY), timedelta(0))
    made, _ = nightly.build(plain_desk, OfficersDay(DAY))
    assert plain_desk.store.facts(made).state == "empty"


def test_a_day_without_reports_is_known_to_be_empty_once_it_is_landed(plain_desk: ReportDesk, views: Services) -> None:
    """The batch layer has no document of a day that no commit has touched."""
    land(views, 0, cells(HOUR - 24, 10, 1))
    assert report_of(plain_desk).missing == [trust.NOT_COMPUTED]
    landed_through(views, datetime(2026, 11, 24, 0, 9, tzinfo=UTC))
    assert report_of(plain_desk).missing == ["partition 3 is landed up to 2026-11-24 00:09 UTC only"]
    landed_through(views, datetime(2026, 11, 24, 0, 10, tzinfo=UTC))
    assert report_of(plain_desk).state == "empty"


def test_a_day_that_ends_between_utc_days_is_judged_by_its_own_end(plain_desk: ReportDesk, views: Services) -> None:
    """In Paris the day ends at 23:00 UTC; the UTC day that its drones and cities are of has not ended then."""
    land(views, 0, cells(HOUR - 24, 10, 1), cells(HOUR + 22, 100, 2))
    completeness(views, DAY - timedelta(days=1))
    completeness(views, complete=False, missing=["the hours of the day wait for a batch run"])
    landed_through(views, datetime(2026, 11, 23, 23, 10, tzinfo=UTC))
    report = report_of(plain_desk, PARIS)
    assert (report.state, report.utc_day, report.utc_day_complete) == ("complete", DAY, False)
    completeness(views, DAY - timedelta(days=1), complete=False, missing=["a partition"])
    assert report_of(plain_desk, PARIS).missing == ["a partition"]


def test_cities_and_times_to_acknowledge(desk: ReportDesk, views: Services) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views)
    measured = {"country": ["日本"] * 2, "city": ["大阪", "東京"], "reports": [9000, 7000], "alerts": [1, 2]}
    views.database.city_days.insert_one({"_id": DAY.isoformat(), "version": 0, "cells": measured})
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    for number, severity in enumerate(("moderate", "critical", "high")):
        incident: dict[str, Any] = {
            "kind": "unrest",
            "severity": severity,
            "state": "quiet",
            "country": "日本",
            "city": "東京",
        }
        incident |= {"alerts": 1, "since": noon, "last": noon + timedelta(minutes=5), "worst_score": 1}
        views.database.incidents.insert_one({"_id": str(number), **incident})
    for minutes in (9, 4):
        action = {"action": "acknowledge", "target": {"incident_id": "2"}, "at": noon + timedelta(minutes=minutes)}
        views.database.actions.insert_one(action)
    report = report_of(desk)
    assert [(place.city, place.alerts) for place in report.statistics.cities] == [("東京", 2), ("大阪", 1)]
    assert report.incidents_total == 3
    assert [(incident.severity, incident.acknowledged_after) for incident in report.incidents] == [
        ("critical", None),
        ("high", 240.0),
        ("moderate", None),
    ]
    made = desk.store.newest(DAY)
    assert made
    text = pdf_text(desk.store.read(made, "pdf"))
    assert "大阪" in text
    assert "4\u202fmin" in text


def test_alerts_notified_and_how_fast(plain_desk: ReportDesk, views: Services) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    for number in range(100):
        raised = {**UNREST, "raised_at": NOW - timedelta(hours=2, seconds=number), "message_id": str(number // 10)}
        delivered = {"delivered_at": NOW - timedelta(hours=2), "latency_ms": 70_000 if number == 99 else number + 1}
        views.database.alerts.insert_one({"_id": number, **raised, **delivered})
    waiting = {"raised_at": NOW - timedelta(hours=1), "delivered_at": None, "message_id": None, "latency_ms": None}
    views.database.alerts.insert_one({"_id": "waiting", **UNREST, **waiting})
    waits = [facts.Wait("pending", "unrest", "high", 1), facts.Wait("turn", "unrest", "high", 1, 70.0, 70.0)]
    expected = facts.DeliveryOfDay(
        raised=101, notified=100, messages=10, latency_p50=50.0, latency_p99=99.0, waited=1, waits=waits
    )
    assert report_of(plain_desk).delivery == expected


def test_alert_with_unknown_latency_counts_as_notified_without_improving_latencies(
    plain_desk: ReportDesk, views: Services
) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    for latency in (None, None, 40):
        delivered = {"delivered_at": NOW, "latency_ms": latency, "message_id": "1"}
        views.database.alerts.insert_one({"raised_at": NOW - timedelta(hours=2), **delivered})
    delivery = report_of(plain_desk).delivery
    assert (delivery.notified, delivery.latency_p50, delivery.latency_p99) == (3, 40.0, 40.0)


T = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""When each alert of the table below came; it was notified five minutes later, unless the case says otherwise."""

WAITS: dict[str, tuple[str, dict[str, Any], list[tuple[float, str]]]] = {
    "others went first": ("turn", {}, [(1, ""), (2, ""), (4, "")]),
    "its message had just been edited": ("turn", {}, []),
    "nothing is known of its call": ("turn", {"webhook": "severe"}, []),
    "counted in a digest": ("digest", {"in_digest": True}, [(1, ""), (2, ""), (4, "")]),
    "silenced": ("silenced", {"in_digest": True, "kept_back": "silenced"}, []),
    "over": ("over", {"in_digest": True, "kept_back": "over"}, []),
    "Discord away": ("unreachable", {}, [(-1, ""), (4.5, "unreachable")]),
    "dead for a while before others went first": ("turn", {}, [(1, "webhook dead"), (2, ""), (3, ""), (4, "")]),
    "dead until its own call": ("webhook dead", {"alert held": "webhook dead"}, [(0.1, "")]),
    "Discord away, and then in a digest": ("rate limited", {"in_digest": True}, [(4, "rate limited")]),
    "nobody at work": ("started", {"alert held": "started"}, []),
    "raised late": ("raised late", {"raised_at": T + timedelta(minutes=4)}, [(4.5, "unreachable")]),
}


@pytest.mark.parametrize("case", WAITS)
def test_why_an_alert_waited(plain_desk: ReportDesk, views: Services, case: str) -> None:
    """The calls are so many minutes after the alert, with what they had to wait for; the last is its own."""
    why, fields, calls = WAITS[case]
    delivered_at = T + timedelta(minutes=5)
    alert = {"raised_at": T, "delivered_at": delivered_at, "latency_ms": 300_000, "message_id": "1", **UNREST, **fields}
    held = alert.pop("alert held", "")
    views.database.alerts.insert_one(alert)
    for minutes, before in [*calls, (5, held)]:
        at = T + timedelta(minutes=minutes)
        views.database.deliveries.insert_one({"webhook": "alerts", "delivered_at": at, "held": before})
    assert report_of(plain_desk).delivery.waits == [facts.Wait(why, "unrest", "high", 1, 300.0, 300.0)]


def test_late_notifications_are_listed_by_reason_kind_and_severity(plain_desk: ReportDesk, views: Services) -> None:
    rows = [("unrest", "high", True, 61), ("unrest", "high", True, 90), ("unrest", "high", True, 200)]
    rows += [("unrest", "critical", True, 75), ("low_battery", "high", False, 3600), ("unrest", "high", False, 59)]
    for kind, severity, in_digest, seconds in rows:
        delivered = {
            "delivered_at": T + timedelta(seconds=seconds),
            "latency_ms": seconds * 1000,
            "in_digest": in_digest,
        }
        views.database.alerts.insert_one(
            {"kind": kind, "severity": severity, "raised_at": T, "webhook": "a", **delivered}
        )
    assert report_of(plain_desk).delivery.waits == [
        facts.Wait("digest", "unrest", "high", 3, 90.0, 200.0),
        facts.Wait("digest", "unrest", "critical", 1, 75.0, 75.0),
        facts.Wait("turn", "low_battery", "high", 1, 3600.0, 3600.0),
    ]


def report_of(desk: ReportDesk, asked: OfficersDay = OfficersDay(DAY)) -> facts.DayReport:
    return desk.store.facts(nightly.build(desk, asked)[0])
