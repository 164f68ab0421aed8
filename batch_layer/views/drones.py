"""A run over days: the drones of the days that commits touched, in blocks; from all blocks the counts of drones by day;
and the days' other batch-only views (batch_layer.views.day_views).

Batch-only: a live document would need a row a drone. Its runs have a base of their own, of kind `drones`, so that the
hours may run every hour and this, which reads whole days, once a day.

1. Pin a version V, and work out which days the commits since the base of this kind have touched.
2. Compute each day's drones; replace each of its blocks whose stored version is not greater than V.
3. Count all days' drones by the next day they were seen; replace the documents in one transaction, unless a block or a
   document is of a newer version (then a newer run is at work, and counts).
4. Write the run as complete.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batch_layer import ranges
from batch_layer.lake import archive, sealed
from batch_layer.spark.engine import Engine
from batch_layer.views import blocks, day_views, drone_counts, plan, publish
from batch_layer.views.hours import Job, Outcome
from fleet.figures.cube import Cube
from infra.delta import Snapshot, pin
from infra.mongo import runs
from infra.mongo.client import Documents, errors
from infra.mongo.runs import Run


def run(job: Job, wanted: range | None = None, *, rebuild: bool = False) -> Outcome:
    """Recomputes the days that need it; with `wanted`, those of the range too. Raises PeacewatchErrors only."""
    with errors():
        pinned = pin(job.lake)
        runs.require_lake(job.database, pinned.lake_id)
        base = runs.base_version(job.database, kind="drones")
        days = sorted(_days(pinned, base, wanted, everything=rebuild and wanted is None))
        if not days and pinned.version == base:
            return Outcome(pinned.version, 0, 0, "drones")
        generation = runs.generation(job.database)
        with runs.at_work(job.database, "drones", pinned, len(days), job.now) as this:
            archive.restore(job.database, pinned)
            written = _publish(job, pinned, days, this) if days else 0
            if days or base == runs.NO_BASE:
                _count(job.database, this)
            runs.complete(job.database, this, job.now(), generation)
        return Outcome(pinned.version, len(days), written, "drones")


def _days(pinned: Snapshot, base: int, wanted: range | None, *, everything: bool) -> set[date]:
    if wanted is not None:
        sealed.refuse(pinned, wanted)
    touched = set(pinned.hours) if everything else set(plan.last_touched(pinned, base))
    asked = {hour for hour in pinned.hours if wanted is not None and hour in wanted}
    return {ranges.day_of(hour) for hour in touched | asked}


def _publish(job: Job, pinned: Snapshot, days: list[date], this: Run) -> int:
    written = 0
    with job.engine() as engine:
        for done, day in enumerate(days, start=1):
            drones = engine.drone_days(pinned, day)
            for document in blocks.documents(day, this.version, drones):
                written += publish.replace(job.database, "drone_days", [document])
            of_views = engine.cells_of(day_views.VIEWS, pinned, ranges.hours_of_day(day))
            for cube, cells in zip(day_views.VIEWS, of_views, strict=True):
                publish.replace(job.database, cube.name, [_cells(cube, day, this.version, cells)])
            publish.replace(job.database, "copies", [_copies(engine, pinned, day, drones)])
            job.progress(done, len(days))
    return written


def _cells(cube: Cube, day: date, version: int, cells: pa.Table) -> dict[str, Any]:
    return {"_id": day.isoformat(), "version": version, "cells": cube.to_document(cells)}


def _copies(engine: Engine, pinned: Snapshot, day: date, drones: pa.Table) -> dict[str, Any]:
    """Reports that the lake holds twice. Looked for only where a drone reported twice in a minute, as a copy does."""
    suspect = (pc.sum(drones["reports"]).as_py() or 0) > (pc.sum(drones["minutes"]).as_py() or 0)
    return {"_id": day.isoformat(), "version": pinned.version, "copies": engine.copies(pinned, day) if suspect else 0}


def _count(database: Documents, this: Run) -> None:
    """Step 3."""
    if database.drone_days.find_one({"version": {"$gt": this.version}}, {"_id": 1}):
        return
    counted = drone_counts.Counts()
    for block in range(blocks.BLOCKS):
        found = database.drone_days.find({"block": block}, {"day": 1, "last": 1}).sort("_id")
        counted.add([(document["day"], blocks.unpack(document["last"])) for document in found])
    publish.replace_view(database, "drones_by_day", list(counted.documents(this.version)), this.version)
