"""What MongoDB is to know of landing: a live document for each version (infra.mongo.live), and how far partitions are.

Landing never waits for MongoDB. A document that could not be written is written later, by any lander, from the commit's
files, with the same content: `repair` looks for versions without one.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from pymongo import UpdateOne
from pymongo.database import Database

from fleet.errors import ServiceUnavailable
from infra.delta import Commit, LogGone
from infra.mongo import live, runs
from speed_layer.landing import metrics
from speed_layer.landing.commit import Lake
from speed_layer.landing.last_states import States

Documents = Database[dict[str, Any]]

MAX_PENDING: Final = 200
"""Commits kept in memory while MongoDB is away; older ones are read from the lake again."""

PENDING_BYTES: Final = 64 * 1024 * 1024
"""Of commits' cells, and as much of drones' states, kept in memory while MongoDB is away; older ones are read from the
lake again, too. A commit of invented names has 8 MiB of cells: MAX_PENDING of them would be 1.6 GB."""


@dataclass(frozen=True)
class LandedPosition:
    """How far a partition is landed: the hint in the collection `landing`, for status only.

    `landed_through`: all that the broker took before it is landed. `lost`: offsets [first, end) that were never landed.
    """

    next_offset: int
    landed_through: datetime | None
    lost: tuple[int, int] | None = None


class Pending:
    """What landing has committed and MongoDB does not know yet: put by one thread, taken by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._commits: deque[tuple[Commit, pa.Table]] = deque(maxlen=MAX_PENDING)
        self._positions: dict[str, LandedPosition] = {}
        self._states: list[States] = []

    def put(
        self, commit: Commit, cells: pa.Table, positions: Mapping[str, LandedPosition], states: Iterable[States] = ()
    ) -> None:
        with self._lock:
            self._commits.append((commit, cells))
            self._positions.update(positions)
            self._states += states
            del self._states[:-MAX_PENDING]
            while len(self._states) > 1 and sum(one.table.nbytes for one in self._states) > PENDING_BYTES:
                del self._states[0]
            while len(self._commits) > 1 and sum(each.nbytes for _, each in self._commits) > PENDING_BYTES:
                self._commits.popleft()
        self._something.set()

    def wait(self, seconds: float) -> None:
        """Until there is something, or `wake` is called, at most `seconds`."""
        self._something.wait(seconds)
        self._something.clear()

    def wake(self) -> None:
        self._something.set()

    def take(self) -> tuple[list[tuple[Commit, pa.Table]], dict[str, LandedPosition]]:
        """The commits with their cells, and positions. What cannot be written then, a repair writes."""
        with self._lock:
            commits, positions = list(self._commits), self._positions
            self._commits.clear()
            self._positions = {}
            return commits, positions

    def take_states(self) -> list[States]:
        """The drones' states, in order. Those that are lost on the way are read from the lake again."""
        with self._lock:
            states, self._states = self._states, []
            return states


class LiveViews:
    """Writes them to `database`. Every method raises PyMongoError and may be called again with the same."""

    def __init__(self, database: Documents, lake: Lake) -> None:
        self._database, self._lake = database, lake
        self._unbroken = -1

    def write(self, pending: Pending) -> bool:
        """Writes all that is pending; whether there was a commit."""
        commits, positions = pending.take()
        for commit, cells in commits:
            if not live.insert(self._database, commit.version, commit.committed_at, cells):
                metrics.REFUSED.labels("live").inc()
        if positions:
            self._database["landing"].bulk_write([_update(key, at) for key, at in positions.items()])
        return bool(commits)

    def repair(self) -> int:
        """Writes the documents of versions that have none, up to the table's version now; returns how many.

        Call it again after a pause: a version that is seconds old may still get its document. Raises ServiceUnavailable
        if the lake no longer knows what a version added; a batch run closes such a gap.
        """
        base = runs.base_version(self._database)
        metrics.BATCH_VERSION.set(base)
        newest, after = self._lake.refresh(), max(base, self._known())
        written = 0
        if live.missing(self._database, after, newest):
            try:
                written = live.write_missing(self._database, self._lake.snapshot(), after)
            except LogGone as error:
                raise ServiceUnavailable(str(error)) from None
        self._unbroken = newest
        return written

    def _known(self) -> int:
        """Up to where this process has seen them all; nothing is known of a database that was emptied since."""
        if self._database["live"].find_one({"_id": self._unbroken}, {"_id": 1}) is None:
            self._unbroken = -1
        return self._unbroken


def _update(key: str, at: LandedPosition) -> UpdateOne:
    changes: dict[str, Any] = {"$set": {"next_offset": at.next_offset}}
    if at.landed_through is not None:
        changes["$set"]["landed_through"] = at.landed_through
    if at.lost is not None:
        changes["$addToSet"] = {"lost": list(at.lost)}
    return UpdateOne({"_id": key}, changes, upsert=True)
