"""The collection `losses`: messages that left their topic before they were landed, once each (fleet.reports.losses)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, Required, TypedDict

from infra.mongo.client import Documents
from infra.mongo.collection import Collection


class LossDocument(TypedDict, total=False):
    """A loss. For a topic that was created again, partition, offsets and number are null."""

    _id: Required[str]
    table: str  # reports or alerts
    topic_id: str
    partition: int | None
    first: int | None
    next: int | None
    messages: int | None  # at most so many
    after: datetime | None  # the broker received them after it, and
    before: datetime
    noticed_at: datetime
    version: int  # of the commit that says so
    told: bool  # it is in the completeness of days


COLLECTION: Final = Collection("losses", 1, LossDocument, "table, topic id, partition and first offset", "aggregate")


def insert(database: Documents, those: Iterable[dict[str, Any]]) -> None:
    """Inserts new losses; one that is stored stays as it is."""
    for loss in those:
        database.losses.update_one({"_id": loss["_id"]}, {"$setOnInsert": loss}, upsert=True)


def every(database: Documents) -> list[dict[str, Any]]:
    return list(database.losses.find({}).sort("_id"))


def unaccounted(database: Documents) -> list[dict[str, Any]]:
    """Losses that are not in the completeness of days yet."""
    return list(database.losses.find({"told": {"$ne": True}}).sort("_id"))


def account(database: Documents, those: Iterable[dict[str, Any]]) -> None:
    """They are in the completeness of days."""
    database.losses.update_many({"_id": {"$in": [loss["_id"] for loss in those]}}, {"$set": {"told": True}})


def recreated_topics(database: Documents, table: str) -> dict[str, int | None]:
    """By the id of a topic that was created again: up to when the topic before it had landed, in ms."""
    those = database.losses.find({"table": table, "partition": None}, {"topic_id": 1, "after": 1})
    return {loss["topic_id"]: round(loss["after"].timestamp() * 1000) for loss in those}
