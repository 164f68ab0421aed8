"""The collections of the nightly report: who is at work on which day, and which revisions were posted."""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypedDict

from infra.mongo.collection import Collection


class LockDocument(TypedDict):
    """A lock: the process `by` may build and post the day's report until then, by MongoDB's clock."""

    _id: str
    by: str
    until: datetime


class PostedDocument(TypedDict):
    """A revision that was posted; `message_id` "": it is not to be posted."""

    _id: str
    message_id: str
    told_at: datetime


REPORT_TURNS: Final = Collection("report_turns", 1, LockDocument, "the officers' day", "report")
REPORTS_TOLD: Final = Collection("reports_told", 1, PostedDocument, "day and revision: `2026-11-24/0`", "report")
