"""Earlier reports are rebuilt when their day completes and when late reports changed it; each is posted to Discord."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fleet.errors import NewerLayout, ServiceUnavailable
from fleet.reports import losses as fleet_losses
from serving.config import Config
from serving.report import completeness as trust
from serving.report import nightly, render
from serving.report.build import OfficersDay
from serving.report.nightly import ReportDesk
from serving.report.post import Poster
from serving.report.store import ReportStore, Revision
from serving.services import Services, connect
from tests.support.report_views import (
    DAY,
    HOUR,
    NOW,
    cells,
    completeness,
    land,
    landed_through,
    pdf_text,
    plain_forms,
)
from tests.support.standin import serving as standin_serving

WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with standin_serving(tmp_path_factory.mktemp("standin")) as server:
        yield server


@pytest.fixture
def views(mongo_uri: str) -> Iterator[Services]:
    with closing(connect(Config(mongo_uri=mongo_uri, max_age=0))) as connected:
        yield connected


@pytest.fixture
def desk(views: Services, tmp_path: Path) -> ReportDesk:
    return ReportDesk(views, ReportStore(str(tmp_path)), "http://page.test", lambda: NOW, to_forms=plain_forms)


@pytest.fixture
def webhook(server: Any) -> str:
    return f"{server.url}/api/webhooks/4/reports"


def revised(desk: ReportDesk, webhook: str, *, late: bool = False, window: timedelta = WEEK) -> list[Revision]:
    return list(nightly.revise(desk, webhook, window, late=late))


def test_report_is_rebuilt_once_its_day_is_complete(
    desk: ReportDesk, views: Services, server: Any, webhook: str
) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=["partition 3"])
    first, _ = nightly.build(desk, OfficersDay(DAY))
    land(views, 1, cells(HOUR + 1, 5, 2))
    assert revised(desk, webhook) == []  # still incomplete: it would be rebuilt tomorrow

    completeness(views, version=1)
    assert revised(desk, webhook) == [Revision(DAY, first.number + 1)]
    assert revised(desk, webhook) == []
    messages = httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"]
    assert "revision 1" in messages[-1]["embeds"][0]["title"]
    assert "reports received 10 → 15; alerts raised 1 → 3" in messages[-1]["embeds"][0]["description"]


def test_report_of_an_old_day_is_rebuilt_and_posted_once_discord_answers(
    desk: ReportDesk, views: Services, webhook: str
) -> None:
    """As one of a backfill, whose report promises to be rebuilt."""
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=["partition 3"])
    nightly.build(desk, OfficersDay(DAY), quiet=True)
    land(views, 1, cells(HOUR + 1, 5, 2))
    nothing = timedelta(0)
    assert revised(desk, webhook, window=nothing, late=True) == []

    completeness(views, version=1)
    with pytest.raises(ServiceUnavailable):
        revised(replace(desk, poster=Poster(attempts=1)), "http://127.0.0.1:1/", window=nothing)
    assert revised(desk, webhook, window=nothing) == [Revision(DAY, 1)]
    assert revised(desk, webhook, window=nothing) == []
    land(views, 2, cells(HOUR + 2, 5, 2))
    completeness(views, version=2, late=5)
    assert revised(desk, webhook, window=nothing, late=True) == [], "complete and old"


def test_late_reports_revise_a_complete_day_at_night(desk: ReportDesk, views: Services, webhook: str) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views)
    nightly.build(desk, OfficersDay(DAY))
    land(views, 1, cells(HOUR + 1, 5, 2))
    completeness(views, version=1, late=5)
    assert revised(desk, webhook) == []
    assert revised(desk, webhook, late=True, window=timedelta(0)) == []
    assert revised(desk, webhook, late=True) == [Revision(DAY, 1)]
    assert revised(desk, webhook, late=True) == []
    assert desk.store.facts(Revision(DAY, 1)).quality.late == 5


def test_report_of_a_day_that_never_completes_is_rebuilt_at_night(
    desk: ReportDesk, views: Services, webhook: str
) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=["partition 3"])
    nightly.build(desk, OfficersDay(DAY))
    land(views, 1, cells(HOUR + 1, 5, 2))
    completeness(views, complete=False, missing=["partition 3"], version=1)
    assert revised(desk, webhook) == []
    assert revised(desk, webhook, late=True) == [Revision(DAY, 1)]
    assert revised(desk, webhook, late=True) == []


def test_a_day_of_which_reports_were_lost_says_so_waits_no_more_and_is_made_once(
    desk: ReportDesk, views: Services, webhook: str
) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    loss = {"table": "reports", "partition": 3, "messages": 70, "after": noon, "before": noon + timedelta(hours=1)}
    alerts = {"table": "alerts", "messages": 1, "after": None, "before": noon}
    long_ago = {"before": noon - timedelta(days=9), "after": noon - timedelta(days=10)}
    views.database.losses.insert_many([loss, {**loss, **alerts}, {**loss, **long_ago}])
    lost = fleet_losses.sentence(loss)
    completeness(views, complete=False, settled=False, missing=["partition 3", lost], losses=[lost])
    assert not nightly.wait(desk, OfficersDay(DAY), timedelta(0))
    nightly.build(desk, OfficersDay(DAY))
    completeness(views, complete=False, settled=True, missing=[lost], losses=[lost])
    assert nightly.wait(desk, OfficersDay(DAY), timedelta(0))
    drawing = replace(desk, to_forms=render.to_forms)
    assert revised(drawing, webhook) == [Revision(DAY, 1)], "what it waited for has come"
    assert revised(desk, webhook) == []
    report = desk.store.facts(Revision(DAY, 1))
    assert (report.state, report.missing, report.quality.lost, report.quality.lost_alerts) == (
        "incomplete",
        [lost],
        70,
        1,
    )
    text = " ".join(pdf_text(desk.store.read(Revision(DAY, 1), "pdf")).split())
    assert f"This day is not complete, and never will be: {lost}." in text
    assert "one of the alerts of partition 3 expired before it landed; the broker received it before" in text


def test_rebuilt_views_change_no_report(desk: ReportDesk, views: Services, webhook: str) -> None:
    """As with a MongoDB that was lost: until a batch run is complete nothing seems to have been received."""
    land(views, 0, cells(HOUR, 10, 1))
    land(views, 1, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=["partition 3"])
    nightly.build(desk, OfficersDay(DAY))
    for name in views.database.list_collection_names():
        views.database[name].delete_many({})
    assert revised(desk, webhook) == []


def test_pending_revision_is_published(desk: ReportDesk, views: Services, webhook: str) -> None:
    """As after a kill between the two."""
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views)
    nightly.build(desk, OfficersDay(DAY))
    land(views, 1, cells(HOUR + 1, 5, 2))
    nightly.build(desk, OfficersDay(DAY))
    assert revised(desk, webhook) == [Revision(DAY, 1)]
    assert revised(desk, webhook) == []


def test_figures_by_utc_day_are_corrected_when_that_day_ends(desk: ReportDesk, views: Services, webhook: str) -> None:
    """In Paris the report is made before the UTC day of its drones has ended."""
    paris = OfficersDay(DAY, "Europe/Paris")
    land(views, 0, cells(HOUR + 22, 100, 2), cells(HOUR - 24, 1, 0))
    completeness(views, DAY - timedelta(days=1))
    completeness(views, complete=False, missing=[trust.NOT_COMPUTED])
    landed_through(views, datetime(2026, 11, 23, 23, 10, tzinfo=UTC))
    nightly.build(desk, paris)
    assert revised(desk, webhook) == []
    completeness(views, expected=144_000, received=100)
    assert revised(desk, webhook) == [Revision(DAY, 1)]
    report = desk.store.facts(Revision(DAY, 1))
    assert (report.utc_day_complete, report.timezone, report.quality.expected) == (True, "Europe/Paris", 144_000)


def test_a_damaged_report_holds_up_no_other_and_is_built_again(desk: ReportDesk, views: Services, webhook: str) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views)
    first, _ = nightly.build(desk, OfficersDay(DAY))
    nightly.build(desk, OfficersDay(DAY - timedelta(days=1)))
    desk.store.write(first, {**plain_forms(desk.store.facts(first)), "json": b"{"})
    assert nightly.revise(desk, webhook, WEEK) == []
    revision, new = nightly.build(desk, OfficersDay(DAY))
    assert (revision.number, new) == (1, True)
    assert desk.store.facts(revision).changes == []


def test_a_report_of_a_newer_version_holds_up_no_other_and_is_not_built_again(
    desk: ReportDesk, views: Services, webhook: str
) -> None:
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views, complete=False, missing=[trust.NOT_COMPUTED])
    nightly.build(desk, OfficersDay(DAY))
    newer, _ = nightly.build(desk, OfficersDay(DAY + timedelta(days=1)))
    desk.store.write(newer, {**plain_forms(desk.store.facts(newer)), "json": b'{"layout": 2}'})
    completeness(views)
    assert revised(desk, webhook) == [Revision(DAY, 1)]
    with pytest.raises(NewerLayout, match=f"^revision 0 of the report of {newer.day}: "):
        nightly.build(desk, OfficersDay(newer.day))
    assert desk.store.newest(newer.day) == newer
