"""The files that commits have added to a day since its views were stored: only those are read, not the whole day.

Commits of landing only add rows, and cells merge exactly: the cells of a view stored at version v, merged with those of
the files that were added after v, equal those of all files. The same holds for the days of drones. Duplicates are
counted by the hour, and the hours that no commit has touched keep their counts. A day is read whole if this may not
hold: nothing of it is stored, the log or a file is gone, a commit removed rows, or names were counted together to fit
into a document.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import pyarrow as pa
from pymongo.client_session import ClientSession

from batch_layer.engine import Engine
from batch_layer.ranges import hours_of_day
from batch_layer.views import blocks, drone_days, plan
from batch_layer.views.identities import REPEATS
from fleet.figures.cube import Cube
from infra.delta import Commit, LogGone, Snapshot
from infra.mongo import view_parts
from infra.mongo.client import Documents
from infra.mongo.session import at_one_instant


class NewFiles:
    """What the commits after the version `base` up to `snapshot` have changed."""

    def __init__(self, snapshot: Snapshot, base: int) -> None:
        self._snapshot = snapshot
        self._commits: list[Commit] | None = None
        with suppress(LogGone):
            self._commits = list(snapshot.commits(min(base, snapshot.version)))
        self.touched = plan.last_touched_by(snapshot, self._commits)

    def added(self, day: date, version: int) -> Snapshot | None:
        """The files that commits after `version`, the base or a later one, have added to a day; None: it is not known.

        An hour that a commit touched has files here.
        """
        hours = hours_of_day(day)
        if self._commits is None or version > self._snapshot.version:
            return None
        commits = [commit for commit in self._commits if commit.version > version and commit.touched & set(hours)]
        files = [file for commit in commits for file in commit.files if file.event_hour in hours]
        if any(commit.takes_rows for commit in commits) or not self._snapshot.are_there(files):
            return None
        return self._snapshot.of_files(files)


@dataclass(frozen=True)
class Days:
    """Views of days of `snapshot`, equal to those that `engine` computes from all files of a day.

    `new_files` is None if nothing stored may be used.
    """

    database: Documents
    engine: Engine
    snapshot: Snapshot
    new_files: NewFiles | None

    def cells(self, day: date, views: Sequence[Cube]) -> list[pa.Table]:
        """The cells of each of `views`."""
        if self.new_files is not None and (stored := at_one_instant(self.database, partial(self._stored, day, views))):
            added = self.new_files.added(day, stored[0])
            if added is not None:
                new = self.engine.cells_of(views, added, hours_of_day(day))
                return [cube.merge(parts) for cube, *parts in zip(views, stored[1], new, strict=True)]
        return self.engine.cells_of(views, self.snapshot, hours_of_day(day))

    def drones(self, day: date) -> pa.Table:
        """Rows of drone_days.ROWS."""
        if self.new_files is not None and (stored := at_one_instant(self.database, partial(self._stored_drones, day))):
            added = self.new_files.added(day, stored[0])
            if added is not None:
                return drone_days.merge(day, [stored[1], self.engine.drone_days(added, day)])
        return self.engine.drone_days(self.snapshot, day)

    def repeats(self, day: date) -> pa.Table:
        """Rows of REPEATS."""
        stored = self.database["copies"].find_one({"_id": day.isoformat()}) if self.new_files is not None else None
        if self.new_files is not None and stored is not None and "by_hour" in stored:
            added = self.new_files.added(day, stored["version"])
            if added is not None:
                kept = [row for row in stored["by_hour"] if row[0] not in added.hours]
                parts = [_repeats(kept), self.engine.repeats(self.snapshot, list(added.hours))]
                return pa.concat_tables(parts).sort_by("event_hour").combine_chunks()
        return self.engine.repeats(self.snapshot, hours_of_day(day))

    def _stored(self, day: date, views: Sequence[Cube], session: ClientSession) -> tuple[int, list[pa.Table]] | None:
        """Their version, and the cells of each; None if they are not all there, whole and of one version."""
        versions, cells = set(), []
        for cube in views:
            document = self.database[cube.name].find_one({"_id": day.isoformat()}, session=session)
            if document is None or "folded" in document:
                return None
            (whole,) = view_parts.whole(self.database, cube.name, [document], session)
            versions.add(int(document["version"]))
            cells.append(cube.from_document(whole["cells"]))
        return (versions.pop(), cells) if len(versions) == 1 else None

    def _stored_drones(self, day: date, session: ClientSession) -> tuple[int, pa.Table] | None:
        """Their version, and their rows; None if not all blocks are there, with their state and of one version."""
        versions, found = [], [drone_days.ROWS.empty_table()]
        for document in self.database.drone_days.find({"day": day.isoformat()}, session=session).sort("_id"):
            if "state" not in document:
                return None
            versions.append(int(document["version"]))
            for part in view_parts.contents(self.database, "drone_days", document, session):
                found.append(blocks.rows(part["last"], part["rest"], part["state"]))
        whole = len(versions) == blocks.BLOCKS and len(set(versions)) == 1
        return (versions[0], pa.concat_tables(found)) if whole else None


def by_hour(repeats: pa.Table) -> list[list[Any]]:
    """As a document has them."""
    return [list(row) for row in zip(*(repeats[name].to_pylist() for name in REPEATS.names), strict=True)]


def _repeats(rows: Sequence[Sequence[int]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(REPEATS.names, row, strict=True)) for row in rows], schema=REPEATS)
