"""How far the recorder has read its topics, kept with what it has written.

The group's offsets in Kafka know nothing of the database: after a restore from a backup, or in an emptied database,
they say that everything was recorded. From the offsets here, the recorder reads again what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Required, TypedDict

from pymongo import UpdateOne

from infra.mongo.client import Documents
from infra.mongo.collection import Collection


class RecordingDocument(TypedDict, total=False):
    """A partition's position."""

    _id: Required[str]
    next_offset: int


COLLECTION: Final = Collection("recording", 1, RecordingDocument, "topic and partition: `alerts/0`", "record")


def positions(database: Documents) -> dict[str, int]:
    """The next offset by topic and partition."""
    return {document["_id"]: int(document["next_offset"]) for document in database.recording.find({})}


def note(database: Documents, ends: Mapping[str, int]) -> None:
    """Everything before these offsets is written."""
    updates = [UpdateOne({"_id": name}, {"$set": {"next_offset": end}}, upsert=True) for name, end in ends.items()]
    if updates:
        database.recording.bulk_write(updates)


def is_empty(database: Documents) -> bool:
    """Whether nothing was ever recorded in this database."""
    return all(database[name].find_one({}, {"_id": 1}) is None for name in ("recording", "alerts", "deliveries"))
