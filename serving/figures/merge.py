"""Served = batch ⊕ live: the figures of any hour at the newest version that readers may see, kept in memory.

An hour at version T is its hour document (version v) and its part of the live documents v+1..T. T ends the unbroken
run of live documents after the base, the highest complete run's version. An hour that is held stays exact when a run
replaces its document, since both give the same figures at T. So a request reads only what is new:

1. the base, and the live documents after the last T, in one snapshot session;
2. in the same session the hour documents that it needs and that are not held, and the live documents of those hours.

All that is held is dropped when T cannot be continued: documents after it were deleted (the process slept longer than
live documents are kept) or the database is not the one that was read (it was emptied). A new base drops the hours that
its run computed, so that a run's corrections are seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from fleet.figures.day_form import BY_HOUR, DAY_FORMS, DayForm
from infra.mongo.session import at_one_instant
from serving.figures.served import NO_DAYS, Served, Wanted
from serving.figures.snapshot import FiguresSnapshot, ensure_indexes

Document = dict[str, Any]

BUSY_SECONDS: Final = 2.0
"""How stale an answer may be while a refresh runs, in seconds."""

MAX_HELD_DAYS: Final = 800
MAX_HELD_HOURS: Final = 24 * MAX_HELD_DAYS
MAX_HELD_FORMS: Final = len(DAY_FORMS) * MAX_HELD_DAYS
"""Two of the longest ranges of a request; beyond it everything but the requested range is dropped."""

NOTHING: Final = Wanted()


class Merge:
    """The running fold over one database, for many threads: one at a time reads MongoDB."""

    def __init__(self, database: Database[Document], max_age: float = 0.2) -> None:
        """`max_age`: seconds after which MongoDB is read again; 0: at every request."""
        self._database = database
        self._max_age = max_age
        self._served = Served()
        self._read_at = float("-inf")
        self._failure: PyMongoError | None = None
        self._failed_at = float("-inf")
        self._indexed = False
        self._lock = threading.Lock()

    def served(self, hours: Collection[int] = (), days: range = NO_DAYS, form: DayForm = BY_HOUR) -> Served:
        """The figures at the newest version, with the event hours `hours` and the UTC days `days` (since 1970) held.

        For the days, stored roll-ups in one form are enough, if there are any: `Served.cells` takes them, and
        `Served.hours` lacks their hours. Raises pymongo.errors.PyMongoError when MongoDB does not answer.
        """
        wanted = Wanted(hours, days, form)
        asked_at = time.monotonic()
        if held := self.held(wanted):
            return held
        self._lock.acquire()
        try:
            if not self._holds(wanted, asked_at):
                self._refresh(wanted, asked_at)
            return self._served
        finally:
            self._lock.release()

    def held(self, wanted: Wanted = NOTHING) -> Served | None:
        """What is held, if it is new enough to serve. It is read once, then checked and returned: another thread may
        replace it meanwhile.
        """
        now = time.monotonic()
        is_read = bool(self._max_age) and self._lock.locked()
        read_at, served = self._read_at, self._served  # in this order: the value is never older than its time
        new_enough = read_at > now - self._max_age or (is_read and read_at > now - BUSY_SECONDS)
        return served if new_enough and not served.missing(wanted) else None

    def _refresh(self, wanted: Wanted, asked_at: float) -> None:
        if self._failure and self._failed_at > asked_at:
            raise self._failure  # MongoDB is away: those who waited for the lock share the failure
        began = time.monotonic()
        try:
            self._served = self._read(wanted)
        except PyMongoError as failure:
            self._failure, self._failed_at = failure, time.monotonic()
            raise
        self._failure, self._read_at = None, began

    def _holds(self, wanted: Wanted, since: float) -> bool:
        return self._read_at > since and not self._served.missing(wanted)

    def _read(self, wanted: Wanted) -> Served:
        if not self._indexed:
            ensure_indexes(self._database)
            self._indexed = True
        return at_one_instant(self._database, lambda session: self._read_in(session, wanted))

    def _read_in(self, session: ClientSession, wanted: Wanted) -> Served:
        snapshot = FiguresSnapshot(self._database, session)
        served = snapshot.after(self._served)
        served = bounded(served, wanted)
        lacking = {hour // 24 for hour in served.missing(wanted)}
        served = snapshot.with_days(served, lacking.intersection(wanted.days), wanted.form)
        return snapshot.with_hours(served, served.missing(wanted))


def bounded(
    served: Served, wanted: Wanted, most_hours: int = MAX_HELD_HOURS, most_forms: int = MAX_HELD_FORMS
) -> Served:
    """`served`; if it holds too many hours or stored days, only those that are `wanted`."""
    if len(served.hours) > most_hours:
        others = [hour for hour in served.hours if hour not in wanted.hours and hour // 24 not in wanted.days]
        served = served.with_changed({}, others)  # stored days need no hours
    if len(served.stored) > most_forms:
        kept = {key: stored for key, stored in served.stored.items() if key[0] in wanted.days and key[1] == wanted.form}
        served = replace(served, stored=kept)
    return served
