"""A run over days: the drones of the days that commits touched, in blocks; from all blocks the counts of drones by day;
and the days' other batch-only views (batch_layer.views.day_views).

Batch-only: a live document would need a row a drone. Its runs have a base of their own, of kind `drones`, so that the
hours may run every hour and this, which reads whole days, once a day.

1. Pin a version V, and work out which days the commits since the base of this kind have touched.
2. Compute each day's drones; replace each of its blocks whose stored version is not greater than V. A day is
   computed of what commits have added since it was stored, where that is known (batch_layer.views.new_files).
3. Count all days' drones by the next day they were seen; replace the documents in one transaction, unless a block or a
   document is of a newer version (then a newer run is at work, and counts).
4. Write the run as complete.

A day with a damaged file, or a document that MongoDB refuses, keeps what was stored of it and holds up no other; the
run fails at its end, and each run until the file is repaired tries that day again.
"""

from __future__ import annotations

from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pymongo.client_session import ClientSession

from batch_layer import ranges
from batch_layer.job import Job, Outcome
from batch_layer.lake import archive, sealed
from batch_layer.views import blocks, day_views, drone_counts, publish, resume
from batch_layer.views.identities import REPEATS
from batch_layer.views.new_files import Days, NewFiles, by_hour
from fleet.errors import Unreadable
from infra.delta import Snapshot, pin
from infra.mongo import layouts, runs, view_parts
from infra.mongo.client import Documents, errors
from infra.mongo.runs import Run
from infra.mongo.session import at_one_instant
from infra.mongo.view_parts import Divided


def run(job: Job, wanted: range | None = None, *, rebuild: bool = False, both: bool = False) -> Outcome:
    """Recomputes the days that need it; with `wanted`, those of the range too. Raises PeacewatchErrors only.

    `both`: hours of the same request came before it (batch_layer.views.resume).
    """
    with errors():
        layouts.claim(job.database)
        pinned = pin(job.lake)
        runs.require_lake(job.database, pinned.lake_id)
        base = runs.base_version(job.database, kind="drones")
        new_files = NewFiles(pinned, base)
        days = sorted(_days(pinned, new_files, wanted, everything=rebuild and wanted is None))
        if not days and pinned.version == base:
            return Outcome(pinned.version, 0, 0, "drones")
        generation = runs.generation(job.database)
        with runs.at_work(job.database, "drones", pinned, len(days), job.now) as this:
            archive.restore(job.database, pinned)
            done: set[int] = set()
            if rebuild:
                asked = resume.request("drones", pinned, wanted, generation, both=both)
                done = resume.done_before(job.database, asked, pinned)
                runs.note(job.database, this, rebuild=asked, done=sorted(done))
            left = [day for day in days if ranges.hours_of_day(day).start not in done]
            asked_for = rebuild or wanted is not None  # perhaps to repair what is stored
            written, refused = _publish(job, pinned, left, this, None if asked_for else new_files)
            if (days or base == runs.NO_BASE) and (written or not len(refused)):  # else nothing is new
                _count(job.database, this)
            refused.raise_any()
            runs.complete(job.database, this, job.now(), generation)
        return Outcome(pinned.version, len(days), written, "drones")


def _days(pinned: Snapshot, new_files: NewFiles, wanted: range | None, *, everything: bool) -> set[date]:
    if wanted is not None:
        sealed.refuse(pinned, wanted)
    touched = set(pinned.hours) if everything else set(new_files.touched)
    asked = {hour for hour in pinned.hours if wanted is not None and hour in wanted}
    return {ranges.day_of(hour) for hour in touched | asked}


def _publish(
    job: Job, pinned: Snapshot, days: list[date], this: Run, new_files: NewFiles | None
) -> tuple[int, publish.Refusals]:
    """Step 2; returns how many blocks were replaced, and what could not be read or written. `new_files`: see Days.

    Raises Unreadable if the store is away.
    """
    written, refused = 0, publish.Refusals()
    if not days:
        return written, refused
    with job.engine() as engine:
        of_days = Days(job.database, engine, pinned, new_files)
        for done, day in enumerate(days, start=1):
            before = len(refused)
            try:  # nothing of a day is published before all its files were read
                drones = of_days.drones(day)
                of_views = of_days.cells(day, day_views.VIEWS)
                repeats = _repeats(of_days, day, drones)
            except Unreadable as error:
                if not pinned.answers():
                    raise
                refused.keep(error)
                continue
            for group in blocks.groups(blocks.documents(day, this.version, drones)):
                with refused:
                    written += publish.replace(job.database, "drone_days", group)
            for cube, cells in zip(day_views.VIEWS, of_views, strict=True):
                document = {"_id": day.isoformat(), "version": this.version}
                with refused:
                    publish.replace(job.database, cube.name, [publish.of_cells(cube, document, cells)])
            if len(refused) == before:
                publish.replace(job.database, "copies", [repeats])  # last: its version says that the day is whole
                runs.note_done(job.database, this, [ranges.hours_of_day(day).start])
            job.progress(done, len(days))
        runs.note(job.database, this, engine=engine.name)
    return written, refused


def _repeats(of_days: Days, day: date, drones: pa.Table) -> Divided:
    """Duplicates and conflicts in the lake, looked for if a drone has more reports than minutes."""
    suspect = _total(drones["reports"]) > _total(drones["minutes"])
    repeats = of_days.repeats(day) if suspect else REPEATS.empty_table()
    counted = {"copies": _total(repeats["duplicates"]), "conflicts": _total(repeats["conflicts"])}
    return Divided(
        {"_id": day.isoformat(), "version": of_days.snapshot.version, **counted, "by_hour": by_hour(repeats)}
    )


def _total(numbers: pa.ChunkedArray) -> int:
    return int(pc.sum(numbers).as_py() or 0)


def _count(database: Documents, this: Run) -> None:
    """Step 3."""
    if database.drone_days.find_one({"version": {"$gt": this.version}}, {"_id": 1}):
        return
    counted = drone_counts.Counts()
    for block in range(blocks.BLOCKS):
        counted.add(at_one_instant(database, partial(_last_of_block, database, block)))
    publish.replace_view(database, "drones_by_day", list(counted.documents(this.version)), this.version)


def _last_of_block(database: Documents, block: int, session: ClientSession) -> list[tuple[str, pa.Table]]:
    """(day, rows of drone_id, last_battery, country) of a block, in the order of days."""
    fields = {"day": 1, "last": 1, "version": 1, "parts": 1}
    return [
        (document["day"], pa.concat_tables(blocks.unpack(part["last"]) for part in parts))
        for document in database.drone_days.find({"block": block}, fields, session=session).sort("_id")
        if (parts := view_parts.contents(database, "drone_days", document, session, ["last"]))
    ]
