"""How far each layer is, from what it wrote to MongoDB."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from infra.mongo import problems, runs

Document = dict[str, Any]

DAYS: Final = 7
"""Rejected messages are summed over this many days."""

MEASURED: Final = 1000
"""How many of the latest alerts the delays to Discord are measured from."""


def landing(database: Database[Document], now: datetime) -> Document:
    """The last commit, and the broker time up to which every partition is landed; null if unknown.

    Partitions of a topic that was deleted and created again do not count.
    """
    last = database.live.find_one({}, {"committed_at": True}, sort=[("_id", DESCENDING)])
    documents = list(database.landing.find({}))
    known = [document for document in documents if document.get("landed_through") is not None]
    current = [max(known, key=lambda document: document["landed_through"])] if known else documents
    topics = {_topic(document) for document in current}
    partitions = sorted((_partition(document) for document in documents if _topic(document) in topics), key=_name)
    times = [partition["landed_through"] for partition in partitions if partition["landed_through"] is not None]
    through = min(times) if times and len(times) == len(partitions) else None
    return {
        "version": last["_id"] if last else None,
        "committed_at": last["committed_at"] if last else None,
        "landed_through": through,
        "lag_seconds": max(0.0, round((now - through).total_seconds(), 1)) if through else None,
        "lost": sum(_lost(document) for document in documents),
        "problems": problems.latest(database),
        "partitions": partitions,
    }


def batch(database: Database[Document], version: int) -> Document:
    """The last complete run, and how many versions the lake has beyond that of the run."""
    run: Document = {**(runs.newest(database) or {})}
    newest = {name: run.get(name) for name in ("version", "started_at", "finished_at", "hours")}
    behind = max(0, version - newest["version"]) if newest["version"] is not None else None
    return {**newest, "versions_behind": behind}


def alerts(database: Database[Document]) -> Document:
    """How many alerts are not on Discord yet, and how long the latest ones took."""
    pending = {"delivered_at": None, "raised_at": {"$type": "date"}}
    oldest = database.alerts.find_one(pending, {"raised_at": True}, sort=[("raised_at", ASCENDING)])
    delivered = {"delivered_at": {"$type": "date"}, "raised_at": {"$type": "date"}}
    latest = database.alerts.find(delivered, {"latency_ms": True}).sort("raised_at", DESCENDING).limit(MEASURED)
    taken = sorted(document["latency_ms"] for document in latest if document.get("latency_ms") is not None)
    return {
        "undelivered": database.alerts.count_documents(pending),
        "oldest_undelivered": oldest["raised_at"] if oldest else None,
        "latency_ms": {"of": len(taken), "p50": rank(taken, 0.5), "p99": rank(taken, 0.99)},
    }


def rejected(database: Database[Document]) -> Document:
    """Rejected messages by reason, over the last DAYS days that the batch layer has counted."""
    days = list(database.completeness.find({}, {"rejected": True}).sort("_id", DESCENDING).limit(DAYS))
    reasons: Counter[str] = Counter()
    for document in days:
        reasons.update(document.get("rejected") or {})
    counted = [{"reason": reason, "messages": many} for reason, many in sorted(reasons.items())]
    return {"days": len(days), "messages": sum(reasons.values()), "reasons": counted}


def rank(ascending: Sequence[int], part: float) -> int | None:
    """The nearest-rank percentile: the smallest value that at least `part` of all values do not exceed."""
    return ascending[max(0, math.ceil(part * len(ascending)) - 1)] if ascending else None


def _partition(document: Document) -> Document:
    """The number at the end of the name; before it is the id that the broker gave the topic."""
    return {
        "name": document["_id"].rpartition("/")[2],
        "next_offset": document["next_offset"],
        "landed_through": document.get("landed_through"),
        "lost": _lost(document),
    }


def _name(partition: Document) -> str:
    name: str = partition["name"]
    return name


def _topic(document: Document) -> str:
    topic: str = document["_id"].rpartition("/")[0]
    return topic


def _lost(document: Document) -> int:
    return sum(end - first for first, end in document.get("lost", []))
