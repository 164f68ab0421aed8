"""`--from` and `--to`: UTC dates or whole hours, both inclusive."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

from fleet.errors import BadInput

FORMS: Final = "2026-11-24 or 2026-11-24T08"
_FORM: Final = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2})?", re.ASCII)


def hours(first: str | None, last: str | None) -> range | None:
    """The event hours from `first` to `last`; None if neither is given. One alone is the whole range.

    Raises BadInput that names the option and the reason.
    """
    if first is None and last is None:
        return None
    begin = _hours_of("--from" if first is not None else "--to", first if first is not None else str(last))
    end = _hours_of("--to" if last is not None else "--from", last if last is not None else str(first))
    if end.stop <= begin.start:
        raise BadInput("--to", f"{last} lies before --from {first}")
    return range(begin.start, end.stop)


def day_of(event_hour: int) -> date:
    """The UTC day of an event hour."""
    return datetime.fromtimestamp(event_hour * 3600, UTC).date()


def hours_of_day(day: date) -> range:
    """The 24 event hours of a UTC day."""
    first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 3600
    return range(first, first + 24)


def _hours_of(option: str, text: str) -> range:
    form = _FORM.fullmatch(text)
    try:
        if form is not None and form[1] is not None:
            hour = int(datetime.strptime(text, "%Y-%m-%dT%H").replace(tzinfo=UTC).timestamp()) // 3600
            found = range(hour, hour + 1)
        else:
            found = hours_of_day(date.fromisoformat(text if form else ""))
    except ValueError:
        raise BadInput(option, f"{text!r} is not a UTC date or whole hour ({FORMS})") from None
    if found.start < 0:
        raise BadInput(option, f"{text} lies before 1970, when nothing flew")
    return found
