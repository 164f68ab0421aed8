"""Hour documents into MongoDB, so that readers merge them with live documents exactly at every instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError

from fleet.figures.cube import Cube
from fleet.reports.landed import hour_name
from infra.mongo.client import Documents
from infra.mongo.runs import Run

_DUPLICATE = 11000  # MongoDB's code: an upsert whose filter did not match met the document that is there


def hour_documents(cube: Cube, cells: pa.Table, hours: Sequence[int], run: Run) -> Iterator[dict[str, Any]]:
    """One document an hour of `hours`, its cells in key order. An hour without reports has empty cells."""
    for hour in hours:
        part = cells.filter(pc.equal(cells["event_hour"], hour))
        yield {
            "_id": hour_name(hour),
            "event_hour": hour,
            "version": run.version,
            "cells": cube.to_document(part),
            "run": {"id": run.id},
        }


def replace(database: Documents, view: str, documents: Sequence[dict[str, Any]]) -> int:
    """Replaces each document of `view` where the stored version is not greater; how many were written.

    A slow run that ends after a fast one thus changes nothing that the fast one has written.
    """
    if not documents:
        return 0
    writes = [ReplaceOne(_not_newer(document), document, upsert=True) for document in documents]
    try:
        done = database[view].bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        refused = error.details["writeErrors"]
        if any(each["code"] != _DUPLICATE for each in refused):
            raise
        return len(writes) - len(refused)
    return done.matched_count + done.upserted_count


def replace_view(database: Documents, view: str, documents: Sequence[dict[str, Any]], version: int) -> bool:
    """Replaces all of a view at once, for readers see all of it or nothing; False where a newer version is there.

    Only documents whose content changed are written, and the newest day's, which carries the view's version.
    """

    def commit(session: ClientSession) -> bool:
        collection = database[view]
        stored = {document["_id"]: document for document in collection.find({}, session=session)}
        if any(document["version"] > version for document in stored.values()):
            return False
        for document in documents:
            old = stored.get(document["_id"], {})
            if {**old, "version": version} != document or document is documents[-1]:
                collection.replace_one({"_id": document["_id"]}, document, upsert=True, session=session)
        return True

    with database.client.start_session() as session:
        return session.with_transaction(commit)


def _not_newer(document: dict[str, Any]) -> dict[str, Any]:
    return {"_id": document["_id"], "version": {"$lte": document["version"]}}
