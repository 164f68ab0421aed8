"""The collection `landing_facts`: sums of what only commits store, and how far each partition is landed."""

from __future__ import annotations

from typing import Final, Required, TypedDict

from infra.mongo.client import Documents
from infra.mongo.collection import Collection

REPORTS: Final = "through"
ALERTS: Final = "through of alerts"


class FactsDocument(TypedDict, total=False):
    """A day of commits, or with the ids above how far partitions are landed."""

    _id: Required[str]
    copies: int  # that landing dropped
    rejected: dict[str, int]  # by reason
    partitions: dict[str, int]  # ms by topic id and partition


COLLECTION: Final = Collection(
    "landing_facts", 1, FactsDocument, f"the UTC day of commit, `{REPORTS}` or `{ALERTS}`", "aggregate"
)


def landed_through(database: Documents, name: str = REPORTS) -> dict[str, int]:
    """How far each partition is landed, in ms by key (fleet.reports.watermark)."""
    document = database.landing_facts.find_one({"_id": name}) or {}
    return dict(document.get("partitions", {}))
