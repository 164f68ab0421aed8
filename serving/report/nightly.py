"""The nightly report of a day, step by step: wait until the day has settled, build, publish; and revise earlier days.

A rebuilt report is a new revision that says what changed; an unchanged report is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import msgspec
import structlog
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from fleet.errors import NewerLayout
from serving.report import by_day, completeness, facts, lock, render
from serving.report.build import OfficersDay, facts_of
from serving.report.post import Poster
from serving.report.revision import changes, same
from serving.report.store import DamagedReport, ReportStore, Revision
from serving.services import Services

LOOK_EVERY = timedelta(seconds=10)
"""Pause between two checks whether a day has settled."""

_log = structlog.get_logger()

MOST_MESSAGES = 3
"""Up to this many revisions are posted one by one; more, as after a month's correction, in one message."""


@dataclass(frozen=True)
class ReportDesk:
    """Where reports are built and posted: the views, the store of reports, and the page's address for links.

    `look_every`: seconds between attempts to take a day's lock of another process. `to_forms` makes the store's forms
    of a report; the PDF takes most of a build's time.
    """

    services: Services
    store: ReportStore
    page: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    poster: Poster = field(default_factory=Poster)
    look_every: float = lock.LOOK_EVERY
    to_forms: Callable[[facts.DayReport], dict[str, bytes]] = render.to_forms

    def lock(self, day: date) -> AbstractContextManager[Callable[[], None]]:
        """The lock of a day's report; see lock.held."""
        return lock.held(self.services.database, day, look_every=self.look_every)


def wait(desk: ReportDesk, officers_day: OfficersDay, deadline: timedelta) -> bool:
    """Waits until the day has settled, at most `deadline`. Returns whether it has; the report is built in any case."""
    looking = Retrying(
        retry=retry_if_result(lambda settled: not settled),
        stop=stop_after_delay(deadline.total_seconds()),
        wait=wait_fixed(LOOK_EVERY.total_seconds()),
    )
    try:
        return bool(looking(lambda: _settled(desk, officers_day)))
    except RetryError:
        return False


def build(desk: ReportDesk, officers_day: OfficersDay, *, quiet: bool = False) -> tuple[Revision, bool]:
    """Builds the day's report. Returns its newest revision, and whether that is new. An unchanged report is kept.

    Of two processes that build the same day at once the second waits, and finds the first one's revision. `quiet`:
    `revise` does not post a revision built now, unless the one before it is pending.
    """
    with desk.lock(officers_day.day) as renew:
        before = desk.store.newest(officers_day.day)
        number = before.number + 1 if before else 0
        report = facts_of(desk.services, officers_day, desk.now(), number, _link(desk, officers_day))
        if before is not None:
            earlier = _facts(desk, before)
            if earlier is not None and same(earlier, report):
                return before, False
            report = msgspec.structs.replace(report, changes=changes(earlier, report) if earlier is not None else [])
        revision, forms = Revision(officers_day.day, number), desk.to_forms(report)
        renew()
        desk.store.write(revision, forms)
        if quiet and not (before and _is_pending(desk, before)):
            _note(desk, revision, "")
    return revision, True


def publish(desk: ReportDesk, revision: Revision, webhook: str, *, quiet_too: bool = True) -> str:
    """Posts the summary of a revision to Discord, once. Returns the message's id; empty for a revision built with
    `quiet`."""
    with desk.lock(revision.day) as renew:
        before = _message_of(desk, revision)
        if before or (before is not None and not quiet_too):
            return before
        message = desk.poster.post(webhook, desk.store.facts(revision), renew)
        _note(desk, revision, message)
    return message


def revise(desk: ReportDesk, webhook: str, window: timedelta, *, late: bool = False) -> list[Revision]:
    """Rebuilds and publishes the reports of the last `window` whose day has changed; newest day first.

    A day that was incomplete is due as soon as it is complete, whatever its age: its report promises that. With `late`
    a day with late reports is due, too, complete or not: some days never are. A revision that was built but not
    published (by a killed run) is published.
    """
    since = (desk.now() - window).date()
    revised = [newest for revision in desk.store.days() for newest in _rebuilt(desk, revision, since, late)]
    if len(revised) > MOST_MESSAGES:
        _publish_together(desk, revised, webhook)
    else:
        for revision in revised:
            publish(desk, revision, webhook, quiet_too=False)
    return revised


def _publish_together(desk: ReportDesk, revised: list[Revision], webhook: str) -> None:
    """Posts one message, holding the lock of each of its days; leaves out revisions that another process published."""
    with ExitStack() as locks:
        # Locks are taken in order of days: else two processes could wait for each other.
        ordered = sorted(revised, key=lambda revision: revision.day)
        renewals = [locks.enter_context(desk.lock(revision.day)) for revision in ordered]

        def renew_all() -> None:
            for renew in renewals:
                renew()

        pending = [revision for revision in revised if _is_pending(desk, revision)]
        if not pending:
            return
        reports = [desk.store.facts(revision) for revision in pending]
        page = f"{desk.page}/reports" if desk.page else ""
        message = desk.poster.post_several(webhook, reports, page, renew_all)
        for revision in pending:
            _note(desk, revision, message)


def _rebuilt(desk: ReportDesk, revision: Revision, since: date, late: bool) -> Iterator[Revision]:
    """The day's newest revision, if it is to be published."""
    try:
        earlier, newest, new = _facts(desk, revision), revision, False
    except NewerLayout as error:  # that version revises it; other days need not wait for it
        _log.error("a report is not revised", reason=error)
        return
    if earlier is None:
        return
    recent = revision.day >= since
    if (recent or _is_awaited(earlier)) and _is_due(desk, earlier, late=late and recent):
        newest, new = build(desk, OfficersDay(revision.day, earlier.timezone))
    # Of older days only recent revisions: after a loss of MongoDB all would be published again.
    if new or ((recent or earlier.making.made_at.date() >= since) and _is_pending(desk, newest)):
        yield newest


def _facts(desk: ReportDesk, revision: Revision) -> facts.DayReport | None:
    """None where the revision is damaged: it holds up no other report."""
    try:
        return desk.store.facts(revision)
    except DamagedReport as error:
        _log.error("a report cannot be read; build it again", reason=error)
        return None


def _is_awaited(report: facts.DayReport) -> bool:
    """Whether the report promises to be rebuilt."""
    return _lacks_more(report) or not report.utc_day_complete


def _lacks_more(report: facts.DayReport) -> bool:
    return report.state == "incomplete" and not report.misses_lost_alone


def _is_due(desk: ReportDesk, earlier: facts.DayReport, *, late: bool) -> bool:
    officers_day, database = OfficersDay(earlier.day, earlier.timezone), desk.services.database
    if desk.services.merge.served().version < earlier.making.version:
        return False  # the views are being rebuilt, and know less than the report does
    if _lacks_more(earlier) and _settled(desk, officers_day):
        return True
    if not earlier.utc_day_complete and completeness.is_settled(database, by_day.utc_day(officers_day.hours)):
        return True
    documents = [completeness.document_of(database, day) for day in officers_day.hours.utc_dates] if late else []
    return any(document and document["version"] > earlier.making.version for document in documents)


def _message_of(desk: ReportDesk, revision: Revision) -> str | None:
    """The id of a revision's message on Discord; empty: it is not to be published; None: it is pending."""
    document = desk.services.database.reports_told.find_one({"_id": _name(revision)})
    return str(document["message_id"]) if document else None


def _is_pending(desk: ReportDesk, revision: Revision) -> bool:
    """Whether a revision is yet to be published. A day's first report is published by the process that builds it."""
    return revision.number > 0 and _message_of(desk, revision) is None


def _note(desk: ReportDesk, revision: Revision, message: str) -> None:
    document = {"_id": _name(revision), "message_id": message, "told_at": desk.now()}
    desk.services.database.reports_told.replace_one({"_id": document["_id"]}, document, upsert=True)


def _name(revision: Revision) -> str:
    return f"{revision.day}/{revision.number}"


def _settled(desk: ReportDesk, officers_day: OfficersDay) -> bool:
    served = desk.services.merge.served(officers_day.hours.hours)
    return not completeness.waits(desk.services.database, served, officers_day.hours)


def _link(desk: ReportDesk, officers_day: OfficersDay) -> str:
    return f"{desk.page}/reports/{officers_day.day}" if desk.page else ""
