"""The report's alerts in MongoDB, and the Discord messages that notified people of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, get_args

from fleet.alerts.alert import Kind, alert_id
from infra.mongo.client import Documents

ANSWER_MS: Final = 10_000
SHOWN: Final = (
    *("kind", "severity", "verified", "raised_at", "incident_id", "delivered_at", "message_id", "webhook"),
    *("in_digest", "kept_back", "latency_ms"),
)


def of_report(documents: Documents, drone: str, report: str, times: Iterable[datetime]) -> list[dict[str, Any]]:
    """The alerts that the report raised, found by their ids if its times are known, else by its drone and id."""
    ids = [alert_id(kind, drone, report, time) for time in times for kind in get_args(Kind)]
    if ids:
        query: dict[str, Any] = {"$or": [{"_id": {"$regex": f"^{re.escape(name)}"}} for name in ids]}
    else:
        query = {"drone_id": drone, "report_id": report}
    rows = documents["alerts"].find(query, max_time_ms=ANSWER_MS).sort("raised_at", 1)
    return [row for row in rows if (row.get("drone_id"), row.get("report_id")) == (drone, report)]


def messages(documents: Documents, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each Discord message that holds one of the alerts `rows`, with its incident and the number of its edits."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        incident_id, message_id = row.get("incident_id"), row.get("message_id")
        if not message_id or (row.get("webhook", ""), message_id) in seen:
            continue
        seen.add((row.get("webhook", ""), message_id))
        incident = documents["incidents"].find_one({"_id": incident_id}, max_time_ms=ANSWER_MS) or {}
        deliveries = list(
            documents["deliveries"].find({"message_id": message_id}, max_time_ms=ANSWER_MS).sort("delivered_at", 1)
        )
        yield {
            "message_id": message_id,
            "webhook": row.get("webhook"),
            "incident_id": incident_id,
            "incident_state": incident.get("state"),
            "incident_alerts": incident.get("alerts"),
            "posted_at": deliveries[0]["delivered_at"] if deliveries else row.get("delivered_at"),
            "edits": sum(delivery.get("method") == "PATCH" for delivery in deliveries),
            "last_delivery_id": deliveries[-1]["_id"] if deliveries else None,
        }
