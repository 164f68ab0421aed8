"""The lock of a day's report: one process at a time builds or publishes it, by a document in MongoDB.

Airflow's pool separates only Airflow's tasks; people and other schedulers run the same commands. Two builders at once
would build the same revision, two publishers would post it twice. All times are MongoDB's, so no two clocks are
compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any, Final
from uuid import uuid4

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from fleet.errors import ServiceUnavailable

Documents = Database[dict[str, Any]]

SECONDS: Final = 180
"""After this the lock of a killed process expires; a report of the mission's size takes a third of it.

Longer than one attempt at Discord and the pause before it: a post renews its lock before each.
"""

LOOK_EVERY: Final = 1.0
"""Seconds between attempts to take the lock of another process."""


class LockLost(ServiceUnavailable):
    """The lock expired before the work ended, and another process has taken it."""


@contextmanager
def held(
    database: Documents, day: date, patience: float = SECONDS + 60, look_every: float = LOOK_EVERY
) -> Iterator[Callable[[], None]]:
    """Holds the lock of the report of `day`. Yields a function that renews it, and raises LockLost.

    Waits for another process to release it; raises ServiceUnavailable when that takes longer than `patience` seconds.
    """
    locks, mine = database.report_turns, {"_id": day.isoformat(), "by": uuid4().hex}

    def renew() -> None:
        if not locks.update_one(mine, _hold(mine)).matched_count:
            raise LockLost(f"another process has taken over the report of {day}")

    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(DuplicateKeyError),
            wait=wait_fixed(look_every),
            stop=stop_after_delay(patience),
            reraise=True,
        ):
            with attempt:
                _take(locks, mine)
    except DuplicateKeyError:
        raise ServiceUnavailable(
            f"another process is building or publishing the report of {day}; try again when it has ended"
        ) from None
    try:
        yield renew
    finally:
        locks.delete_one(mine)


def _take(locks: Any, mine: dict[str, str]) -> None:
    """Takes an expired lock, or the first. Raises DuplicateKeyError while another process holds it: by the insert."""
    over = {"_id": mine["_id"], "$expr": {"$lt": ["$until", "$$NOW"]}}
    if not locks.update_one(over, _hold(mine)).matched_count:
        locks.update_one(mine, _hold(mine), upsert=True)


def _hold(mine: dict[str, str]) -> list[dict[str, Any]]:
    until = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": SECONDS}}
    return [{"$set": {"by": mine["by"], "until": until}}]
