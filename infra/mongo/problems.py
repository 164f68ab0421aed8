"""The collection `landing_problems`: landing's documents that MongoDB refuses for their content, the last of each kind.

`{_id: what, reason, at}`. A retry never helps there, so nothing waits for it, and the rest continues.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypedDict

from bson.errors import BSONError
from pymongo import DESCENDING
from pymongo.errors import PyMongoError

from infra.mongo import client
from infra.mongo.client import Documents, is_refused
from infra.mongo.collection import Collection

SHOWN: Final = 20


class ProblemDocument(TypedDict):
    """What MongoDB last refused of a kind. `reason` is MongoDB's own sentence."""

    _id: str
    reason: str
    at: datetime


COLLECTION: Final = Collection("landing_problems", 1, ProblemDocument, "what, such as `live documents`", "land")


def note(database: Documents, what: str, reason: str, at: datetime) -> None:
    """Keeps the latest reason for `what`, such as the live documents or a partition's last states."""
    database.landing_problems.replace_one({"_id": what}, {"reason": reason, "at": at}, upsert=True)


def latest(database: Documents) -> list[dict[str, Any]]:
    """{what, reason, at} of the latest problems, newest first."""
    documents = database.landing_problems.find().sort("at", DESCENDING).limit(SHOWN)
    return [{"what": problem["_id"], "reason": problem["reason"], "at": problem["at"]} for problem in documents]


def refusal(write: Callable[[], None]) -> str:
    """Writes. Returns why MongoDB refuses it for its content, or nothing. Raises PyMongo's other errors."""
    try:
        write()
    except (PyMongoError, BSONError) as error:
        if not is_refused(error):
            raise
        return client.reason(error)
    return ""
