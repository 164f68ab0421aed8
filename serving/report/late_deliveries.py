"""Which notifications were late, and why, from the recorder's documents of alerts and deliveries.

A delivery says why the requests right before it failed, and a digest why it counts its incidents (docs/contracts.md).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from pymongo.database import Database

from fleet.notifications.delivery import WAITED_MS
from serving.report import facts, strings
from serving.report.percentiles import percentile

Documents = Database[dict[str, Any]]

_WHAT: Final = {"kind": {"$ifNull": ["$kind", ""]}, "severity": {"$ifNull": ["$severity", ""]}}


class Call(NamedTuple):
    at: datetime
    held: str


def waits(database: Documents, raised: Mapping[str, Any]) -> list[facts.Wait]:
    """Alerts of the filter `raised` that were notified late or are pending, by reason (strings.WHY), kind, severity."""
    groups = list(database.alerts.aggregate(_pipeline(raised), allowDiskUse=True))
    calls = _calls(database, groups)
    seconds: dict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for group in groups:
        alert = group["_id"]
        key = (_why(alert, calls.get(alert.get("webhook", ""), [])), alert["kind"], alert["severity"])
        seconds[key][alert["seconds"]] += group["alerts"]
    late = [
        facts.Wait(*key, counted.total(), percentile(counted, 0.5), float(max(counted)))
        for key, counted in seconds.items()
    ]
    return sorted([*late, *_pending(database, raised)], key=_order)


def _pipeline(raised: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Late alerts, grouped by all that decides their reason: in a storm many share a delivery and a second."""
    until_raised = {"$add": [{"$subtract": ["$raised_at", "$delivered_at"]}, "$latency_ms"]}
    key: dict[str, Any] = {name: f"${name}" for name in ("webhook", "delivered_at", "in_digest", "kept_back")}
    key |= _WHAT
    key |= {"seconds": {"$toInt": {"$divide": ["$latency_ms", 1000]}}}
    key |= {"raised_late": {"$gte": [{"$multiply": [2, until_raised]}, "$latency_ms"]}}
    return [
        {"$match": {**raised, "latency_ms": {"$gt": WAITED_MS}}},
        {"$group": {"_id": key, "alerts": {"$sum": 1}}},
    ]


def _pending(database: Documents, raised: Mapping[str, Any]) -> Iterable[facts.Wait]:
    wanted = {**raised, "delivered_at": None}
    for group in database.alerts.aggregate([{"$match": wanted}, {"$group": {"_id": _WHAT, "alerts": {"$sum": 1}}}]):
        yield facts.Wait("pending", group["_id"]["kind"], group["_id"]["severity"], group["alerts"])


def _calls(database: Documents, groups: list[dict[str, Any]]) -> dict[str, list[Call]]:
    """By webhook, in order of time, the deliveries that may have notified of the alerts of `groups`."""
    if not groups:
        return {}
    alerts = [group["_id"] for group in groups]
    first = min(alert["delivered_at"] - timedelta(seconds=alert["seconds"] + 1) for alert in alerts)
    last = max(alert["delivered_at"] for alert in alerts)
    calls: dict[str, list[Call]] = defaultdict(list)
    within = {"delivered_at": {"$gte": first, "$lte": last}}
    for call in database.deliveries.find(within, {"webhook": 1, "delivered_at": 1, "held": 1}).sort("delivered_at", 1):
        calls[call["webhook"]].append(Call(call["delivered_at"], call.get("held", "")))
    return calls


def _why(alert: Mapping[str, Any], calls: list[Call]) -> str:
    """The reason that took at least half of the time, as far as the documents say."""
    if alert.get("kept_back"):
        return str(alert["kept_back"])
    if alert["raised_late"]:
        return "raised late"
    return _held(alert, calls) or ("digest" if alert.get("in_digest") else "turn")


def _held(alert: Mapping[str, Any], calls: list[Call]) -> str:
    """What delayed the delivery that ended the longest pause while the alert waited."""
    delivered, came = alert["delivered_at"], alert["delivered_at"] - timedelta(seconds=alert["seconds"])
    first, end = (
        bisect_left(calls, came, key=lambda call: call.at),
        bisect_right(calls, delivered, key=lambda call: call.at),
    )
    before, longest, held = came, timedelta(seconds=alert["seconds"]) / 2, ""
    for call in calls[first:end]:
        if call.at - before >= longest:
            longest, held = call.at - before, call.held
        before = call.at
    return held


def _order(wait: facts.Wait) -> tuple[int, int, str, str]:
    severities = [*strings.SEVERITIES, wait.severity]
    return (-wait.alerts, severities.index(wait.severity), wait.why, wait.kind)
