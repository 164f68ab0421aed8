"""Two that make or post the report of one day at once, outside Airflow's pool: one does it, the other finds it done."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest

from fleet.errors import PeacewatchError, ServiceUnavailable
from serving.config import Config
from serving.report import lock, nightly, post
from serving.report.build import OfficersDay
from serving.report.nightly import ReportDesk
from serving.report.post import Poster
from serving.report.store import ReportStore, Revision
from serving.services import Services, connect
from tests.support.report_views import DAY, HOUR, NOW, cells, completeness, land, plain_forms
from tests.support.standin import serving as standin_serving


@pytest.fixture
def views(mongo_uri: str) -> Iterator[Services]:
    with closing(connect(Config(mongo_uri=mongo_uri, max_age=0))) as connected:
        yield connected


@pytest.fixture
def desk(views: Services, tmp_path: Path) -> ReportDesk:
    """A desk with reports of a day in the views. Nobody waits long for a lock."""
    land(views, 0, cells(HOUR, 10, 1))
    completeness(views)
    return ReportDesk(
        views, ReportStore(str(tmp_path)), "http://page.test", lambda: NOW, look_every=0.01, to_forms=plain_forms
    )


def both(work: Any) -> list[Any]:
    """What two threads get that begin `work` at once."""
    start = Barrier(2)

    def run() -> Any:
        start.wait()
        return work()

    with ThreadPoolExecutor(2) as pool:
        return [ended.result() for ended in [pool.submit(run), pool.submit(run)]]


def test_two_builders_make_one_revision(desk: ReportDesk) -> None:
    made = both(lambda: nightly.build(desk, OfficersDay(DAY)))
    assert sorted(made, key=lambda result: result[1]) == [(Revision(DAY, 0), False), (Revision(DAY, 0), True)]


def test_two_publishers_post_once(desk: ReportDesk, tmp_path: Path) -> None:
    made, _ = nightly.build(desk, OfficersDay(DAY))
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        first, second = both(lambda: nightly.publish(desk, made, webhook))
        messages = httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"]
    assert first == second
    assert [each["id"] for each in messages] == [first]


def test_one_that_does_not_end_is_not_waited_for_without_end(desk: ReportDesk) -> None:
    database = desk.services.database
    with (
        lock.held(database, DAY),
        pytest.raises(ServiceUnavailable, match="another process is building or publishing the report"),
        lock.held(database, DAY, patience=0.05),
    ):
        raise AssertionError("it is another's turn")
    with lock.held(database, DAY, patience=0):
        pass


def test_builder_whose_lock_expired_writes_nothing(desk: ReportDesk) -> None:
    """It stood still for longer than the lock lasts, after it took the lock, and another process built the report."""

    def now() -> datetime:
        expired = {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}}
        assert desk.services.database.report_turns.update_one({"_id": str(DAY)}, expired).matched_count
        assert nightly.build(desk, OfficersDay(DAY)) == (Revision(DAY, 0), True)
        return desk.now()

    stalled = replace(desk, now=now)
    land(desk.services, 1, cells(HOUR + 1, 5, 2))
    with lock.held(desk.services.database, DAY) as check:
        check()
    with pytest.raises(lock.LockLost, match=str(DAY)):
        nightly.build(stalled, OfficersDay(DAY))
    assert desk.store.days() == [Revision(DAY, 0)]


def test_many_revisions_are_one_message_and_few_are_one_each(desk: ReportDesk, tmp_path: Path) -> None:
    days = [DAY - timedelta(days=ago) for ago in range(nightly.MOST_MESSAGES + 1)]
    land(desk.services, 1, *(cells(HOUR - 24 * ago, 10, 1) for ago in range(1, len(days))))
    for day in days:
        completeness(desk.services, day, complete=False, missing=["partition 3"])
        nightly.build(desk, OfficersDay(day))
    for ago, day in enumerate(days):
        land(desk.services, ago + 2, cells(HOUR - 24 * ago + 1, 5, 2))
        completeness(desk.services, day, version=ago + 2)
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        revised = nightly.revise(desk, webhook, timedelta(days=30))
        assert revised == [Revision(day, 1) for day in days]
        nightly._publish_together(desk, revised, webhook)  # as of another process that found the same
        assert nightly.revise(desk, webhook, timedelta(days=30)) == []
        (message,) = httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"]
    assert message["embeds"][0]["title"] == "4 nightly reports rebuilt"
    assert (
        "[Monday, 23 November 2026](http://page.test/reports/2026-11-23): reports received 10 → 15"
        in (message["embeds"][0]["description"])
    )


def test_a_months_revisions_fit_a_message(desk: ReportDesk) -> None:
    report = desk.store.facts(nightly.build(desk, OfficersDay(DAY))[0])
    form = post.several([report] * 60, "http://page.test/reports")
    lines = form["embeds"][0]["description"].splitlines()
    assert len(form["embeds"][0]["description"]) <= 4096
    assert lines[-1] == f"and {60 - len(lines) + 1} more days; the reports page lists all."


def test_quiet_report_is_posted_only_by_hand(desk: ReportDesk, tmp_path: Path) -> None:
    nightly.build(desk, OfficersDay(DAY))
    land(desk.services, 1, cells(HOUR + 1, 5, 2))
    made, _ = nightly.build(desk, OfficersDay(DAY), quiet=True)
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        assert nightly.revise(desk, webhook, timedelta(days=30)) == []
        assert httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"] == []
        assert nightly.publish(desk, made, webhook, quiet_too=False) == ""
        message = nightly.publish(desk, made, webhook)
        assert nightly.publish(desk, made, webhook) == message != ""


def test_a_revision_that_waits_for_discord_is_not_silenced(desk: ReportDesk, tmp_path: Path) -> None:
    """A backfill comes over its day: with nothing new, and then with a change."""
    nightly.build(desk, OfficersDay(DAY))
    land(desk.services, 1, cells(HOUR + 1, 5, 2))
    nightly.build(desk, OfficersDay(DAY))
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        assert nightly.build(desk, OfficersDay(DAY), quiet=True) == (Revision(DAY, 1), False)
        assert nightly.revise(desk, webhook, timedelta(days=30)) == [Revision(DAY, 1)]
        for number in (2, 3):
            land(desk.services, number, cells(HOUR + number, 5, 2))
            nightly.build(desk, OfficersDay(DAY), quiet=number == 3)
        assert nightly.revise(desk, webhook, timedelta(days=30)) == [Revision(DAY, 3)]
        assert len(httpx.get(f"{server.url}/control/messages?webhook=4").json()["messages"]) == 2


def test_post_renews_its_lock_and_ends_once_another_process_has_it(desk: ReportDesk) -> None:
    """Each attempt lasts longer than the lock; at the third another process posts."""
    made, _ = nightly.build(desk, OfficersDay(DAY))
    locks, attempts = desk.services.database.report_turns, []

    def take(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"id": "a message"})

    def slowly(_request: httpx.Request) -> httpx.Response:
        mine = locks.find_one({"_id": str(DAY)})
        assert mine
        assert mine["until"] > datetime.now(UTC)
        locks.update_one({"_id": str(DAY)}, {"$set": {"until": datetime.now(UTC) - timedelta(seconds=1)}})
        attempts.append("away")
        if len(attempts) == 3:
            assert nightly.publish(another, made, "http://d.test/") == "a message"
        return httpx.Response(503)

    another = replace(desk, poster=Poster(transport=httpx.MockTransport(take)))
    slow = replace(desk, poster=Poster(longest_pause=0.0, transport=httpx.MockTransport(slowly)))
    with pytest.raises(lock.LockLost):
        nightly.publish(slow, made, "http://d.test/")
    assert len(attempts) == 3
    assert nightly.publish(desk, made, "http://d.test/") == "a message"


@pytest.mark.parametrize(
    ("mode", "error"), [("403-html", ServiceUnavailable), ("html-200", ServiceUnavailable), ("404", PeacewatchError)]
)
def test_report_that_discords_edge_refuses_is_posted_later(
    desk: ReportDesk, tmp_path: Path, mode: str, error: type[Exception]
) -> None:
    made, _ = nightly.build(desk, OfficersDay(DAY))
    with standin_serving(tmp_path / "standin") as server:
        webhook = f"{server.url}/api/webhooks/4/reports"
        httpx.post(f"{server.url}/control/fail", json={"mode": mode, "times": 1}).raise_for_status()
        with pytest.raises(PeacewatchError) as refused:
            nightly.publish(replace(desk, poster=Poster(attempts=1)), made, webhook)
        assert type(refused.value) is PeacewatchError if error is PeacewatchError else isinstance(refused.value, error)
        assert nightly.publish(desk, made, webhook)
