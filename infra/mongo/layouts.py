"""Every collection, and the layouts of them that a database holds: one that is newer than this version is refused.

They are in one document, `{_id: "collections", <collection>: layout}`, in the collection `layouts`. A process claims
the layouts that it writes before it writes. A database without the document is from before 0.2.0: all of it is layout
1, which can still be read.

A second document, `{_id: "restore", backup: name}`, is there while a backup is restored, and after a restore that died:
until it is gone all that read or write by layouts wait, so that half of a backup is never taken for all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypedDict

from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError

from fleet.errors import ServiceUnavailable
from fleet.layout import refuse_newer
from infra.mongo import (
    completeness,
    day_roll_ups,
    day_views,
    drone_days,
    hours,
    incidents,
    landing,
    landing_facts,
    live_documents,
    losses,
    problems,
    recording,
    reports,
    runs,
    sessions,
    view_parts,
)
from infra.mongo.client import Documents
from infra.mongo.collection import Collection


class LayoutsDocument(TypedDict):
    """A field a collection, the number of its layout; of `restore`, the name of the backup."""

    _id: str


_ID: Final = "collections"
_RESTORE: Final = "restore"

COLLECTIONS: Final = {
    each.name: each
    for each in (
        *(
            runs.COLLECTION,
            hours.COLLECTION,
            day_roll_ups.COLLECTION,
            live_documents.COLLECTION,
            live_documents.PARTS,
            view_parts.COLLECTION,
        ),
        *(drone_days.COLLECTION, day_views.DRONES_BY_DAY, day_views.CITY_DAYS, day_views.PLACE_DAYS),
        *(day_views.DELAY_DAYS, day_views.ALERT_DAYS, day_views.DUPLICATES, day_views.SEALED),
        *(completeness.COLLECTION, landing_facts.COLLECTION, losses.COLLECTION),
        *(landing.LANDING, landing.DRONE_BLOCKS, problems.COLLECTION),
        *(incidents.ALERTS, incidents.INCIDENTS, incidents.DELIVERIES, incidents.ACTIONS, recording.COLLECTION),
        *(reports.REPORT_TURNS, reports.REPORTS_TOLD, sessions.COLLECTION),
        Collection("layouts", 1, LayoutsDocument, f"`{_ID}`, `{_RESTORE}`", "all that write"),
    )
}
"""By name, in the order of docs/contracts.md."""


def require(database: Documents, session: ClientSession | None = None) -> None:
    """Raises NewerLayout if the database has a layout that this version does not know, and ServiceUnavailable if a
    restore into it has not ended."""
    found = {one.pop("_id"): one for one in database.layouts.find({"_id": {"$in": [_ID, _RESTORE]}}, session=session)}
    require_known("MongoDB's", found.get(_ID, {}))
    if _RESTORE in found:
        raise _unfinished(found[_RESTORE].get("backup"))


def claim(database: Documents) -> None:
    """`require`, and records that from now on there may be documents of this version's layouts."""
    require(database)
    database.layouts.update_one({"_id": _ID}, {"$max": current(COLLECTIONS)}, upsert=True)


def current(names: Iterable[str]) -> dict[str, int]:
    """This version's layouts of these collections."""
    return {name: COLLECTIONS[name].layout for name in sorted(names)}


def require_known(whose: str, found: Mapping[str, int]) -> None:
    """Raises NewerLayout if `found` has a layout, by collection, that this version does not know."""
    for name, layout in sorted(found.items()):
        refuse_newer(f"{whose} {name}", layout, COLLECTIONS[name].layout if name in COLLECTIONS else 0)


def begin_restore(database: Documents, backup: str) -> None:
    """From now on `require` refuses the database. Raises ServiceUnavailable if another restore began before."""
    try:
        database.layouts.insert_one({"_id": _RESTORE, "backup": backup})
    except DuplicateKeyError:
        raise _unfinished(None) from None


def end_restore(database: Documents) -> None:
    """All of the backup is there."""
    database.layouts.delete_one({"_id": _RESTORE})


def _unfinished(backup: str | None) -> ServiceUnavailable:
    which = f"of the backup {backup} " if backup else ""
    return ServiceUnavailable(
        f"a restore {which}into this MongoDB has not ended: wait for it, or if it died, drop the database and restore"
        " again"
    )
