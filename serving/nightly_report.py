"""The nightly report of a day, step by step: wait until the day is complete, build, publish.

A day made again is a new revision that says what changed; a day that would say the same again is not made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from serving.report import facts, gather, post, render, revision, trust
from serving.report.gather import Asked
from serving.report.store import Made, ReportStore
from serving.services import Services

LOOK_EVERY = timedelta(seconds=10)


@dataclass(frozen=True)
class Desk:
    """Where reports are made: the views, the store beside the lake, and the page's address for links."""

    services: Services
    store: ReportStore
    page: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def wait(desk: Desk, asked: Asked, deadline: timedelta) -> bool:
    """Until the day is complete, at most `deadline`. Whether it is: the report is made in any case, and says so.

    A day before the first report of all has nothing to wait for: a new installation, say.
    """
    if trust.before_all_reports(desk.services.merge.served(), asked.hours):
        return True
    looking = Retrying(
        retry=retry_if_result(lambda complete: not complete),
        stop=stop_after_delay(deadline.total_seconds()),
        wait=wait_fixed(LOOK_EVERY.total_seconds()),
    )
    try:
        return bool(looking(lambda: _complete(desk, asked)))
    except RetryError:
        return False


def build(desk: Desk, asked: Asked) -> tuple[Made, bool]:
    """The newest revision of the day's report, and whether it was made now: one that says the same stays."""
    before = desk.store.newest(asked.day)
    number = before.revision + 1 if before else 0
    report = gather.gather(desk.services, asked, desk.now(), number, _link(desk, asked))
    if before is not None:
        earlier = desk.store.facts(before)
        if revision.same(earlier, report):
            return before, False
        report = msgspec.structs.replace(report, changes=revision.changes(earlier, report))
    made = Made(asked.day, number)
    desk.store.write(made, _forms(report))
    return made, True


def publish(desk: Desk, made: Made, webhook: str) -> str:
    """Posts the summary of a revision to Discord, once; the id of the message."""
    told = desk.services.database.reports_told
    name = f"{made.day}/{made.revision}"
    before = told.find_one({"_id": name})
    if before is not None:
        return str(before["message_id"])
    message = post.post(webhook, desk.store.facts(made))
    told.replace_one({"_id": name}, {"_id": name, "message_id": message, "told_at": desk.now()}, upsert=True)
    return message


def _complete(desk: Desk, asked: Asked) -> bool:
    document = trust.completeness(desk.services.database, asked.day)
    return bool(document and document["complete"])


def _link(desk: Desk, asked: Asked) -> str:
    return f"{desk.page}/reports/{asked.day}" if desk.page else ""


def _forms(report: facts.DayReport) -> dict[str, bytes]:
    return {
        "html": render.to_html(report).encode(),
        "pdf": render.to_pdf(report),
        "png": render.to_picture(report),
        "json": facts.to_json(report),
    }
