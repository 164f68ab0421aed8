"""Whether a day is complete, and the quality of its data: one document a UTC day, for the nightly report and the API.

A day is complete when the watermark of every partition is ALLOWED_LATENESS past its end, the views have been computed
since then, and nothing that may have belonged to it expired before it landed (fleet.reports.losses). It is settled when
nothing more is expected: lost reports never arrive. Each commit of landing has the watermark of each partition, even of
an idle one (batch_layer.lake.commit_facts). A run that dies before it has written all days leaves them to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from pymongo import DESCENDING
from pymongo.client_session import ClientSession

from batch_layer import ranges
from batch_layer.completeness import drone_quality
from batch_layer.job import Job
from batch_layer.lake import commit_facts, losses, sealed
from batch_layer.views import alert_days, plan
from batch_layer.views.folding import OTHER
from fleet.reports.landed import hour_name
from fleet.reports.losses import Loss, messages, of_day, sentence
from fleet.reports.watermark import ALLOWED_LATENESS, behind
from infra.delta import ALERTS, TABLE, Snapshot, pin
from infra.mongo import completeness as stored_days
from infra.mongo import landing_facts, layouts, runs
from infra.mongo import losses as stored_losses
from infra.mongo.client import Documents, errors
from infra.mongo.session import at_one_instant
from infra.mongo.view_parts import whole

_CONFLICT: Final = "conflict"
"""Landing's reason (fleet.reports.report.REASONS) for a report with the identity of another and other content."""


@dataclass(frozen=True)
class Known:
    """What a run knows besides a day's documents: its version, and by kind of run the hours that wait for one."""

    version: int
    uncomputed: Mapping[runs.Kind, Set[int]]


def run(job: Job, failpoint: Callable[[str], None] = lambda _step: None) -> int:
    """Updates the documents of all days that may have changed. Returns how many. Raises PeacewatchErrors only.

    `failpoint` is called when the lake is "pinned", the losses that its commits name are "inserted", all commits are
    "added up", and the losses of each day are "read".
    """
    with errors():
        layouts.claim(job.database)
        pinned = pin(job.lake)
        _forget_another_lake(job.database, pinned)
        base = runs.base_version(job.database, kind="completeness")
        days = {ranges.day_of(hour) for hour in plan.last_touched(pinned, base)} | left(job.database)
        base = commit_facts.restore(job, pinned, base, days)
        failpoint("pinned")
        commit_facts.add_up(job, pinned, base, days, failpoint)
        unaccounted = stored_losses.unaccounted(job.database)
        days |= stored_days.open_days(job.database) | sealed.still_open(pinned, losses.days(job.database, unaccounted))
        failpoint("added up")
        known = Known(pinned.version, _uncomputed(job.database, pinned))
        written = [_write(job, known, day, failpoint) for day in sorted(days)]
        if all(written):
            stored_losses.account(job.database, unaccounted)
        mine = {"_id": "completeness", "version": max(base, pinned.version)}
        job.database.runs.update_one(mine, {"$unset": {"days": ""}})
        return len(days)


def left(database: Documents) -> set[date]:
    """The days that a run which died has not written: their commits are added up, and will not be read again."""
    last = database.runs.find_one({"_id": "completeness"}, {"days": 1}) or {}
    return {date.fromisoformat(day) for day in last.get("days", [])}


def _write(job: Job, known: Known, day: date, failpoint: Callable[[str], None]) -> bool:
    """Replaces the document of `day`. False if there is one of a later version, which may lack a loss known here.

    The losses are read in the same transaction: of two runs at once, none overwrites a loss that it did not see.
    """
    database, name = job.database, day.isoformat()
    worth = drone_quality.of_day(database, day, job.register)

    def commit(session: ClientSession) -> bool:
        old = database.completeness.find_one({"_id": name}, session=session) or {}
        if old.get("version", runs.NO_BASE) > known.version:
            return False
        lost = of_day(database.losses.find({}, session=session).sort("_id"), day)
        failpoint("read")
        document = {**describe(job, known, day, old, lost), **worth}
        database.completeness.replace_one({"_id": name}, document, upsert=True, session=session)
        return True

    with database.client.start_session() as session:
        return session.with_transaction(commit)


def describe(job: Job, known: Known, day: date, old: Mapping[str, Any], lost: Sequence[Loss]) -> dict[str, Any]:
    """The document of `day`, without what is known by drone. `old`: the one that is there; `lost` may be of the day."""
    database, name, received = job.database, day.isoformat(), _received(job.database, day)
    uncomputed = _waits_for_a_run(known, day)
    # Reports that come after the day was settled are late; they do not make the day incomplete again.
    waits = _not_landed(database, day) + ([] if old.get("first_complete") else uncomputed)
    first = old.get("first_complete") or (None if waits else {"at": job.now(), "received": received})
    missing = waits + [sentence(loss) for loss in lost if loss["table"] == TABLE]
    sums = database.landing_facts.find_one({"_id": name}) or {}
    in_lake = database.copies.find_one({"_id": name}) or {}
    rejected = dict(sorted(sums.get("rejected", {}).items()))
    return {
        "_id": name,
        "version": known.version,
        "complete": not missing,
        "settled": not waits,
        "missing": missing,
        "waiting": bool(uncomputed),
        "received": received,
        "late": received - first["received"] if first else 0,
        "lost": messages(lost, TABLE),
        "lost_alerts": messages(lost, ALERTS),
        "losses": [sentence(loss) for loss in lost],
        "copies": sums.get("copies", 0) + in_lake.get("copies", 0),
        "conflicts": rejected.get(_CONFLICT, 0) + in_lake.get("conflicts", 0),
        "rejected": rejected,
        "folded": _folded(database, day),
        "first_complete": first,
    }


def _waits_for_a_run(known: Known, day: date) -> list[str]:
    hours = set(ranges.hours_of_day(day))
    return [f"the {kind} of the day wait for a batch run" for kind, those in known.uncomputed.items() if hours & those]


def _forget_another_lake(database: Documents, pinned: Snapshot) -> None:
    mine = database.runs.find_one({"_id": "completeness"}, {"lake_id": 1})
    if mine is not None and mine["lake_id"] != pinned.lake_id:
        database.landing_facts.delete_many({})
        database.losses.delete_many({"table": TABLE})
        alert_days.forget(database)  # else their losses would count for the new lake's days
        kept = [day.isoformat() for day in sealed.marked(database)]  # a run that started over has put them back
        database.completeness.delete_many({"_id": {"$nin": kept}})
        database.runs.delete_one({"_id": "completeness"})


def _received(database: Documents, day: date) -> int:
    hours = ranges.hours_of_day(day)
    between = {"event_hour": {"$gte": hours.start, "$lt": hours.stop}}

    def read(session: ClientSession) -> int:
        found = database.hours.find(between, {"cells.reports": 1, "version": 1, "parts": 1}, session=session)
        return sum(sum(document["cells"]["reports"]) for document in whole(database, "hours", found, session))

    return at_one_instant(database, read)


def _folded(database: Documents, day: date) -> list[str]:
    """Which of the day's names are counted under one name, in sentences without a full stop."""
    hours = ranges.hours_of_day(day)
    wanted = {"folded": {"$exists": True}, "event_hour": {"$gte": hours.start, "$lt": hours.stop}}
    found = [
        (f"countries of {hour_name(document['event_hour'])}", document["folded"])
        for document in database.hours.find(wanted, {"event_hour": 1, "folded": 1}).sort("_id")
    ]
    cities = database.city_days.find_one({"_id": day.isoformat(), "folded": {"$exists": True}}, {"folded": 1})
    found += [("cities of the day", cities["folded"])] if cities else []
    return [f"{rest['names']:,} {what} with {rest['counted']:,} reports are counted as {OTHER}" for what, rest in found]


def _not_landed(database: Documents, day: date) -> list[str]:
    until = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + ALLOWED_LATENESS
    through = landing_facts.landed_through(database)
    return behind(through, until) if through else ["how far reports have landed is not known"]


def _uncomputed(database: Documents, pinned: Snapshot) -> dict[runs.Kind, Set[int]]:
    """The event hours that were touched since the base, and whose documents do not have it.

    A run that failed at one hour or day, because a file of it is damaged, has written the others. A day of drones is
    whole with its document of `copies`, and counted with the newest one of `drones_by_day`.
    """
    touched = plan.last_touched(pinned, runs.base_version(database))
    waiting: dict[runs.Kind, Set[int]] = {"hours": touched.keys() - plan.up_to_date(database, touched)}
    touched = plan.last_touched(pinned, runs.base_version(database, kind="drones"))
    days = sorted({ranges.day_of(hour).isoformat() for hour in touched})
    whole_at = {each["_id"]: each["version"] for each in database.copies.find({"_id": {"$in": days}}, {"version": 1})}
    newest = database.drones_by_day.find_one({}, {"version": 1}, sort=[("version", DESCENDING)])
    counted_at = int(newest["version"]) if newest else runs.NO_BASE

    def is_done(hour: int, version: int) -> bool:
        at = int(whole_at.get(ranges.day_of(hour).isoformat(), runs.NO_BASE))
        return version <= at <= counted_at

    waiting["drones"] = {hour for hour, version in touched.items() if not is_done(hour, version)}
    return waiting
