"""A killed rebuild resumes when the same command is given: what it has written is not computed again.

A run of `--rebuild` records in its own document what it must do, and each hour or day once its documents are
written. What is done stays right at later versions of the lake as long as no commit has touched it since. A command
that rebuilds hours and then drone days resumes as one: after a crash in the second part, its hours are done.
"""

from __future__ import annotations

from typing import Any, Literal

import structlog
from pymongo import DESCENDING

from batch_layer.ranges import day_of, hours_of_day
from batch_layer.views import plan
from infra.delta import Snapshot
from infra.mongo.client import Documents

_log = structlog.get_logger()

Views = Literal["hours", "drones"]


def request(views: Views, snapshot: Snapshot, wanted: range | None, generation: int, *, both: bool) -> dict[str, Any]:
    """What a rebuild is asked for. Two that are equal may share their work. `both`: of hours and then of drone days."""
    return {
        "views": views,
        "both": both,
        "first": wanted.start if wanted is not None else None,
        "stop": wanted.stop if wanted is not None else None,
        "lake_id": snapshot.lake_id,
        "generation": generation,
    }


def done_before(database: Documents, asked: dict[str, Any], snapshot: Snapshot) -> set[int]:
    """What the last run of this request has done and no commit has touched since, if its command did not complete."""
    last = _last(database, asked)
    if last is None or not last.get("done"):
        return set()
    if last["state"] == "complete" and not (asked["both"] and _lacks_drone_days(database, asked, last)):
        return set()
    touched = set(plan.last_touched(snapshot, last["version"]))
    if asked["views"] == "drones":  # a day is noted by its first hour, and touched by any of its hours
        touched = {hours_of_day(day_of(hour)).start for hour in touched}
    done = set(last["done"]) - touched
    _log.info("resuming a rebuild", run=last["_id"], done=len(done))
    return done


def _lacks_drone_days(database: Documents, asked: dict[str, Any], run: dict[str, Any]) -> bool:
    """Whether the command of `run`, complete and of hours, did not complete the drone days."""
    after = _last(database, {**asked, "views": "drones"})
    return after is None or after["started_at"] < run["started_at"] or after["state"] != "complete"


def _last(database: Documents, asked: dict[str, Any]) -> dict[str, Any] | None:
    return database.runs.find_one({"rebuild": asked}, sort=[("started_at", DESCENDING), ("_id", DESCENDING)])
