"""A run over days of alerts: alerts by kind, and the incidents that began, from the lake's table `alerts`.

Batch-only: live readers have each alert itself (the collection `alerts`), so there is no merge of two to prove. Small
enough for pyarrow: a storm's day of 7.8 million alerts is folded in seconds, so no Spark is started for them.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from batch_layer.job import Job, Outcome
from batch_layer.lake import losses
from batch_layer.ranges import day_of
from batch_layer.views import plan, publish
from fleet.alerts.landed_alert import SCHEMA
from fleet.figures.views import ALERTS
from fleet.reports.watermark import newest_topic
from infra.delta import ALERTS as TABLE
from infra.delta import NothingLanded, Snapshot, pin
from infra.mongo import landing_facts, layouts, runs
from infra.mongo import losses as stored_losses
from infra.mongo.client import Documents, errors
from infra.mongo.view_parts import Divided

_COMPLETE: Final = {"kind": "alerts", "state": "complete"}


def run(job: Job, wanted: range | None = None, *, rebuild: bool = False) -> Outcome:
    """Recomputes the days that commits touched since the last run; with `wanted`, those of the range too.

    Raises PeacewatchErrors only.
    """
    with errors():
        layouts.claim(job.database)
        try:
            pinned = pin(job.lake, table=TABLE, schema=SCHEMA)
        except NothingLanded:
            return Outcome(runs.NO_BASE, 0, 0, "alerts")
        base = _base(job.database, pinned)
        everything = rebuild and wanted is None
        touched = set(pinned.hours) if everything else set(plan.last_touched(pinned, base))
        asked = {hour for hour in pinned.hours if wanted is not None and _overlaps(hour, wanted)}
        days = sorted({day_of(hour) for hour in touched | asked})
        if not days and pinned.version == base:
            return Outcome(pinned.version, 0, 0, "alerts")
        generation = runs.generation(job.database)
        with runs.at_work(job.database, "alerts", pinned, len(days), job.now) as this:
            _write_losses(job.database, pinned, base)
            written = publish.replace(job.database, ALERTS.name, [_document(pinned, day) for day in days])
            runs.complete(job.database, this, job.now(), generation)
        return Outcome(pinned.version, len(days), written, "alerts")


def forget(database: Documents) -> None:
    """Call for another lake: the next run computes everything again."""
    database.runs.delete_many(_COMPLETE)
    database[ALERTS.name].delete_many({})
    database.view_parts.delete_many({"view": ALERTS.name})
    database.losses.delete_many({"table": TABLE})
    database.landing_facts.delete_one({"_id": landing_facts.ALERTS})


def _write_losses(database: Documents, pinned: Snapshot, base: int) -> None:
    """The losses that commits since the last run record. How far partitions had landed before is written last, so that
    a repeated run gives the same.
    """
    known = landing_facts.landed_through(database, landing_facts.ALERTS)
    since = stored_losses.recreated_topics(database, TABLE)
    stored_losses.insert(database, losses.found(pinned.commits_left(base), known, TABLE, since))
    database.landing_facts.replace_one({"_id": landing_facts.ALERTS}, {"partitions": newest_topic(known)}, upsert=True)


def _base(database: Documents, pinned: Snapshot) -> int:
    """The version of the last complete run; deletes the documents of another table."""
    if database.runs.find_one({**_COMPLETE, "lake_id": {"$ne": pinned.lake_id}}, {"_id": 1}):
        forget(database)
    return runs.base_version(database, kind="alerts")


def _document(pinned: Snapshot, day: date) -> Divided:
    files = [file.path for hour, each in pinned.hours.items() if day_of(hour) == day for file in each]
    cells = ALERTS.fold(pinned.rows(files, ALERTS.columns))
    return publish.of_cells(ALERTS, {"_id": day.isoformat(), "version": pinned.version}, cells)


def _overlaps(first_hour: int, wanted: range) -> bool:
    return first_hour < wanted.stop and wanted.start < first_hour + 24
