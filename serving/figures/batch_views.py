"""For answers from views that only the batch layer has: their version, and sums over the documents of days."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

import pyarrow as pa
from pymongo.client_session import ClientSession
from pymongo.database import Database

from fleet.figures.cube import Cube
from infra.mongo import runs, view_parts

Documents = Database[dict[str, Any]]

DAYS_AT_ONCE: Final = 4
"""Documents in a batch from MongoDB: a fleet's city day is 3 MB, and ten times that as Python lists."""

MOST_CELLS: Final = 200_000
"""Cells that are collected before they are added up: some 20 MB."""


def of_days(first: date, last: date) -> dict[str, Any]:
    """The condition on `_id` for the UTC days from `first` to `last`."""
    return {"_id": {"$gte": first.isoformat(), "$lte": last.isoformat()}}


def version(database: Documents, view: str, session: ClientSession, kind: runs.Kind = "drones") -> int | None:
    """The version that `view` describes: that of its newest document, or of a later run of `kind` that found nothing
    new. None: no run yet.
    """
    base = runs.base_version(database, kind=kind, session=session)
    document = database[view].find_one({}, {"version": True}, sort=[("version", -1)], session=session)
    newest = max(base, document["version"] if document else runs.NO_BASE)
    return None if newest == runs.NO_BASE else newest


def summed(
    database: Documents,
    cube: Cube,
    days: tuple[date, date],
    session: ClientSession,
    most_cells: int = MOST_CELLS,
) -> pa.Table:
    """The cells of the cube's view over the UTC days from the first to the last of `days` together.

    A fleet's year is tens of millions of cells, and their sum is as large as a day: they are added up as they are read.
    """
    fields = {"cells": True, "version": True, "parts": True}
    stored = database[cube.name].find(of_days(*days), fields, session=session, batch_size=DAYS_AT_ONCE)
    total, read, rows = cube.empty(), [], 0
    for document in view_parts.whole(database, cube.name, stored, session):
        read.append(cube.from_document(document["cells"]))
        rows += read[-1].num_rows
        if rows > max(most_cells, total.num_rows):  # so that a cell is grouped about twice, not once for each day
            total, read, rows = cube.merge([total, *read]), [], 0
    return cube.merge([total, *read])
