"""Documents of views into MongoDB, so that readers merge them with live documents exactly at every instant.

A document that is too large for MongoDB is divided (infra.mongo.view_parts); names that do not fit even into parts
are folded (batch_layer.views.folding). So none is too large. One that MongoDB refuses all the same holds up no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import structlog
from bson.errors import BSONError
from pymongo import ReplaceOne
from pymongo.client_session import ClientSession
from pymongo.errors import BulkWriteError, PyMongoError

from batch_layer.views import folding
from fleet.errors import DocumentRefused, Unreadable
from fleet.figures.cube import Cube
from fleet.reports.landed import hour_name
from infra.mongo import cells as document_cells
from infra.mongo import view_parts
from infra.mongo.client import Documents, is_refused, reason
from infra.mongo.runs import Run
from infra.mongo.view_parts import Divided

_DUPLICATE = 11000  # MongoDB's code: an upsert whose filter did not match met the document that is there

_log = structlog.get_logger()


def hour_documents(cube: Cube, cells: pa.Table, hours: Sequence[int], run: Run) -> Iterator[Divided]:
    """One document an hour of `hours`, its cells in key order. An hour without reports has empty cells."""
    for hour in hours:
        part = cells.filter(pc.equal(cells["event_hour"], hour))
        document = {"_id": hour_name(hour), "event_hour": hour, "version": run.version, "run": {"id": run.id}}
        yield of_cells(cube, document, part)


def of_cells(cube: Cube, document: dict[str, Any], cells: pa.Table, most: int = folding.VIEW_BYTES) -> Divided:
    """`document` with `cells`, in as many parts as they need. Of more than `most` bytes, names are folded.

    `folded` counts these names and their reports.
    """
    cells, rest = folding.fold(cube, cells, most)
    if rest is not None:
        _log.warning(
            "too many names for one document: the rarest are counted together",
            view=cube.name,
            of=document["_id"],
            names=rest.names,
        )
        document = {**document, "folded": {"names": rest.names, "counted": rest.counted}}
    parts = document_cells.divide(cells, min(most, document_cells.DOCUMENT_BYTES))
    return Divided.of(document, [{"cells": cube.to_document(part)} for part in parts])


class Refusals:
    """A context that catches DocumentRefused and Unreadable, to be raised at the end: a document that MongoDB refuses,
    or a damaged file of the lake, holds up nothing else.
    """

    def __init__(self) -> None:
        self._errors: list[DocumentRefused | Unreadable] = []

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, DocumentRefused | Unreadable):
            self.keep(error)
            return True
        return False

    def keep(self, error: DocumentRefused | Unreadable) -> None:
        _log.error("not published", reason=error)
        self._errors.append(error)

    def __len__(self) -> int:
        return len(self._errors)

    def raise_any(self) -> None:
        """Raises the first error, with the number of the others."""
        if self._errors:
            more = f", and {len(self._errors) - 1} more such" if len(self._errors) > 1 else ""
            raise type(self._errors[0])(f"{self._errors[0]}{more}")


def replace(database: Documents, view: str, documents: Sequence[Divided]) -> int:
    """Replaces each document of `view` whose stored version is not greater; returns how many were written.

    A slow run that ends after a fast one thus changes nothing that the fast one has written. Raises DocumentRefused
    that names the documents which MongoDB refuses, once all others are written.
    """
    refused: dict[str, str] = {}
    written = 0
    try:
        written = _replace(database, view, documents)
    except (PyMongoError, BSONError) as error:
        if not is_refused(error):
            raise
        for divided in documents:  # one that is too large fails all that are sent with it
            try:
                written += _replace(database, view, [divided])
            except (PyMongoError, BSONError) as again:
                if not is_refused(again):
                    raise
                refused[divided.document["_id"]] = reason(again)
    if refused:
        raise DocumentRefused(f"MongoDB refuses {', '.join(refused)} of {view}: {next(iter(refused.values()))}")
    return written


def _replace(database: Documents, view: str, documents: Sequence[Divided]) -> int:
    if not documents:
        return 0
    for divided in documents:
        view_parts.write(database, view, divided)
    heads = [divided.document for divided in documents]
    writes = [ReplaceOne(_not_newer(head), head, upsert=True) for head in heads]
    try:
        done = database[view].bulk_write(writes, ordered=False)
        written = done.matched_count + done.upserted_count
    except BulkWriteError as error:
        failed = error.details["writeErrors"]
        if any(each["code"] != _DUPLICATE for each in failed):
            raise
        written = len(writes) - len(failed)
    view_parts.delete_older(database, view, [head["_id"] for head in heads])
    return written


def replace_view(database: Documents, view: str, documents: Sequence[Divided], version: int) -> bool:
    """Replaces all of a view at once, for readers see all of it or nothing; False if a newer version is there.

    Only documents whose content changed are written, and the newest day's, which carries the view's version.
    """

    def commit(session: ClientSession) -> bool:
        collection = database[view]
        stored = {document["_id"]: document for document in collection.find({}, session=session)}
        if any(document["version"] > version for document in stored.values()):
            return False
        for divided in documents:
            document = divided.document
            old = stored.get(document["_id"], {})
            unchanged = {**old, "version": version} == document and not divided.others
            if not unchanged or divided is documents[-1]:
                view_parts.write(database, view, divided, session)
                collection.replace_one({"_id": document["_id"]}, document, upsert=True, session=session)
                view_parts.delete_older(database, view, [document["_id"]], session)
        return True

    with database.client.start_session() as session:
        return session.with_transaction(commit)


def _not_newer(document: dict[str, Any]) -> dict[str, Any]:
    return {"_id": document["_id"], "version": {"$lte": document["version"]}}
