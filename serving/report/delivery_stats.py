"""A day's incidents and notifications on Discord, from the recorder's documents."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.database import Database

from fleet.notifications.delivery import WAITED_MS
from serving.figures.ranges import Range
from serving.report import facts, strings
from serving.report.late_deliveries import waits
from serving.report.percentiles import percentile

Documents = Database[dict[str, Any]]

MOST_INCIDENTS: Final = 200
"""The worst incidents that are kept in the facts and on the map; the duty room has all."""


def incidents(database: Documents, day: Range) -> tuple[list[facts.IncidentOfDay], int]:
    """The worst incidents with an alert within the day, and how many there were.

    By severity, then alerts, then the earlier; at most MOST_INCIDENTS.
    """
    start, end = _bounds(day)
    of_day = {"since": {"$lt": end}, "last": {"$gte": start}}
    worst: list[dict[str, Any]] = []
    for severity in strings.SEVERITIES:  # sorted by the database: a fleet has tens of thousands of incidents a day
        chosen = database.incidents.find({**of_day, "severity": severity})
        if len(worst) < MOST_INCIDENTS:
            worst += chosen.sort([("alerts", -1), ("since", 1), ("_id", 1)]).limit(MOST_INCIDENTS - len(worst))
    acknowledged = _acknowledged(database, [str(incident["_id"]) for incident in worst])
    rows = [_incident(incident, acknowledged.get(str(incident["_id"]))) for incident in worst]
    return rows, database.incidents.count_documents(of_day)


def delivery(database: Documents, day: Range) -> facts.DeliveryOfDay:
    """Alerts raised on the day, those notified by now, and how fast."""
    start, end = _bounds(day)
    wanted = {"raised_at": {"$gte": start, "$lt": end}}
    by_latency: Counter[int] = Counter()
    raised = notified = 0
    for row in database.alerts.aggregate([
        {"$match": wanted},
        {"$group": {"_id": {"notified": {"$gt": ["$delivered_at", None]}, "ms": "$latency_ms"}, "alerts": {"$sum": 1}}},
    ]):  # fmt: skip
        raised += row["alerts"]
        if row["_id"]["notified"]:
            notified += row["alerts"]
            if (latency := row["_id"].get("ms")) is not None:
                by_latency[latency] += row["alerts"]
    return facts.DeliveryOfDay(
        raised=raised,
        notified=notified,
        messages=_messages(database, wanted),
        latency_p50=percentile(by_latency, 0.5),
        latency_p99=percentile(by_latency, 0.99),
        waited=sum(alerts for ms, alerts in by_latency.items() if ms > WAITED_MS),
        waits=waits(database, wanted),
    )


def _messages(database: Documents, wanted: dict[str, Any]) -> int:
    notified = {**wanted, "delivered_at": {"$ne": None}}
    counted = database.alerts.aggregate(
        [{"$match": notified}, {"$group": {"_id": "$message_id"}}, {"$count": "messages"}], allowDiskUse=True
    )
    return sum(int(row["messages"]) for row in counted)


def _acknowledged(database: Documents, ids: list[str]) -> dict[str, datetime]:
    """When an operator first acknowledged or resolved each of the incidents."""
    wanted = {"action": {"$in": ["acknowledge", "resolve"]}, "target.incident_id": {"$in": ids}}
    times = database.actions.find(wanted, {"target.incident_id": True, "at": True}).sort("at", -1)
    return {action["target"]["incident_id"]: action["at"] for action in times}


def _incident(incident: dict[str, Any], acknowledged_at: datetime | None) -> facts.IncidentOfDay:
    return facts.IncidentOfDay(
        incident_id=str(incident["_id"]),
        kind=incident["kind"],
        severity=incident["severity"],
        state=incident["state"],
        country=incident["country"],
        city=incident["city"],
        alerts=incident["alerts"],
        since=incident["since"],
        last=incident["last"],
        worst_score=incident.get("worst_score") or None,
        latitude=incident.get("latitude"),
        longitude=incident.get("longitude"),
        acknowledged_after=(acknowledged_at - incident["since"]).total_seconds() if acknowledged_at else None,
    )


def _bounds(day: Range) -> tuple[datetime, datetime]:
    return datetime.fromtimestamp(day.first * 3600, UTC), datetime.fromtimestamp(day.end * 3600, UTC)
