"""Whether a day is complete, and what its data are worth: a document a UTC day, for the nightly report and the API.

A day is complete when every partition is known to be landed past its end by GRACE, and the views have been computed
since. Landing says in each commit up to which broker time each partition is landed, also an idle one, and what it
dropped and rejected; the sums are kept by day of commit, each commit counted once (a run's end and its sums are one
transaction, which names the days that are to look at: a run that dies before it has leaves them to the next).
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import msgspec

from batch_layer import drone_quality, log, plan, ranges, runs, sealed
from batch_layer.database import Documents, errors
from batch_layer.hours import Job
from batch_layer.runs import Run
from batch_layer.snapshot import Commit, LogGone, Snapshot, pin
from fleet.landed_through import GRACE, behind

THROUGH: Final = "peacewatch.landed_through"
REJECTED: Final = "peacewatch.rejected"
COPIES: Final = "peacewatch.copies"
"""Facts of a commit, each a JSON text: {partition: ms}, {reason: number}, number."""


def run(job: Job) -> int:
    """Brings the documents of all days that may have changed up to date; how many. Raises PeacewatchErrors only."""
    with errors():
        pinned = pin(job.lake)
        _forget_another_lake(job.database, pinned)
        base = runs.base_version(job.database, kind="completeness")
        commits = _commits(pinned, base)
        days = {ranges.day_of(hour) for hour in plan.last_touched(pinned, base)}
        open_days = job.database.completeness.find({"$or": [{"complete": False}, {"waiting": True}]}, {"_id": 1})
        days |= {date.fromisoformat(each["_id"]) for each in open_days}
        days |= left(job.database)
        if commits:
            _add_up(job, pinned, commits, days)
        uncomputed = _uncomputed(job.database, pinned)
        for day in sorted(days):
            document = describe(job, pinned, uncomputed, day)
            job.database.completeness.replace_one({"_id": document["_id"]}, document, upsert=True)
        mine = {"_id": "completeness", "version": max(base, pinned.version)}
        job.database.runs.update_one(mine, {"$unset": {"days": ""}})
        return len(days)


def left(database: Documents) -> set[date]:
    """The days that a run which died had still to look at: their commits are added up, and never seen again."""
    last = database.runs.find_one({"_id": "completeness"}, {"days": 1}) or {}
    return {date.fromisoformat(day) for day in last.get("days", [])}


def describe(job: Job, pinned: Snapshot, uncomputed: Mapping[runs.Kind, Set[int]], day: date) -> dict[str, Any]:
    """The document of `day`; `uncomputed` are the event hours that wait for a run, by its kind."""
    database, name = job.database, day.isoformat()
    old = database.completeness.find_one({"_id": name}) or {}
    received = _received(database, day)
    hours = set(ranges.hours_of_day(day))
    waiting = [f"the {kind} of the day wait for a batch run" for kind, those in uncomputed.items() if hours & those]
    # What comes after the day was complete is counted as late, once it is computed, and makes the day no less complete.
    missing = _not_landed(database, day) + ([] if old.get("first_complete") else waiting)
    first = old.get("first_complete") or (None if missing else {"at": job.now(), "received": received})
    facts = database.landing_facts.find_one({"_id": name}) or {}
    far_copies = (database.copies.find_one({"_id": name}) or {}).get("copies", 0)
    return {
        "_id": name,
        "version": pinned.version,
        "complete": not missing,
        "missing": missing,
        "waiting": bool(waiting),
        "received": received,
        "late": received - first["received"] if first else 0,
        "copies": facts.get("copies", 0) + far_copies,
        "rejected": dict(sorted(facts.get("rejected", {}).items())),
        "first_complete": first,
        **drone_quality.of_day(database, day, job.register),
    }


def _forget_another_lake(database: Documents, pinned: Snapshot) -> None:
    mine = database.runs.find_one({"_id": "completeness"}, {"lake_id": 1})
    if mine is not None and mine["lake_id"] != pinned.lake_id:
        database.landing_facts.delete_many({})
        kept = [day.isoformat() for day in sealed.marked(database)]  # a run that started over has put them back
        database.completeness.delete_many({"_id": {"$nin": kept}})
        database.runs.delete_one({"_id": "completeness"})


def _received(database: Documents, day: date) -> int:
    hours = ranges.hours_of_day(day)
    found = database.hours.find({"event_hour": {"$gte": hours.start, "$lt": hours.stop}}, {"cells.reports": 1})
    return sum(sum(document["cells"]["reports"]) for document in found)


def _not_landed(database: Documents, day: date) -> list[str]:
    until = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + GRACE
    through = (database.landing_facts.find_one({"_id": "through"}) or {}).get("partitions", {})
    return behind(through, until) if through else ["nothing is known of how far reports are landed"]


def _uncomputed(database: Documents, pinned: Snapshot) -> dict[runs.Kind, Set[int]]:
    kinds: tuple[runs.Kind, ...] = ("hours", "drones")
    return {kind: plan.last_touched(pinned, runs.base_version(database, kind=kind)).keys() for kind in kinds}


def _commits(pinned: Snapshot, base: int) -> list[Commit]:
    """The commits to add up; what the log no longer holds is not counted."""
    first = min(base, pinned.version) + 1
    try:
        return list(pinned.commits(first - 1))
    except LogGone:  # millions may be gone: what is there is asked for once, not each
        return [pinned.commit(version) for version in log.versions(pinned) if first <= version <= pinned.version]


def _add_up(job: Job, pinned: Snapshot, commits: Iterable[Commit], days: Iterable[date]) -> None:
    through: dict[str, int] = {}
    copies: Counter[str] = Counter()
    rejected: dict[str, Counter[str]] = defaultdict(Counter)
    for commit in commits:
        day = commit.committed_at.date().isoformat()
        for key, ms in _fact(commit, THROUGH, {}).items():
            through[key] = max(through.get(key, 0), ms)
        copies[day] += _fact(commit, COPIES, 0)
        rejected[day].update(_fact(commit, REJECTED, {}))
    this = Run(uuid.uuid4().hex, "completeness", pinned.version, job.now(), 0, pinned.lake_id)
    changes: dict[str, Mapping[str, Any]] = {
        day: {"$inc": {"copies": copies[day], **{f"rejected.{reason}": many for reason, many in reasons.items()}}}
        for day, reasons in rejected.items()
    }
    if through:
        # A partition's broker time never goes back, and a topic made anew has another id: the newest topic counts.
        known = (job.database.landing_facts.find_one({"_id": "through"}) or {}).get("partitions", {})
        newest = _topic(max({**known, **through}.items(), key=lambda each: each[1])[0])
        later = {f"partitions.{key}": ms for key, ms in through.items() if _topic(key) == newest}
        gone = {f"partitions.{key}": "" for key in known if _topic(key) != newest}
        if change := {name: keys for name, keys in (("$max", later), ("$unset", gone)) if keys}:
            changes["through"] = change
    names = [day.isoformat() for day in sorted(days)]
    runs.complete_with(job.database, this, job.now(), "landing_facts", changes, days=names)


def _topic(key: str) -> str:
    """The topic's id in the key of a partition."""
    return key.rpartition("/")[0]


def _fact(commit: Commit, name: str, default: Any) -> Any:
    value = commit.metadata.get(name)
    return default if value is None else msgspec.json.decode(value) if isinstance(value, str) else value
