"""Reads nightly reports for the API and the pages. A revision never changes, so its headline is cached."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any, Final

import structlog

from fleet.errors import NewerLayout, ServiceUnavailable
from serving.report.facts import DayReport, Figure
from serving.report.store import DamagedReport, ReportStore, Revision

KEPT: Final = 400
"""Headlines of a year and more; each is a few hundred bytes."""

_log = structlog.get_logger()


class Shelf:
    """The reports of one lake; none without a lake."""

    def __init__(self, lake: str | None) -> None:
        self._store = ReportStore(lake) if lake else None
        self._row = lru_cache(KEPT)(self._read_row)

    def page(self, before: date | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """(rows, `before` of the next page or None). Raises ServiceUnavailable when the reports cannot be read."""
        try:
            days = [
                revision
                for revision in (self._store.days() if self._store else [])
                if before is None or revision.day < before
            ]
            following = days[limit - 1].day.isoformat() if len(days) > limit else None
            return [row for revision in days[:limit] if (row := self._readable_row(revision))], following
        except (ServiceUnavailable, OSError) as error:
            raise _away(error) from error

    def find(self, day: date, number: int | None = None) -> Revision | None:
        """The newest report of `day`, or its given revision."""
        try:
            newest = self._store.newest(day) if self._store else None
        except (ServiceUnavailable, OSError) as error:
            raise _away(error) from error
        if newest is None or number is None:
            return newest
        return Revision(day, number) if number <= newest.number else None

    def around(self, day: date) -> tuple[date | None, date | None]:
        """The days with a report right before and right after `day`."""
        try:
            days = [revision.day for revision in (self._store.days() if self._store else [])]
        except (ServiceUnavailable, OSError) as error:
            raise _away(error) from error
        earlier, later = ([other for other in days if other < day], [other for other in days if other > day])
        return max(earlier, default=None), min(later, default=None)

    def read(self, revision: Revision, form: str) -> bytes:
        """The bytes of a form of a report that `find` returned."""
        assert self._store is not None  # noqa: S101 - `find` finds nothing without it
        try:
            return self._store.read(revision, form)
        except (ServiceUnavailable, OSError) as error:
            raise _away(error) from error

    def _readable_row(self, revision: Revision) -> dict[str, Any] | None:
        try:
            return self._row(revision)
        except (DamagedReport, NewerLayout) as error:
            _log.error("a report cannot be read", reason=error)
            return None

    def _read_row(self, revision: Revision) -> dict[str, Any]:
        assert self._store is not None  # noqa: S101 - `page` has rows only with it
        return row(revision, self._store.facts(revision))


def row(revision: Revision, report: DayReport) -> dict[str, Any]:
    """A report's row in a list."""
    names = ("reports", "alerts", "peace_score", "battery", "low_drones")
    headline = {name: _figure(getattr(report.headline, name)) for name in names}
    return {
        "day": revision.day.isoformat(),
        "revision": revision.number,
        "state": report.state,
        **headline,
        "incidents": report.incidents_total,
    }


def _figure(figure: Figure) -> dict[str, float | None]:
    return {"value": figure.value, "day_before": figure.day_before}


def _away(error: Exception) -> ServiceUnavailable:
    """The store's error goes to the log, since it may name hosts."""
    _log.warning("the nightly reports cannot be read", error=error)
    return ServiceUnavailable("the nightly reports cannot be read now")
