"""The nightly report of a day, step by step: wait until the day is complete, build, publish; and revise earlier days.

A rebuilt report is a new revision that says what changed; an unchanged report is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from serving.report import by_day, completeness, facts, lock, post, render, revision
from serving.report.build import Asked, facts_of
from serving.report.store import Made, ReportStore
from serving.services import Services

LOOK_EVERY = timedelta(seconds=10)

MOST_MESSAGES = 3
"""Up to this many revisions are posted one by one; more, as after a correction of a month, as one message."""


@dataclass(frozen=True)
class Desk:
    """Where reports are built: the views, the store of reports, and the page's address for links."""

    services: Services
    store: ReportStore
    page: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def wait(desk: Desk, asked: Asked, deadline: timedelta) -> bool:
    """Waits until the day has settled, at most `deadline`. Whether it has: the report is built in any case."""
    looking = Retrying(
        retry=retry_if_result(lambda settled: not settled),
        stop=stop_after_delay(deadline.total_seconds()),
        wait=wait_fixed(LOOK_EVERY.total_seconds()),
    )
    try:
        return bool(looking(lambda: _settled(desk, asked)))
    except RetryError:
        return False


def build(desk: Desk, asked: Asked, *, quiet: bool = False) -> tuple[Made, bool]:
    """Builds the day's report: its newest revision, and whether that is new. An unchanged report is kept.

    Of two processes that build the same day at once the second waits, and finds the first one's revision. `quiet`:
    `revise` does not post a revision built now, unless the one before it is pending.
    """
    with lock.held(desk.services.database, asked.day) as renew:
        before = desk.store.newest(asked.day)
        number = before.revision + 1 if before else 0
        report = facts_of(desk.services, asked, desk.now(), number, _link(desk, asked))
        if before is not None:
            earlier = desk.store.facts(before)
            if revision.same(earlier, report):
                return before, False
            report = msgspec.structs.replace(report, changes=revision.changes(earlier, report))
        made, forms = Made(asked.day, number), _forms(report)
        renew()
        desk.store.write(made, forms)
        if quiet and not (before and _is_pending(desk, before)):
            _note(desk, made, "")
    return made, True


def publish(desk: Desk, made: Made, webhook: str, *, quiet_too: bool = True) -> str:
    """Posts the summary of a revision to Discord, once; the id of the message, empty where it stays quiet."""
    with lock.held(desk.services.database, made.day) as renew:
        before = _message_of(desk, made)
        if before or (before is not None and not quiet_too):
            return before
        message = post.post(webhook, desk.store.facts(made), renew)
        _note(desk, made, message)
    return message


def revise(desk: Desk, webhook: str, window: timedelta, *, late: bool = False) -> list[Made]:
    """Rebuilds and publishes the reports of the last `window` whose day has changed; newest day first.

    A day that was incomplete is due as soon as it is complete, whatever its age: its report promises that. With `late`
    also a day that late reports came for, complete or not: some days never are. A revision that was built and not
    published (by a killed run, say) is published.
    """
    since = (desk.now() - window).date()
    revised = [newest for made in desk.store.days() for newest in _rebuilt(desk, made, since, late)]
    if len(revised) > MOST_MESSAGES:
        _publish_together(desk, revised, webhook)
    else:
        for made in revised:
            publish(desk, made, webhook, quiet_too=False)
    return revised


def _publish_together(desk: Desk, revised: list[Made], webhook: str) -> None:
    """One message, holding the lock of each of its days; revisions that another process published are left out."""
    with ExitStack() as locks:
        # Locks are taken in order of days: in different orders two processes would wait for each other.
        ordered = sorted(revised, key=lambda made: made.day)
        renewals = [locks.enter_context(lock.held(desk.services.database, made.day)) for made in ordered]

        def renew_all() -> None:
            for renew in renewals:
                renew()

        pending = [made for made in revised if _is_pending(desk, made)]
        if not pending:
            return
        reports = [desk.store.facts(made) for made in pending]
        page = f"{desk.page}/reports" if desk.page else ""
        message = post.post_several(webhook, reports, page, renew_all)
        for made in pending:
            _note(desk, made, message)


def _rebuilt(desk: Desk, made: Made, since: date, late: bool) -> Iterator[Made]:
    """The day's newest revision, if it is to be published."""
    earlier, newest, new = desk.store.facts(made), made, False
    recent = made.day >= since
    if (recent or _is_awaited(earlier)) and _is_due(desk, earlier, late=late and recent):
        newest, new = build(desk, Asked(made.day, earlier.timezone))
    # Of older days only recent revisions: after a loss of MongoDB all of them would be published again.
    if new or ((recent or earlier.making.made_at.date() >= since) and _is_pending(desk, newest)):
        yield newest


def _is_awaited(report: facts.DayReport) -> bool:
    """Whether the report promises to be rebuilt."""
    return _lacks_more(report) or not report.utc_day_complete


def _lacks_more(report: facts.DayReport) -> bool:
    return report.state == "incomplete" and not report.misses_lost_alone


def _is_due(desk: Desk, earlier: facts.DayReport, *, late: bool) -> bool:
    asked, database = Asked(earlier.day, earlier.timezone), desk.services.database
    if desk.services.merge.served().version < earlier.making.version:
        return False  # the views are being rebuilt, and know less than the report does
    if _lacks_more(earlier) and _settled(desk, asked):
        return True
    if not earlier.utc_day_complete and completeness.is_settled(database, by_day.utc_day(asked.hours)):
        return True
    documents = [completeness.document_of(database, day) for day in asked.hours.utc_dates] if late else []
    return any(document and document["version"] > earlier.making.version for document in documents)


def _message_of(desk: Desk, made: Made) -> str | None:
    """The id of a revision's message on Discord; empty: it is not to be published; None: it is pending."""
    document = desk.services.database.reports_told.find_one({"_id": _name(made)})
    return str(document["message_id"]) if document else None


def _is_pending(desk: Desk, made: Made) -> bool:
    """Whether a revision is yet to be published. A day's first report is published by the process that builds it."""
    return made.revision > 0 and _message_of(desk, made) is None


def _note(desk: Desk, made: Made, message: str) -> None:
    document = {"_id": _name(made), "message_id": message, "told_at": desk.now()}
    desk.services.database.reports_told.replace_one({"_id": document["_id"]}, document, upsert=True)


def _name(made: Made) -> str:
    return f"{made.day}/{made.revision}"


def _settled(desk: Desk, asked: Asked) -> bool:
    served = desk.services.merge.served(asked.hours.hours)
    return not completeness.waits(desk.services.database, served, asked.hours)


def _link(desk: Desk, asked: Asked) -> str:
    return f"{desk.page}/reports/{asked.day}" if desk.page else ""


def _forms(report: facts.DayReport) -> dict[str, bytes]:
    return {
        "html": render.to_html(report).encode(),
        "pdf": render.to_pdf(report),
        "png": render.to_picture(report),
        "json": facts.to_json(report),
    }
