"""Live documents as the batch layer needs them: the missing ones are written, those that nobody reads are deleted."""

from __future__ import annotations

from typing import Any

from pymongo.errors import DuplicateKeyError

from fleet.figures.cube import HOURS
from infra.delta import Commit, Snapshot
from infra.mongo.client import Documents


def write_missing(database: Documents, snapshot: Snapshot, after: int) -> int:
    """Writes the live documents of versions `after`+1 to the snapshot's that are not there; how many.

    Needed before an hour document of the snapshot's version replaces an older one: a reader's version ends before the
    first gap, and must not lie before a document's. Raises LogGone or
    ServiceUnavailable when a commit's log or files are gone.
    """
    between = {"_id": {"$gt": after, "$lte": snapshot.version}}
    there = {document["_id"] for document in database.live.find(between, {"_id": 1})}
    missing = [version for version in range(after + 1, snapshot.version + 1) if version not in there]
    for version in missing:
        try:
            database.live.insert_one(document(snapshot, snapshot.commit(version)))
        except DuplicateKeyError:
            continue  # a lander was faster, with the same content
    return len(missing)


def document(snapshot: Snapshot, commit: Commit) -> dict[str, Any]:
    """The live document of `commit`, from the files it added."""
    # File by file: a commit of a bulk load may hold an hour of a fleet.
    cells = HOURS.merge([HOURS.fold(snapshot.rows([path], HOURS.columns)) for path in commit.added] or [HOURS.empty()])
    return {"_id": commit.version, "committed_at": commit.committed_at, "cells": HOURS.to_document(cells)}


def forget(database: Documents, through: int) -> int:
    """Deletes the live documents at or below version `through`, which must be a base; how many.

    Readers start above their base; through lies a grace behind it, for one that still reads from an older base.
    """
    return database.live.delete_many({"_id": {"$lte": through}}).deleted_count
