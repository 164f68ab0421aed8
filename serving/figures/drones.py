"""The last state of every drone, kept in memory, and selections of it.

Blocks come from landing within seconds (`drone_blocks`). Without them, the last days of the batch view
`drone_days` are used: the same drones, as of the last batch run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import PyMongoError

from fleet.figures import last_seen
from fleet.reports.fields import LOW_MILLIPERCENT
from fleet.reports.landed import BATTERY_BITS, unpack_last_state
from infra.mongo import view_parts
from infra.mongo.packed import unpack
from infra.mongo.session import at_one_instant

MAX_AGE: Final = 2.0
"""Seconds; landing writes blocks less often."""

BUSY_SECONDS: Final = 5.0
"""How stale an answer may be while a refresh runs, in seconds: a large fleet takes a second to merge."""

DAYS_OF_BATCH: Final = 2
MERCATOR_LIMIT: Final = 85.05
"""Degrees of latitude; the square of Web Mercator ends here."""


@dataclass(frozen=True)
class Fleet:
    """All drones: `rows` in fleet.figures.last_seen.SCHEMA.

    `as_of` is the newest report's time; None: there is no drone.
    """

    rows: pa.Table
    as_of: datetime | None

    @cached_property
    def times(self) -> Any:
        """When each drone last reported, in ms since 1970."""
        return self.rows["last_state"].to_numpy() >> BATTERY_BITS

    @cached_property
    def low(self) -> Any:
        """Whether each drone is below the battery threshold."""
        return self.rows["last_state"].to_numpy() & ((1 << BATTERY_BITS) - 1) < LOW_MILLIPERCENT

    @cached_property
    def places(self) -> Any:
        """Longitude and latitude in degrees: two rows, a column a drone."""
        return np.stack([self.rows["longitude"].to_numpy(), self.rows["latitude"].to_numpy()])

    @cached_property
    def mercator(self) -> Any:
        """x and y in Web Mercator, both 0 to 1 over the whole map: two rows, a column a drone."""
        longitude, latitude = self.places
        bounded = np.radians(np.clip(latitude, -MERCATOR_LIMIT, MERCATOR_LIMIT))
        return np.stack([(longitude + 180) / 360, (1 - np.arcsinh(np.tan(bounded)) / np.pi) / 2])

    def where(self, mask: Any) -> Fleet:
        """The rows where `mask` (numpy or Arrow, a bool a row) is true."""
        return Fleet(self.rows.filter(pa.array(np.asarray(mask, dtype=bool))), self.as_of)

    def one(self, drone_id: str) -> dict[str, Any] | None:
        """The row of a drone as the API shows it."""
        at = pc.index(self.rows["drone_id"], drone_id).as_py()
        return None if at < 0 else shown(self.rows.slice(at, 1))[0]


def shown(rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as the API shows them."""
    states = []
    for row in rows.to_pylist():
        at, millipercent = unpack_last_state(row.pop("last_state"))
        row["reported_at"] = datetime.fromtimestamp(at / 1000, UTC)
        row["battery"] = millipercent / 1000
        row["low"] = millipercent < LOW_MILLIPERCENT
        row["worst_score"] = row["worst_score"] or None
        states.append(row)
    return states


class Drones:
    """The fleet, for many threads: one of them reads, and only blocks that changed."""

    def __init__(self, database: Database[dict[str, Any]], max_age: float = MAX_AGE) -> None:
        """`max_age`: seconds after which MongoDB is read again."""
        self._database, self._max_age = database, max_age
        self._fleet = Fleet(last_seen.SCHEMA.empty_table(), None)
        self._seen: dict[Any, Any] = {}  # block -> what it was when it was read
        self._read_at = float("-inf")
        self._failure: PyMongoError | None = None
        self._failed_at = float("-inf")
        self._lock = threading.Lock()

    def fleet(self) -> Fleet:
        """Raises pymongo.errors.PyMongoError when MongoDB does not answer."""
        asked_at = time.monotonic()
        if not self._lock.acquire(blocking=asked_at - self._read_at > self._max_age + BUSY_SECONDS):
            return self._fleet
        try:
            if time.monotonic() - self._read_at >= self._max_age:
                self._try(asked_at)
            return self._fleet
        finally:
            self._lock.release()

    def _try(self, asked_at: float) -> None:
        if self._failure and self._failed_at > asked_at:
            raise self._failure  # MongoDB is away: those who waited for the lock share the failure
        seen = dict(self._seen)
        try:
            self._refresh()
        except PyMongoError as failure:
            self._seen = seen  # the changed blocks have not been read
            self._failure, self._failed_at = failure, time.monotonic()
            raise
        self._failure, self._read_at = None, time.monotonic()

    def _refresh(self) -> None:
        parts = self._blocks() or ([] if self._has_blocks() else self._days())
        if not parts:
            return
        rows = last_seen.merge([self._fleet.rows, *parts])
        newest = int(rows["last_state"].to_numpy().max()) if rows.num_rows else None
        at = None if newest is None else datetime.fromtimestamp(unpack_last_state(newest)[0] / 1000, UTC)
        self._fleet = Fleet(rows, at)

    def _has_blocks(self) -> bool:
        return any(str(key).startswith("block ") for key in self._seen)

    def _blocks(self) -> list[pa.Table]:
        known = self._database.drone_blocks.find({}, {"written_at": True})
        changed = self._changed((f"block {each['_id']}", each["_id"], each.get("written_at")) for each in known)
        documents = self._database.drone_blocks.find({"_id": {"$in": changed}}) if changed else ()
        return [unpack(document["block"]) for document in documents]

    def _days(self) -> list[pa.Table]:
        days = sorted(self._database.drone_days.distinct("day"))[-DAYS_OF_BATCH:]
        known = self._database.drone_days.find({"day": {"$in": days}}, {"version": True})
        changed = self._changed((f"day {each['_id']}", each["_id"], each["version"]) for each in known)
        return at_one_instant(self._database, partial(self._of_days, changed)) if changed else []

    def _of_days(self, blocks: Sequence[str], session: ClientSession) -> list[pa.Table]:
        documents = self._database.drone_days.find({"_id": {"$in": list(blocks)}}, session=session)
        every = (view_parts.contents(self._database, "drone_days", document, session) for document in documents)
        return [_of_day(part) for parts in every for part in parts]

    def _changed(self, known: Iterable[tuple[str, Any, Any]]) -> Sequence[Any]:
        """The ids of documents that have changed since they were read; remembers their new state."""
        changed = []
        for key, identifier, state in known:
            if self._seen.get(key, self) != state:
                self._seen[key] = state
                changed.append(identifier)
        return changed


def _of_day(document: Mapping[str, Any]) -> pa.Table:
    """The last states of a block, or of a part of one, of `drone_days` (batch_layer/views/drone_days.py)."""
    last, rest = unpack(document["last"]), unpack(document["rest"])
    states = (last["last_at"].to_numpy() << BATTERY_BITS) | last["last_battery"].to_numpy()
    count = last.num_rows
    columns = {
        "drone_id": last["drone_id"],
        "last_state": pa.array(states, pa.int64()),
        "latitude": rest["last_latitude"],
        "longitude": rest["last_longitude"],
        "country": last["country"],
        "city": rest["city"],
        "worst_score": pa.array(np.zeros(count), pa.int32()),
        "alert": pa.array(np.zeros(count, bool)),
    }
    return pa.table(columns, schema=last_seen.SCHEMA)
