"""Raw reports of old days leave the lake; their figures stay. The order of the steps keeps every answer exact.

1. Close: the table's property `peacewatch.sealed_through` is set. A lander that has seen it rejects reports of these
   days; the commit of one that has not is refused by Delta, because the table's metadata has changed. So no later
   version has a new report of these days.
2. Compute what commits before it have touched and no run has computed: hours, drones, completeness.
3. Archive the days' documents in the lake, read in one transaction that sees that no run has started over since.
4. Remove: one commit takes all files of these days out of the table. (Vacuum deletes them later.)
5. Mark the days as sealed in the database, as any later run would.

Killed after any step, the same command continues; until step 4 the days can be computed as before. Against a compaction
at the same time, either step 4 wins (both set the same `txn` entry), or it removes the compaction's files instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import structlog
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError
from pymongo.client_session import ClientSession

from batch_layer.completeness import completeness
from batch_layer.job import Job
from batch_layer.lake import archive, compact, sealed
from batch_layer.ranges import day_of, hours_of_day
from batch_layer.retention import delta_log
from batch_layer.views import drones, hours, plan
from fleet.errors import PeacewatchError, ServiceUnavailable
from fleet.reports.landed import PARTITION_BY
from fleet.reports.sealed import SEALED_THROUGH_KEY, sealed_through
from fleet.text import sentence
from infra.delta import File, Snapshot, of_table, open_table, pin
from infra.mongo import layouts, runs
from infra.mongo.client import Documents, errors
from infra.mongo.runs import Kind

TRIES: Final = 20
"""A compaction at the same time ends within seconds; each lost race is one of those."""

KINDS: Final[Sequence[Kind]] = ("hours", "drones", "completeness")
"""The kinds of runs that make a day's documents."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class SealPlan:
    """`days` with reports in the lake that can be sealed, their `files`, why the next one `waits` ("": none does)."""

    days: tuple[date, ...]
    files: tuple[File, ...]
    waits: str

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def make_plan(database: Documents, snapshot: Snapshot, last: date, quiet_since: datetime | None = None) -> SealPlan:
    """The days up to `last` that are complete, up to the first that is not: sealed days have no gap.

    A day that got reports after `quiet_since` waits, too: a replay of the past may be on its way.
    """
    days: list[date] = []
    waits = ""
    with errors():
        layouts.require(database)
        busy = set() if quiet_since is None else _touched_since(snapshot, quiet_since)
        for day in sealed.with_files(snapshot, last):
            if not _closed(snapshot, day):
                waits = _why_not(database, day) or (f"reports of {day} still come in" if day in busy else "")
            if waits:
                break
            days.append(day)
    files = tuple(file for hour in _hours(days) for file in snapshot.hours.get(hour, ()))
    return SealPlan(tuple(days), files, waits)


def run(job: Job, through: date, failpoint: Callable[[str], None] = lambda _step: None) -> list[date]:
    """Seals all days up to `through`. Returns those whose reports were removed. Raises PeacewatchErrors only."""
    with errors():
        layouts.claim(job.database)
        runs.require_lake(job.database, pin(job.lake).lake_id)
        _close(job.lake, through)  # 1
        failpoint("closed")
        pinned = pin(job.lake)
        days = sealed.with_files(pinned, through)
        bases = covering(job.database, pinned, days)
        if bases is None:  # 2
            hours.run(job)
            drones.run(job)
            completeness.run(job)
            bases = covering(job.database, pinned, days)
        failpoint("computed")
        for day in days:  # 3
            archive.write(pinned, day, _documents(job.database, bases, day))
        failpoint("archived")
        _remove(job.lake, days, failpoint)  # 4
        failpoint("removed")
        archive.restore(job.database, pin(job.lake))  # 5
        return days


def covering(database: Documents, snapshot: Snapshot, days: list[date]) -> Mapping[Kind, int] | None:
    """The bases of KINDS, if no commit after the oldest of them touches the days; None if something is not
    computed yet.

    Later bases cover the days, too: so a look at the bases alone is enough afterwards, and the log is read once.
    """
    bases = {kind: runs.base_version(database, kind=kind) for kind in KINDS}
    oldest = min(bases.values())
    if oldest == runs.NO_BASE or plan.last_touched(snapshot, oldest).keys() & set(_hours(days)):
        return None
    if completeness.left(database) & set(days):
        return None
    return bases


def _touched_since(snapshot: Snapshot, since: datetime) -> set[date]:
    return {day_of(hour) for hour in plan.last_touched(snapshot, delta_log.not_older(snapshot, since))}


def _closed(snapshot: Snapshot, day: date) -> bool:
    return snapshot.sealed_through is not None and day <= snapshot.sealed_through


def _why_not(database: Documents, day: date) -> str:
    document = database.completeness.find_one({"_id": day.isoformat()})
    if document is None:
        return f"{day} has not been looked at; peacewatch aggregate does"
    # Lost reports never come; the day's document keeps saying so.
    settled = document.get("settled", document["complete"])
    return "" if settled else f"{day} is not complete: {document['missing'][0]}"


def _close(lake: str, through: date) -> None:
    def change(table: DeltaTable) -> None:
        already = sealed_through(table.metadata().configuration)
        if already is None or already < through:
            table.alter.set_table_properties({SEALED_THROUGH_KEY: through.isoformat()}, raise_if_not_exists=False)

    _change(lake, change)


def _documents(database: Documents, bases: Mapping[Kind, int] | None, day: date) -> list[dict[str, Any]]:
    def read(session: ClientSession) -> list[dict[str, Any]]:
        now = {kind: runs.base_version(database, kind=kind, session=session) for kind in KINDS}
        if bases is None or any(now[kind] < bases[kind] for kind in KINDS):
            raise PeacewatchError("a rebuild is running; nothing is sealed, run it again")
        return archive.collect(database, day, session)

    with database.client.start_session() as session:
        return session.with_transaction(read)


def _remove(lake: str, days: list[date], failpoint: Callable[[str], None]) -> None:
    def change(table: DeltaTable) -> None:
        there = of_table(table).hours
        files = [file for hour in _hours(days) for file in there.get(hour, ())]
        gone = [*compact.removals(files, PARTITION_BY, data_change=True)]
        failpoint("removing")
        if gone:
            properties = compact.alone(table)
            table.create_write_transaction(
                [*gone], "append", table.schema(), list(PARTITION_BY), commit_properties=properties
            )

    _change(lake, change)


def _change(lake: str, change: Callable[[DeltaTable], None]) -> None:
    """Applies `change` to the newest version, again if another commit was faster. Raises ServiceUnavailable."""
    for _ in range(TRIES):
        try:
            change(open_table(lake))
        except CommitFailedError as error:
            _log.info("another process has changed the same files", reason=sentence(error))
        except (DeltaError, OSError) as error:
            raise ServiceUnavailable(f"the lake cannot be written: {sentence(error)}") from None
        else:
            return
    raise ServiceUnavailable("other processes keep changing the lake; run it again, it continues where it stopped")


def _hours(days: list[date]) -> list[int]:
    return [hour for day in days for hour in hours_of_day(day)]
