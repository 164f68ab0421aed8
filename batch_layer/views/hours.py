"""A run over hour documents: pin, close the gap of live documents, recompute, replace, mark it complete.

1. Pin a version V of the lake, and work out which hours the commits since the base version have touched.
2. Write the live documents up to V that are missing: a reader's version must not lie before a document's.
3. Recompute the hours from the files of V; replace each document whose stored version is not greater than V.
4. Rebuild the roll-ups of days whose hour documents have changed (infra.mongo.day_roll_ups).
5. Write the run as complete: V is the base version of readers when the run covered all hours touched.
6. Delete the live documents at or below the base of some minutes ago.

After a crash at any step, the next run begins again at 1 and skips the hours that are done. The order of 2 to 5 is what
makes every answer exact at every instant.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import structlog

from batch_layer.engine import Engine
from batch_layer.job import Job, Outcome
from batch_layer.lake import archive
from batch_layer.views import publish, resume
from batch_layer.views.plan import Plan
from batch_layer.views.plan import make as make_plan
from fleet.errors import PeacewatchError, ServiceUnavailable, Unreadable
from fleet.figures.cube import HOURS
from infra.delta import LogGone, Snapshot, pin
from infra.mongo import day_roll_ups, layouts, live, runs
from infra.mongo.client import Documents, errors
from infra.mongo.runs import NO_BASE, Run

_log = structlog.get_logger()


def run(job: Job, wanted: range | None = None, *, rebuild: bool = False, both: bool = False) -> Outcome:
    """Recomputes the hours that need it (batch_layer.views.plan.make says which). Raises PeacewatchErrors only.

    `both`: drone days of the same request come after it (batch_layer.views.resume).
    """
    with errors():
        layouts.claim(job.database)
        plan = make_plan(job.database, pin(job.lake), wanted, rebuild=rebuild)
        if plan.nothing_to_do:
            return Outcome(plan.snapshot.version, 0, 0, plan.kind)
        written = _publish(job, plan, wanted, rebuild=rebuild, both=both)
        live.delete_through(job.database, runs.base_version(job.database, finished_before=job.now() - job.live_kept))
        return Outcome(plan.snapshot.version, len(plan.hours), written, plan.kind)


def close_gap(database: Documents, plan: Plan) -> int:
    """Step 2; the generation to complete in. Where a gap cannot be closed, only a run over everything can continue."""
    if plan.another:
        return _start_over(database, plan, "they are of another lake")
    if plan.base == NO_BASE and database.live.find_one({"_id": 0}, {"_id": 1}) is None:
        return plan.generation  # readers have no version at all until this run is complete
    try:
        live.write_missing(database, plan.snapshot, plan.base)
    except (LogGone, ServiceUnavailable) as error:
        if plan.base == NO_BASE:
            return plan.generation  # readers stay at the version before the gap, and take no newer document
        if isinstance(error, Unreadable) and _is_current(plan.snapshot, error.path):
            raise  # a rebuild needs that file, too, and would drop all figures for nothing
        if not plan.everything:
            raise PeacewatchError(f"{error}; peacewatch aggregate --rebuild starts over") from None
        return _start_over(database, plan, str(error))
    return plan.generation


def _publish(job: Job, plan: Plan, wanted: range | None, *, rebuild: bool, both: bool) -> int:
    """Steps 2 to 5; the number of documents replaced."""
    with runs.at_work(job.database, plan.kind, plan.snapshot, len(plan.hours), job.now) as this:
        generation = close_gap(job.database, plan) if plan.hours or plan.everything else plan.generation
        archive.restore(job.database, plan.snapshot)
        done: set[int] = set()
        if rebuild:
            asked = resume.request("hours", plan.snapshot, wanted, generation, both=both)
            done = resume.done_before(job.database, asked, plan.snapshot)
            runs.note(job.database, this, rebuild=asked, done=sorted(done))
        left = [hour for hour in plan.hours if hour not in done]
        written = _replace_hours(job, plan, left, this) if left else 0
        for day in day_roll_ups.stale_days(job.database):
            day_roll_ups.rebuild(job.database, day)
        runs.complete(job.database, this, job.now(), generation)
    return written


def _replace_hours(job: Job, plan: Plan, left: Sequence[int], this: Run) -> int:
    """The documents replaced. Raises DocumentRefused or Unreadable once all others are written: such a run is no
    base."""
    written, refused, before = 0, publish.Refusals(), len(plan.hours) - len(left)
    with job.engine() as engine:
        for begin in range(0, len(left), job.chunk):
            chunk = left[begin : begin + job.chunk]
            with refused:
                cells, hours = _readable(engine, plan.snapshot, chunk, refused)
                documents = list(publish.hour_documents(HOURS, cells, hours, this))
                written += publish.replace(job.database, "hours", documents)
                runs.note_done(job.database, this, hours)
            job.progress(before + begin + len(chunk), len(plan.hours))
        runs.note(job.database, this, engine=engine.name)
    refused.raise_any()
    return written


def _readable(
    engine: Engine, snapshot: Snapshot, hours: Sequence[int], refused: publish.Refusals
) -> tuple[pa.Table, Sequence[int]]:
    """The cells of those of `hours` whose files can be read, and which these are. Raises Unreadable if none can be
    read, because the store is away.
    """
    try:
        return engine.cells(HOURS, snapshot, hours), hours
    except Unreadable:
        if not snapshot.answers():
            raise
    parts, readable = [], []
    for hour in hours:
        with refused:
            parts.append(engine.cells(HOURS, snapshot, [hour]))
            readable.append(hour)
    return HOURS.merge(parts), readable


def _is_current(snapshot: Snapshot, path: str) -> bool:
    return any(file.path == path for files in snapshot.hours.values() for file in files)


def _start_over(database: Documents, plan: Plan, reason: str) -> int:
    _log.warning("dropping the database's figures and rebuilding them", reason=reason)
    return runs.start_over(database, plan.snapshot.version, plan.snapshot.created_at)
