"""What was told on Discord on a day: incidents and deliveries, from what the recorder wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from pymongo.database import Database

from serving.ranges import Range
from serving.report import facts, words

Documents = Database[dict[str, Any]]

MOST_INCIDENTS: Final = 200
"""So many of the worst are kept in the facts; the map shows no more, and the page has them all."""

WAITED_MS: Final = 60_000
"""An alert told later than this after its report waited."""


def incidents(database: Documents, day: Range) -> list[dict[str, Any]]:
    """The incidents with an alert within the day."""
    start, end = _bounds(day)
    return list(database.incidents.find({"since": {"$lt": end}, "last": {"$gte": start}}))


def that_mattered(found: list[dict[str, Any]]) -> list[facts.Incident]:
    """The worst first: by severity, then alerts, then the earlier; at most MOST_INCIDENTS."""
    ranks = {severity: rank for rank, severity in enumerate(words.SEVERITIES)}
    found = sorted(found, key=lambda one: (ranks.get(one["severity"], 9), -one["alerts"], one["since"], one["_id"]))
    return [_incident(one) for one in found[:MOST_INCIDENTS]]


def delivery(database: Documents, day: Range) -> facts.Delivery:
    """Alerts raised on the day, told by now, and how fast."""
    start, end = _bounds(day)
    wanted = {"raised_at": {"$gte": start, "$lt": end}}
    told = {**wanted, "delivered_at": {"$ne": None}}
    return facts.Delivery(
        raised=database.alerts.count_documents(wanted),
        told=database.alerts.count_documents(told),
        messages=_messages(database, told),
        latency_p50=_percentile(database, told, 0.5),
        latency_p99=_percentile(database, told, 0.99),
        waited=database.alerts.count_documents({**told, "latency_ms": {"$gt": WAITED_MS}}),
    )


def _messages(database: Documents, told: dict[str, Any]) -> int:
    counted = database.alerts.aggregate([{"$match": told}, {"$group": {"_id": "$message_id"}}, {"$count": "messages"}])
    return sum(int(row["messages"]) for row in counted)


def _percentile(database: Documents, told: dict[str, Any], share: float) -> float | None:
    """The nearest-rank percentile of the latency: an alert that was told that fast, no mean of two."""
    wanted = {**told, "latency_ms": {"$ne": None}}
    number = database.alerts.count_documents(wanted)
    if not number:
        return None
    rank = max(0, -int(-number * share // 1) - 1)
    found = database.alerts.find(wanted, {"latency_ms": True}).sort("latency_ms").skip(rank).limit(1)
    return float(next(iter(found))["latency_ms"])


def _incident(one: dict[str, Any]) -> facts.Incident:
    taken_up: datetime | None = one.get("acknowledged_at")
    return facts.Incident(
        incident_id=str(one["_id"]),
        kind=one["kind"],
        severity=one["severity"],
        state=one["state"],
        country=one["country"],
        city=one["city"],
        alerts=one["alerts"],
        since=one["since"],
        last=one["last"],
        worst_score=one.get("worst_score") or None,
        latitude=one.get("latitude"),
        longitude=one.get("longitude"),
        acknowledged_after=(taken_up - one["since"]).total_seconds() if taken_up else None,
    )


def _bounds(day: Range) -> tuple[datetime, datetime]:
    return datetime.fromtimestamp(day.first * 3600, UTC), datetime.fromtimestamp(day.end * 3600, UTC)
