"""A consistent reading of MongoDB: the base, the live documents after it and the hour documents, at one instant.

Collections `runs`, `live` and `hours`; the contract is docs/decisions/0005-hour-documents-make-the-merge-exact.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pymongo import ASCENDING, DESCENDING
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fleet.figures.cube import HOURS
from fleet.figures.day_form import DayForm
from infra.mongo import day_roll_ups, hours, layouts, live, runs, view_parts
from serving.figures.days import StoredForm
from serving.figures.ranges import MAX_DAYS
from serving.figures.served import DayAndForm, Served

Document = dict[str, Any]
Parts = dict[int, pa.Table]
"""Cells by event hour."""

Stored = tuple[int, pa.Table]
"""The version of an hour document, and its cells."""

READ_AT_ONCE: Final = 24
"""Hour documents read at once: with 200 countries some 300 KB each, and three times that in Python."""


class LiveVersion(NamedTuple):
    """A version of the lake that has a live document."""

    version: int
    as_of: datetime


def ensure_indexes(database: Database[Document]) -> None:
    """Creates the indexes that reading needs, if they are missing."""
    hours.ensure_indexes(database)
    day_roll_ups.ensure_indexes(database)
    runs.ensure_index(database)


class FiguresSnapshot:
    """Reads within the snapshot `session`, each live document once."""

    def __init__(self, database: Database[Document], session: ClientSession) -> None:
        self._database = database
        self._session = session
        self._parts: dict[int, Parts] = {}
        layouts.require(database, session)
        run = runs.newest(database, session=session)
        self._base: int = run["version"] if run else runs.NO_BASE
        self._started_at = run.get("started_at") if run else None

    def after(self, held: Served) -> Served:
        """`held` brought to this snapshot: the same hours at the newest T. Starts over if T cannot be continued."""
        commits = self._live_after(held.version)
        reached = commits[-1].version if commits else held.version
        if reached < self._base or self._base < held.base or not self._has(held):
            return self._afresh()
        if self._base > held.base:
            held = self._at_new_base(held)
        return self._grown(held, commits)

    def with_days(self, served: Served, days: Iterable[int], form: DayForm) -> Served:
        """`served` with the stored roll-ups of `days` (since 1970) in one form, too. It must be of this snapshot."""
        stored: dict[DayAndForm, StoredForm] = {}
        for day, versions, cells in day_roll_ups.of_days(self._database, days, form, self._session):
            if max(versions.values(), default=-1) > served.version:
                continue  # as of a newer hour document (_hours_of)
            tails = {
                hour: [version for version in served.touched[hour] if version > versions.get(hour, -1)]
                for hour in range(day * 24, day * 24 + 24)
                if hour in served.touched
            }
            self._load(version for tail in tails.values() for version in tail)
            later = [self._parts[version][hour] for hour, tail in tails.items() for version in tail]
            stored[day, form] = StoredForm(form, cells, HOURS.merge(later) if later else None)
        return replace(served, stored={**served.stored, **stored}) if stored else served

    def with_hours(self, served: Served, missing: Sequence[int]) -> Served:
        """`served` with the event hours `missing` held, too. It must be of this snapshot."""
        if not missing:
            return served
        documents = self._hours_of(set(missing), served.version)
        tails = {hour: self._tail(served, hour, documents.get(hour)) for hour in missing}
        self._load(version for tail in tails.values() for version in tail)
        changed = {}
        for hour in missing:
            parts = [documents[hour][1]] if hour in documents else []
            parts += [self._parts[version][hour] for version in tails[hour]]
            changed[hour] = parts[0] if len(parts) == 1 else HOURS.merge(parts)
        return served.with_changed(changed)

    def _hours_of(self, wanted: set[int], newest: int) -> dict[int, Stored]:
        """The hour documents of `wanted`, a few at a time: as Python numbers a month of them takes hundreds of MB. One
        that is newer than T is left out; that happens only without a base, where live documents have a gap.
        """
        between = {"event_hour": {"$gte": min(wanted), "$lte": max(wanted)}}
        stored = self._database.hours.find(between, session=self._session, batch_size=READ_AT_ONCE)
        those = (document for document in stored if document["event_hour"] in wanted and document["version"] <= newest)
        return {
            document["event_hour"]: (document["version"], HOURS.from_document(document["cells"]))
            for document in view_parts.whole(self._database, "hours", those, self._session)
        }

    @staticmethod
    def _tail(served: Served, hour: int, stored: Stored | None) -> list[int]:
        after = stored[0] if stored else -1
        return [version for version in served.touched.get(hour, ()) if version > after]

    def _afresh(self) -> Served:
        served = Served(version=self._base, base=self._base, as_of=self._time_of_base())
        return self._grown(replace(served, **self._bounds()), self._live_after(self._base))

    def _at_new_base(self, held: Served) -> Served:
        """Drops the hours that the base's run computed, and the live versions that the base covers."""
        computed = self._database.hours.find(
            {"version": {"$gt": held.base}}, {"_id": False, "event_hour": True}, session=self._session
        )
        touched = {
            hour: later
            for hour, versions in held.touched.items()
            if (later := tuple(version for version in versions if version > self._base))
        }
        held = replace(held, base=self._base, touched=touched, **self._bounds())
        return held.without(document["event_hour"] for document in computed)

    def _grown(self, served: Served, commits: Sequence[LiveVersion]) -> Served:
        """`served` and the `commits` right after it."""
        if not commits:
            return served
        new: dict[int, list[pa.Table]] = defaultdict(list)
        touched: dict[int, tuple[int, ...]] = dict(served.touched)
        for version, _ in commits:
            for hour, cells in self._parts[version].items():
                new[hour].append(cells)
                if version > self._base:  # a live document that the base covers may be deleted before the hour is read
                    touched[hour] = (*touched.get(hour, ()), version)
        served = replace(served, **commits[-1]._asdict(), touched=touched)
        hours = [hour for hour in (served.first_hour, served.last_hour, *new) if hour is not None]
        if hours:
            first, last = min(hours), max(hours)
            near = [hour for hour in (served.recent_hour, *new) if hour is not None and hour > last - MAX_DAYS * 24]
            served = replace(served, first_hour=first, last_hour=last, recent_hour=min(near, default=last))
        by_day: dict[int, list[pa.Table]] = defaultdict(list)
        for hour, parts in new.items():
            by_day[hour // 24] += parts
        stored = {
            key: form.with_later(HOURS.merge(by_day[key[0]])) if key[0] in by_day else form
            for key, form in served.stored.items()
        }
        return replace(served, stored=stored).with_changed(
            {hour: HOURS.merge([served.hours[hour], *parts]) for hour, parts in new.items() if hour in served.hours}
        )

    def _live_after(self, version: int) -> list[LiveVersion]:
        """The unbroken run of live documents right after `version`; their cells are in `_parts`."""
        commits: list[LiveVersion] = []
        for document in self._live({"$gt": version}):
            if document["_id"] != version + len(commits) + 1:
                break
            self._split(document)
            commits.append(LiveVersion(document["_id"], document["committed_at"]))
        return commits

    def _load(self, versions: Iterable[int]) -> None:
        wanted = sorted(set(versions) - self._parts.keys())
        for document in self._live({"$in": wanted}) if wanted else ():
            self._split(document)

    def _live(self, versions: Mapping[str, Any]) -> Iterable[Document]:
        return self._database.live.find({"_id": versions}, session=self._session, batch_size=READ_AT_ONCE).sort("_id")

    def _split(self, document: Document) -> Parts:
        """The cells of a live document by event hour."""
        cells = live.cells_of(self._database, document, self._session)
        hours = pc.unique(cells["event_hour"]).to_pylist()
        parts = {hour: cells.filter(pc.equal(cells["event_hour"], hour)) for hour in hours} if hours[1:] else {}
        self._parts[document["_id"]] = parts or dict.fromkeys(hours, cells)
        return self._parts[document["_id"]]

    def _has(self, held: Served) -> bool:
        """Whether `held` was read from this database: the live document of its T is still there, unchanged."""
        if held.version <= self._base:
            return True  # the document may be deleted by now, but the base has not gone back
        document = self._database.live.find_one({"_id": held.version}, {"committed_at": True}, session=self._session)
        return document is not None and document["committed_at"] == held.as_of

    def _time_of_base(self) -> datetime | None:
        document = self._database.live.find_one({"_id": self._base}, {"committed_at": True}, session=self._session)
        time: datetime | None = document["committed_at"] if document else self._started_at
        return time

    def _bounds(self) -> Mapping[str, Any]:
        last = self._end({}, DESCENDING)
        if last is None:
            return dict.fromkeys(("first_hour", "last_hour", "recent_hour"))
        recent = self._end({"event_hour": {"$gt": last - MAX_DAYS * 24}}, ASCENDING)
        return {"first_hour": self._end({}, ASCENDING), "last_hour": last, "recent_hour": recent}

    def _end(self, wanted: Mapping[str, Any], way: int) -> int | None:
        """The first or last event hour of an hour document."""
        document = self._database.hours.find_one(
            wanted, {"event_hour": True}, sort=[("event_hour", way)], session=self._session
        )
        return document["event_hour"] if document else None
