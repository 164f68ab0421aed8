"""Runs of the batch layer, and the base version: the answer that readers start from.

A run of kind `hours` covered every hour touched since the base before it, so its version is a new base when it is
complete. A run of kind `range` covered some hours only: its documents are right (each names its version), but live
documents before its version still count for other hours, so it is never a base. A run of kind `drones` is over drone
days, and has a base of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Required, TypedDict, cast

from pymongo import ASCENDING, DESCENDING
from pymongo.client_session import ClientSession

from fleet.errors import PeacewatchError
from infra.mongo import view_parts
from infra.mongo.client import Documents, build_index
from infra.mongo.collection import Collection

if TYPE_CHECKING:
    from infra.delta import Snapshot

_GENERATION: Final = "generation"
VIEWS: Final = (
    *(
        "hours",
        "day_roll_ups",
        "drone_days",
        "drones_by_day",
        "city_days",
        "place_days",
        "delay_days",
        "copies",
        "sealed",
    ),
)
"""What starting over drops and computes again."""
NO_BASE: Final = -1
"""The base version of a database that no run has completed in."""


Kind = Literal["hours", "range", "drones", "completeness", "alerts"]

_NEWEST: Final = [("version", DESCENDING), ("finished_at", DESCENDING)]


class RunDocument(TypedDict, total=False):
    """A document of `runs`: a run of the batch layer, or, with the id `generation`, how often one has started over."""

    _id: Required[str]
    kind: Kind
    state: Literal["running", "complete", "failed"]
    version: int  # of the lake
    lake_id: str
    hours: int  # event hours or days that it computes
    started_at: datetime
    finished_at: datetime
    reason: str  # why it failed
    engine: str  # what computed, for people: `Spark 4.1.4 with Comet 1.2.0`
    rebuild: object  # of `aggregate --rebuild`: what was asked for, so that the same command may resume it
    done: list[int]  # of such a run: event hours whose documents are written (of a day its first)
    days: list[str]  # of kind `completeness`: those that it has still to look at
    number: int  # of `generation`
    last: str  # of `generation`: the id of the run that completed last


COLLECTION: Final = Collection("runs", 1, RunDocument, "the run, in order of their starts", "aggregate")


@dataclass(frozen=True)
class Run:
    """A run at the pinned `version`. `id` sorts by start."""

    id: str
    kind: Kind
    version: int
    started_at: datetime
    hours: int
    lake_id: str


def base_version(
    database: Documents,
    finished_before: datetime | None = None,
    kind: Kind = "hours",
    session: ClientSession | None = None,
) -> int:
    """The highest version that a complete run of `kind` has covered, else NO_BASE.

    With `finished_before`: the base as it was then.
    """
    found = newest(database, kind, finished_before, session)
    return int(found["version"]) if found else NO_BASE


def newest(
    database: Documents,
    kind: Kind = "hours",
    finished_before: datetime | None = None,
    session: ClientSession | None = None,
) -> RunDocument | None:
    """The complete run of `kind` with the highest version, of those the one that finished last; None before the first.

    That of `hours` is the base of readers' figures. With `finished_before`: the newest as it was then.
    """
    wanted: dict[str, Any] = {"kind": kind, "state": "complete"}
    if finished_before is not None:
        wanted["finished_at"] = {"$lt": finished_before}
    found = database.runs.find_one(wanted, sort=_NEWEST, session=session)
    return cast("RunDocument | None", found)


def ensure_index(database: Documents) -> None:
    """The index that `newest` reads by."""
    build_index(database.runs, ("kind", ASCENDING), ("state", ASCENDING), ("version", DESCENDING))


def lake_id(database: Documents) -> str | None:
    """The id of the table that the complete runs are of; None before the first."""
    known = database.runs.find_one({"kind": {"$in": ["hours", "range", "drones"]}, "state": "complete"}, {"lake_id": 1})
    return str(known["lake_id"]) if known else None


def require_lake(database: Documents, lake: str) -> None:
    """Raises PeacewatchError when the database's figures are of another table than the one with the id `lake`."""
    if lake_id(database) not in {None, lake}:
        raise PeacewatchError("the database's figures are of another lake; peacewatch aggregate --rebuild starts over")


def generation(database: Documents) -> int:
    """How often a run has started over. A run that began in an earlier generation can never complete."""
    database.runs.update_one({"_id": _GENERATION}, {"$setOnInsert": {"number": 0}}, upsert=True)
    found = database.runs.find_one({"_id": _GENERATION})
    return int(found["number"]) if found else 0


def start(database: Documents, run: Run) -> None:
    """Says that `run` is at work. A run that dies stays `running`: readers never look at such."""
    database.runs.replace_one({"_id": run.id}, {**_document(run), "state": "running"}, upsert=True)


@contextmanager
def at_work(database: Documents, kind: Kind, of: Snapshot, many: int, now: Callable[[], datetime]) -> Iterator[Run]:
    """A run over `many` hours or days of the pinned version, from its start; one that raises is written as failed."""
    started = now()
    run_id = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    run = Run(run_id, kind, of.version, started, many, of.lake_id)
    view_parts.ensure_index(database)
    start(database, run)
    try:
        yield run
    except PeacewatchError as error:
        fail(database, run, now(), str(error))
        raise


def complete(database: Documents, run: Run, finished_at: datetime, generation: int) -> None:
    """The step that makes a run of kind `hours` the base of readers.

    Raises PeacewatchError when another run has started over since this one's `generation`.
    """
    done = {**_document(run), "state": "complete", "finished_at": finished_at}

    def commit(session: ClientSession) -> None:
        # The write, not only the look, is what makes a run that starts over at this moment conflict with this one.
        mine = {"_id": _GENERATION, "number": generation}
        if not database.runs.update_one(mine, {"$set": {"last": run.id}}, session=session).matched_count:
            raise PeacewatchError("another run has started over meanwhile; run it again")
        database.runs.update_one({"_id": run.id}, {"$set": done}, upsert=True, session=session)

    with database.client.start_session() as session:
        session.with_transaction(commit)


def complete_with(
    database: Documents,
    run: Run,
    finished_at: datetime,
    changes: Mapping[str, Mapping[str, Any]],
    base: int,
    **more: Any,
) -> None:
    """Applies `changes` (by _id) to `landing_facts` and completes the run, both or neither, and only on its own `base`.

    `more`: fields of the run's document. Raises PeacewatchError if another run has moved the base.
    """
    done = {**_document(run), "_id": run.kind, "state": "complete", "finished_at": finished_at, **more}

    def commit(session: ClientSession) -> None:
        if base_version(database, kind=run.kind, session=session) != base:
            raise PeacewatchError("another run has added up the same commits; run it again")
        for _id, change in changes.items():
            database.landing_facts.update_one({"_id": _id}, dict(change), upsert=True, session=session)
        database.runs.replace_one({"_id": run.kind}, done, upsert=True, session=session)

    with database.client.start_session() as session:
        session.with_transaction(commit)


def start_over(database: Documents, through: int, created_at: datetime) -> int:
    """Back to no base: readers have no figures, rather than wrong ones, until a run is complete. The new generation.

    Live documents stay that are above version `through` and of commits since `created_at`. Sealed days' documents go,
    too: the lake has them (batch_layer.lake.archive).
    """

    def commit(session: ClientSession) -> None:
        database.runs.update_one({"_id": _GENERATION}, {"$inc": {"number": 1}}, session=session)
        views = {"$in": ["hours", "range", "drones"]}
        database.runs.delete_many({"state": "complete", "kind": views}, session=session)
        for view in VIEWS:
            database[view].delete_many({}, session=session)
        database.view_parts.delete_many({"view": {"$in": list(VIEWS)}}, session=session)
        gone = [{"_id": {"$lte": through}}, {"committed_at": {"$lt": created_at}}]
        database.live.delete_many({"$or": gone}, session=session)
        database.live_parts.delete_many({"version": {"$lte": through}}, session=session)

    with database.client.start_session() as session:
        session.with_transaction(commit)
    return generation(database)


def fail(database: Documents, run: Run, finished_at: datetime, reason: str) -> None:
    failed = {**_document(run), "state": "failed", "finished_at": finished_at, "reason": reason}
    database.runs.update_one({"_id": run.id}, {"$set": failed}, upsert=True)


def note(database: Documents, run: Run, **fields: Any) -> None:
    """Sets fields of the run's document while it is at work: `engine`, `rebuild`, `done`."""
    database.runs.update_one({"_id": run.id}, {"$set": fields})


def note_done(database: Documents, run: Run, hours: Sequence[int]) -> None:
    """Adds to `done` of a rebuild, once the documents of `hours` are written."""
    database.runs.update_one({"_id": run.id}, {"$addToSet": {"done": {"$each": list(hours)}}})


def _document(run: Run) -> dict[str, Any]:
    return {
        "_id": run.id,
        "kind": run.kind,
        "version": run.version,
        "started_at": run.started_at,
        "hours": run.hours,
        "lake_id": run.lake_id,
    }
