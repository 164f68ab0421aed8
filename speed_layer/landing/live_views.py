"""MongoDB's live documents: one for each version of the table, with the cells of that commit's own rows.

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
from pymongo.errors import DuplicateKeyError
from structlog import get_logger

from fleet.figures.cube import HOURS
from infra.mongo import runs
from speed_layer.landing.commit import Commit, Lake
from speed_layer.landing.last_states import States

log = get_logger()

Documents = Database[dict[str, Any]]

MOST_WAITING: Final = 200
"""Documents kept in memory while MongoDB is away; older ones are read from the lake again."""

MOST_CELLS: Final = 50_000
"""Cells of one commit: about 8 MB, half of what MongoDB takes as a document."""


@dataclass(frozen=True)
class Position:
    """How far a partition is landed: the hint in the collection `landing`, for status only.

    `landed_through`: all that the broker took before it is landed. `lost`: offsets [first, end) that were never landed.
    """

    next_offset: int
    landed_through: datetime | None
    lost: tuple[int, int] | None = None


class Waiting:
    """What landing has committed and MongoDB does not know yet: put by one thread, taken by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._something = threading.Event()
        self._documents: deque[dict[str, Any]] = deque(maxlen=MOST_WAITING)
        self._positions: dict[str, Position] = {}
        self._states: list[States] = []

    def put(self, live: dict[str, Any], positions: Mapping[str, Position], states: Iterable[States] = ()) -> None:
        with self._lock:
            self._documents.append(live)
            self._positions.update(positions)
            self._states += states
            del self._states[:-MOST_WAITING]
        self._something.set()

    def wait(self, seconds: float) -> None:
        """Until there is something, or `wake` is called, at most `seconds`."""
        self._something.wait(seconds)
        self._something.clear()

    def wake(self) -> None:
        self._something.set()

    def take(self) -> tuple[list[dict[str, Any]], dict[str, Position]]:
        """All of it. What then cannot be written need not come back: a repair writes it."""
        with self._lock:
            documents, positions = list(self._documents), self._positions
            self._documents.clear()
            self._positions = {}
            return documents, positions

    def take_states(self) -> list[States]:
        """The drones' states, in order. Those that are lost on the way are read from the lake again."""
        with self._lock:
            states, self._states = self._states, []
            return states


def document(commit: Commit, cells: pa.Table) -> dict[str, Any]:
    """The live document of a commit."""
    return {"_id": commit.version, "committed_at": commit.committed_at, "cells": HOURS.to_document(cells)}


class LiveViews:
    """Writes them to `database`. Every method raises PyMongoError and may be called again with the same."""

    def __init__(self, database: Documents, lake: Lake) -> None:
        self._database, self._lake = database, lake
        self._unbroken = -1

    def write(self, waiting: Waiting) -> bool:
        """Writes all that waits; whether there was a document."""
        documents, positions = waiting.take()
        for live in documents:
            self._insert(live)
        if positions:
            self._database["landing"].bulk_write([_update(key, at) for key, at in positions.items()])
        return bool(documents)

    def repair(self) -> int:
        """Writes the documents of versions that have none, up to the table's version now; how many.

        Call it again after a pause: a version that is seconds old may be on its way.
        """
        newest, after = self._lake.refresh(), max(self.base(), self._known())
        between = {"_id": {"$gt": after, "$lte": newest}}
        there = {found["_id"] for found in self._database["live"].find(between, {"_id": 1})}
        missing = [version for version in range(after + 1, newest + 1) if version not in there]
        for version in missing:
            commit = self._lake.read_commit(version)
            self._insert(document(commit, HOURS.fold(self._lake.rows_added(commit, HOURS.columns))))
        self._unbroken = newest
        return len(missing)

    def base(self) -> int:
        """The highest complete run's version, at and below which nobody reads live documents; -1 before the first."""
        return runs.base_version(self._database)

    def _known(self) -> int:
        """Up to where this process has seen them all; nothing is known of a database that was emptied since."""
        if self._database["live"].find_one({"_id": self._unbroken}, {"_id": 1}) is None:
            self._unbroken = -1
        return self._unbroken

    def _insert(self, live: dict[str, Any]) -> None:
        try:
            self._database["live"].insert_one(live)
        except DuplicateKeyError:
            return  # another process repaired it, with the same content


def _update(key: str, at: Position) -> UpdateOne:
    changes: dict[str, Any] = {"$set": {"next_offset": at.next_offset}}
    if at.landed_through is not None:
        changes["$set"]["landed_through"] = at.landed_through
    if at.lost is not None:
        changes["$addToSet"] = {"lost": list(at.lost)}
    return UpdateOne({"_id": key}, changes, upsert=True)
