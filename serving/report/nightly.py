"""The nightly report of a day, step by step: wait until the day is complete, build, publish; and revise earlier days.

A day made again is a new revision that says what changed; a day that would say the same again is not made again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from serving.report import build as gather
from serving.report import by_day, facts, lock, post, render, revision
from serving.report import completeness as trust
from serving.report.build import Asked
from serving.report.store import Made, ReportStore
from serving.services import Services

LOOK_EVERY = timedelta(seconds=10)

MOST_MESSAGES = 3
"""So many revisions are posted one by one. More of them, as after a correction of a month, are one message."""


@dataclass(frozen=True)
class Desk:
    """Where reports are made: the views, the store beside the lake, and the page's address for links."""

    services: Services
    store: ReportStore
    page: str = ""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def wait(desk: Desk, asked: Asked, deadline: timedelta) -> bool:
    """Until nothing of the day is waited for, at most `deadline`. Whether so: the report is made in any case."""
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
    """The newest revision of the day's report, and whether it was made now: one that says the same stays.

    Of two that build the same day at once the second waits, and finds what the first has made. `quiet`: what is made
    now is posted by no `revise`, unless the revision before it waits to be.
    """
    with lock.taken(desk.services.database, asked.day) as renew:
        before = desk.store.newest(asked.day)
        number = before.revision + 1 if before else 0
        report = gather.gather(desk.services, asked, desk.now(), number, _link(desk, asked))
        if before is not None:
            earlier = desk.store.facts(before)
            if revision.same(earlier, report):
                return before, False
            report = msgspec.structs.replace(report, changes=revision.changes(earlier, report))
        made, forms = Made(asked.day, number), _forms(report)
        renew()
        desk.store.write(made, forms)
        if quiet and not (before and _waits(desk, before)):
            _note(desk, made, "")
    return made, True


def publish(desk: Desk, made: Made, webhook: str, *, quiet_too: bool = True) -> str:
    """Posts the summary of a revision to Discord, once; the id of the message, empty where it stays quiet."""
    with lock.taken(desk.services.database, made.day) as renew:
        before = _told(desk, made)
        if before or (before is not None and not quiet_too):
            return before
        message = post.post(webhook, desk.store.facts(made), renew)
        _note(desk, made, message)
    return message


def revise(desk: Desk, webhook: str, window: timedelta, *, late: bool = False) -> list[Made]:
    """Makes again what has changed since, of the days of the last `window`, and publishes that; newest day first.

    A day that was incomplete is due as soon as it is complete, whatever its age: its report says so. With `late` also
    one that late reports came for, be it complete or not: some days never are. A revision that was made and not
    published (a killed run, say) is published.
    """
    since = (desk.now() - window).date()
    revised = [newest for made in desk.store.days() for newest in _made_again(desk, made, since, late)]
    if len(revised) > MOST_MESSAGES:
        _publish_together(desk, revised, webhook)
    else:
        for made in revised:
            publish(desk, made, webhook, quiet_too=False)
    return revised


def _publish_together(desk: Desk, revised: list[Made], webhook: str) -> None:
    """One message, in the turn of each of its days; what another process has told meanwhile is not in it."""
    with ExitStack() as turns:
        # Days in order: two that did this in different ones would wait for each other.
        ordered = sorted(revised, key=lambda made: made.day)
        renewals = [turns.enter_context(lock.taken(desk.services.database, made.day)) for made in ordered]

        def renew_all() -> None:
            for renew in renewals:
                renew()

        waiting = [made for made in revised if _waits(desk, made)]
        if not waiting:
            return
        reports = [desk.store.facts(made) for made in waiting]
        page = f"{desk.page}/reports" if desk.page else ""
        message = post.post_several(webhook, reports, page, renew_all)
        for made in waiting:
            _note(desk, made, message)


def _made_again(desk: Desk, made: Made, since: date, late: bool) -> Iterator[Made]:
    """The day's newest revision, where it is to be told."""
    earlier, newest, new = desk.store.facts(made), made, False
    recent = made.day >= since
    if (recent or _is_awaited(earlier)) and _is_due(desk, earlier, late=late and recent):
        newest, new = build(desk, Asked(made.day, earlier.timezone))
    # Of older days only what was made lately: after a loss of MongoDB all their revisions would be told again.
    if new or ((recent or earlier.making.made_at.date() >= since) and _waits(desk, newest)):
        yield newest


def _is_awaited(report: facts.DayReport) -> bool:
    """Whether the report says that it is to be made again."""
    return _lacks_more(report) or not report.utc_day_complete


def _lacks_more(report: facts.DayReport) -> bool:
    return report.state == "incomplete" and not report.misses_lost_alone


def _is_due(desk: Desk, earlier: facts.DayReport, *, late: bool) -> bool:
    asked, database = Asked(earlier.day, earlier.timezone), desk.services.database
    if desk.services.merge.served().version < earlier.making.version:
        return False  # the views are made anew, and know less than the report does
    if _lacks_more(earlier) and _settled(desk, asked):
        return True
    if not earlier.utc_day_complete and trust.is_settled(database, by_day.utc_day(asked.hours)):
        return True
    documents = [trust.completeness(database, day) for day in asked.hours.utc_dates] if late else []
    return any(document and document["version"] > earlier.making.version for document in documents)


def _told(desk: Desk, made: Made) -> str | None:
    """The id of the message that told of a revision; empty: it is to be kept quiet."""
    found = desk.services.database.reports_told.find_one({"_id": _name(made)})
    return str(found["message_id"]) if found else None


def _waits(desk: Desk, made: Made) -> bool:
    """Whether a revision is yet to be told. The first report of a day is told by who makes it."""
    return made.revision > 0 and _told(desk, made) is None


def _note(desk: Desk, made: Made, message: str) -> None:
    document = {"_id": _name(made), "message_id": message, "told_at": desk.now()}
    desk.services.database.reports_told.replace_one({"_id": document["_id"]}, document, upsert=True)


def _name(made: Made) -> str:
    return f"{made.day}/{made.revision}"


def _settled(desk: Desk, asked: Asked) -> bool:
    served = desk.services.merge.served(asked.hours.hours)
    return not trust.waits(desk.services.database, served, asked.hours)


def _link(desk: Desk, asked: Asked) -> str:
    return f"{desk.page}/reports/{asked.day}" if desk.page else ""


def _forms(report: facts.DayReport) -> dict[str, bytes]:
    return {
        "html": render.to_html(report).encode(),
        "pdf": render.to_pdf(report),
        "png": render.to_picture(report),
        "json": facts.to_json(report),
    }
