"""What a run has to do: which hours, at which version, and whether it may become the base of readers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from batch_layer.lake import sealed
from infra.delta import Commit, LogGone, Snapshot
from infra.mongo import runs
from infra.mongo.client import Documents


@dataclass(frozen=True)
class Plan:
    """`hours` to recompute from `snapshot`, in order; `base` is the base version that the run found."""

    snapshot: Snapshot
    base: int
    hours: tuple[int, ...]
    kind: Literal["hours", "range"]
    generation: int
    everything: bool = False  # every hour is recomputed, so the database need not be right before
    another: bool = False  # the database's figures are of another lake

    @property
    def nothing_to_do(self) -> bool:
        return not self.hours and (self.kind == "range" or self.snapshot.version == self.base)


def make(database: Documents, snapshot: Snapshot, wanted: range | None = None, *, rebuild: bool = False) -> Plan:
    """The plan of an incremental run; with `wanted`, of these event hours; with `rebuild` alone, of all there are.

    Raises BadInput for a sealed day in `wanted`, PeacewatchError when the database is of another lake.
    """
    everything = rebuild and wanted is None
    base, generation = runs.base_version(database), runs.generation(database)
    another = runs.lake_id(database) not in {None, snapshot.lake_id}
    if not everything:
        runs.require_lake(database, snapshot.lake_id)
    touched = last_touched(snapshot, base)
    current = set() if everything else up_to_date(database, touched)
    hours = _asked(snapshot, wanted) if wanted is not None or everything else touched.keys() - current
    covers_all = touched.keys() - current <= set(hours)
    kind: Literal["hours", "range"] = "hours" if covers_all else "range"
    return Plan(snapshot, base, tuple(sorted(hours)), kind, generation, everything, another)


def last_touched(snapshot: Snapshot, base: int) -> dict[int, int]:
    """By event hour, the last version after `base` that changed its rows; all hours if the log is gone."""
    try:
        return last_touched_by(snapshot, snapshot.commits(min(base, snapshot.version)))
    except LogGone:
        return last_touched_by(snapshot, None)


def last_touched_by(snapshot: Snapshot, commits: Iterable[Commit] | None) -> dict[int, int]:
    """By event hour, the last of `commits` that changed its rows; all hours if they are not known."""
    if commits is None:
        return dict.fromkeys(snapshot.hours, snapshot.version)
    touched: dict[int, int] = {}
    for commit in commits:
        touched.update(dict.fromkeys(commit.touched, commit.version))
    return {hour: version for hour, version in touched.items() if hour in snapshot.hours}


def up_to_date(database: Documents, touched: Mapping[int, int]) -> set[int]:
    """The touched hours whose documents have been computed since: by another run, or by one that was killed."""
    stored = database.hours.find({"event_hour": {"$in": list(touched)}}, {"event_hour": 1, "version": 1})
    return {document["event_hour"] for document in stored if document["version"] >= touched[document["event_hour"]]}


def _asked(snapshot: Snapshot, wanted: range | None) -> set[int]:
    if wanted is None:
        return set(snapshot.hours)
    sealed.refuse(snapshot, wanted)
    return {hour for hour in snapshot.hours if hour in wanted}
