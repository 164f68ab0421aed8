"""The collection `live`: one document for each version of the lake, with the cells of that commit's own rows.

`{_id: version, committed_at, cells}`. If the cells do not fit into one document, `parts` is the number of parts; the
others are in `live_parts` as `{_id: "version/part", version, part, cells}`, and are written before the first.
Landing and batch both write missing documents, by this code and with the same content.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import pyarrow as pa
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError
from structlog import get_logger

from fleet.figures.cube import HOURS
from infra.delta import Commit, Snapshot
from infra.mongo import problems
from infra.mongo.cells import DOCUMENT_BYTES, divide
from infra.mongo.client import Documents
from infra.mongo.problems import refusal

log = get_logger()


def insert(
    database: Documents, version: int, committed_at: datetime, cells: pa.Table, most: int = DOCUMENT_BYTES
) -> bool:
    """Writes a version's document, in parts of at most `most` bytes, if it is not there already.

    Returns False if MongoDB refuses it for its content. Then one without cells takes its place, because readers would
    stop before the gap for ever: its reports are in no figure until a batch run has computed their hours.
    """
    reason = refusal(lambda: _insert(database, version, committed_at, cells, most))
    if not reason:
        return True
    log.error("live document refused; the next batch run counts its reports", version=version, reason=reason)
    live = {"_id": version, "committed_at": committed_at, "cells": HOURS.to_document(HOURS.empty())}
    database.live.update_one({"_id": version}, {"$setOnInsert": {**live, "unwritable": reason}}, upsert=True)
    problems.note(database, "live documents", f"version {version}: {reason}", committed_at)
    return False


def _insert(database: Documents, version: int, committed_at: datetime, cells: pa.Table, most: int) -> None:
    first, *others = divide(cells, most)
    for part, more in enumerate(others, 1):
        document = {"version": version, "part": part, "cells": HOURS.to_document(more)}
        database.live_parts.replace_one({"_id": _part_id(version, part)}, document, upsert=True)
    live: dict[str, Any] = {"_id": version, "committed_at": committed_at, "cells": HOURS.to_document(first)}
    if others:
        live["parts"] = 1 + len(others)
    with suppress(DuplicateKeyError):  # another process was faster, with the same content
        database.live.insert_one(live)


def cells_of(database: Documents, live: Mapping[str, Any], session: ClientSession | None = None) -> pa.Table:
    """The cells of a document of `live`, with those of its other parts."""
    first = HOURS.from_document(live["cells"])
    ids = [_part_id(live["_id"], part) for part in range(1, live.get("parts", 1))]
    if not ids:
        return first
    others = database.live_parts.find({"_id": {"$in": ids}}, {"cells": True}, session=session)
    return pa.concat_tables([first, *(HOURS.from_document(other["cells"]) for other in others)])


def missing(database: Documents, after: int, newest: int) -> list[int]:
    """The versions after `after`, up to `newest`, that have no document, in order."""
    between = {"_id": {"$gt": after, "$lte": newest}}
    there = {document["_id"] for document in database.live.find(between, {"_id": 1})}
    return [version for version in range(after + 1, newest + 1) if version not in there]


def write_missing(database: Documents, snapshot: Snapshot, after: int) -> int:
    """Writes the missing documents of versions `after`+1 to the snapshot's, and returns how many.

    Batch needs it before an hour document of the snapshot's version replaces an older one: a reader's version ends
    before the first gap, and must not lie before a document's. Raises LogGone or ServiceUnavailable when a commit's log
    or files are gone.
    """
    versions = missing(database, after, snapshot.version)
    for version in versions:
        commit = snapshot.commit(version)
        insert(database, version, commit.committed_at, cells(snapshot, commit))
    return len(versions)


def cells(snapshot: Snapshot, commit: Commit) -> pa.Table:
    """The cells of `commit`, from the files it added."""
    # File by file: a commit of a bulk load may hold an hour of a fleet.
    return HOURS.merge([HOURS.fold(snapshot.rows([path], HOURS.columns)) for path in commit.added] or [HOURS.empty()])


def delete_through(database: Documents, through: int) -> int:
    """Deletes the documents at or below version `through`, which must be a base, and returns how many versions.

    Readers start above their base; `through` lies some minutes behind it, for one that still reads from an older base.
    """
    deleted = database.live.delete_many({"_id": {"$lte": through}}).deleted_count
    database.live_parts.delete_many({"version": {"$lte": through}})
    return deleted


def _part_id(version: int, part: int) -> str:
    return f"{version}/{part}"
