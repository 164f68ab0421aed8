"""Messages that expired on their topic before they were landed, and the days that they may have belonged to.

Their content is unknown. The broker received them after the last message that was landed before the gap, and before the
first one after it. A loss is a document of the collection `losses`, and is never deleted: `table` (`reports` or
`alerts`), `topic_id`, `partition` and offsets `first` to `next` (all None: the whole topic was created again),
`messages` (at most this many; None: unknown), `after` (None: nothing was landed before) and `before`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from fleet.reports.watermark import ALLOWED_LATENESS

LOST: Final = "peacewatch.lost"
LOST_BEFORE: Final = "peacewatch.lost_before"
"""Facts of a commit, by topic id and partition: offsets [first, next], and the broker's time in ms they lay before."""

Loss = Mapping[str, Any]


def may_be_of(loss: Loss, start: datetime, end: datetime) -> bool:
    """Whether lost messages may have belonged to the time from `start` to `end` and arrived in time: at most
    ALLOWED_LATENESS after the end. A drone's clock may be that far ahead of the broker's.
    """
    after: datetime | None = loss["after"]
    before: datetime = loss["before"]
    return (after is None or after < end + ALLOWED_LATENESS) and before >= start - ALLOWED_LATENESS


def of_day(losses: Iterable[Loss], day: date) -> list[Loss]:
    """The losses that may have belonged to a UTC day."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return [loss for loss in losses if may_be_of(loss, start, start + timedelta(days=1))]


def days_of(loss: Loss) -> Iterator[date]:
    """The UTC days that a loss may belong to, in order; only the last one if its beginning is unknown."""
    last = (loss["before"] + ALLOWED_LATENESS).date()
    day = last if loss["after"] is None else (loss["after"] - ALLOWED_LATENESS).date()
    while day <= last:
        if of_day([loss], day):
            yield day
        day += timedelta(days=1)


def messages(losses: Iterable[Loss], table: str) -> int | None:
    """How many messages of `table` at most; None if one loss has no number."""
    numbers = [loss["messages"] for loss in losses if loss["table"] == table]
    return None if None in numbers else sum(numbers)


def sentence(loss: Loss) -> str:
    """What was lost, and when, in one sentence without a full stop."""
    after = f"between {_minute(loss['after'])} and" if loss["after"] else "before"
    time = f"{after} {_minute(loss['before'])} UTC"
    if loss["partition"] is None:
        return f"the topic of {loss['table']} was created again {time}: an unknown number had not landed and is lost"
    count, place = loss["messages"], f"of partition {loss['partition']}"
    if count == 1:
        return f"one of the {loss['table']} {place} expired before it landed; the broker received it {time}"
    return f"up to {count:,} {loss['table']} {place} expired before they landed; the broker received them {time}"


def _minute(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
