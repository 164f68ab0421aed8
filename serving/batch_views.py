"""What answers from batch-only views need: the version they are true at, and sums over the documents of days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import numpy as np
from pymongo.client_session import ClientSession
from pymongo.database import Database

Document = Mapping[str, Any]
Documents = Database[dict[str, Any]]


def of_days(first: date, last: date) -> dict[str, Any]:
    """The condition on `_id` for the UTC days from `first` to `last`."""
    return {"_id": {"$gte": first.isoformat(), "$lte": last.isoformat()}}


def version(database: Documents, view: str, session: ClientSession, kind: str = "drones") -> int | None:
    """The version that `view` is true at, of a run of `kind` that found nothing new or of the newest document.

    None: there was no run yet.
    """
    newest = [("version", -1)]
    run = database.runs.find_one({"kind": kind, "state": "complete"}, sort=newest, session=session)
    document = database[view].find_one({}, {"version": True}, sort=newest, session=session)
    return max((found["version"] for found in (run, document) if found), default=None)


def summed(days: Iterable[Document], keys: tuple[str, str], measures: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Rows (both integer keys, then each measure) over all `days`, in the order of the keys."""
    parts = [np.array([day["cells"][name] for name in (*keys, *measures)], np.int64) for day in days]
    if not parts:
        return []
    cells = np.concatenate(parts, axis=1)
    found, group = np.unique(cells[:2], axis=1, return_inverse=True)
    sums = np.zeros((len(measures), found.shape[1]), np.int64)
    for at, row in enumerate(cells[2:]):
        np.add.at(sums[at], group.ravel(), row)
    return [tuple(row) for row in np.vstack([found, sums]).T.tolist()]
