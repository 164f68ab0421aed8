"""A run over drone days: the days that commits touched, in blocks, and from all blocks the counts of drones by day.

Batch-only: a live document would need a row a drone. Its runs have a base of their own, of kind `drones`, so that the
hours may run every hour and this, which reads whole days, once a day.

1. Pin a version V, and work out which days the commits since the base of this kind have touched.
2. Compute each day's drones; replace each of its blocks whose stored version is not greater than V.
3. Count all days' drones by the next day they were seen; replace the documents in one transaction, unless a block or a
   document is of a newer version (then a newer run is at work, and counts).
4. Write the run as complete.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from bson import Binary

from batch_layer import drone_counts, plan, publish, ranges, runs, sealed
from batch_layer.database import Documents, errors
from batch_layer.hours import Job, Outcome
from batch_layer.runs import Run
from batch_layer.snapshot import Snapshot, pin
from fleet.errors import PeacewatchError

BLOCKS: Final = 64
"""A day of 540,000 drones is 64 documents of 8,400 drones, some 400 KB each; one drone's days are one block a day."""

_LAST: Final = ["drone_id", "last_at", "last_battery", "country"]
"""What counting reads; it lies in a field of its own, so that counting 30 days reads no more."""


def run(job: Job, wanted: range | None = None, *, rebuild: bool = False) -> Outcome:
    """Recomputes the days that need it; with `wanted`, those of the range too. Raises PeacewatchErrors only."""
    with errors():
        pinned = pin(job.lake)
        runs.require_lake(job.database, pinned.lake_id)
        base = runs.base_version(job.database, kind="drones")
        days = sorted(_days(job, pinned, base, wanted, everything=rebuild and wanted is None))
        if not days and pinned.version == base:
            return Outcome(pinned.version, 0, 0, "drones")
        started = job.now()
        run_id = f"{started:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        this = Run(run_id, "drones", pinned.version, started, len(days), pinned.lake_id)
        generation = runs.generation(job.database)
        runs.start(job.database, this)
        try:
            written = _publish(job, pinned, days, this) if days else 0
            runs.complete(job.database, this, job.now(), generation)
        except PeacewatchError as error:
            runs.fail(job.database, this, job.now(), str(error))
            raise
        return Outcome(pinned.version, len(days), written, "drones")


def blocks(day: date, version: int, drones: pa.Table) -> Iterator[dict[str, Any]]:
    """The documents of a day's drones: drone d lies in block `block_of(d)`, every block is there."""
    numbers = pa.array([block_of(drone) for drone in drones["drone_id"].to_pylist()], pa.int32())
    for block in range(BLOCKS):
        part = drones.filter(pc.equal(numbers, block)).combine_chunks()
        yield {
            "_id": f"{day.isoformat()}/{block:02}",
            "day": day.isoformat(),
            "block": block,
            "version": version,
            "drones": part.num_rows,
            "last": pack(part.select(_LAST)),
            "rest": pack(part.select([name for name in part.schema.names if name not in _LAST])),
        }


def block_of(drone_id: str) -> int:
    """The block that a drone lies in: FNV-1a of its id, the same in every process and language."""
    value = 0x811C9DC5
    for byte in drone_id.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value % BLOCKS


def pack(cells: pa.Table) -> Binary:
    """An Arrow IPC stream, zstd; the same bytes for the same cells."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, cells.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_table(cells)
    return Binary(sink.getvalue().to_pybytes())


def unpack(packed: bytes) -> pa.Table:
    with pa.ipc.open_stream(packed) as stream:
        return stream.read_all()


def _days(job: Job, pinned: Snapshot, base: int, wanted: range | None, *, everything: bool) -> set[date]:
    closed = sealed.days(job.database)
    touched = set(pinned.hours) if everything else set(plan.last_touched(pinned, base))
    asked = {hour for hour in pinned.hours if wanted is not None and hour in wanted}
    return {ranges.day_of(hour) for hour in touched | asked} - closed


def _publish(job: Job, pinned: Snapshot, days: list[date], this: Run) -> int:
    written = 0
    with job.engine() as engine:
        for done, day in enumerate(days, start=1):
            for document in blocks(day, this.version, engine.drone_days(pinned, day)):
                written += publish.replace(job.database, "drone_days", [document])
            job.progress(done, len(days))
    _count(job.database, this)
    return written


def _count(database: Documents, this: Run) -> None:
    """Step 3."""
    if database.drone_days.find_one({"version": {"$gt": this.version}}, {"_id": 1}):
        return
    counted = drone_counts.Counts()
    for block in range(BLOCKS):
        found = database.drone_days.find({"block": block}, {"day": 1, "last": 1}).sort("_id")
        counted.add([(document["day"], unpack(document["last"])) for document in found])
    publish.replace_view(database, "drones_by_day", list(counted.documents(this.version)), this.version)
