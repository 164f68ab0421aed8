"""Notifying's metrics. Counts are of this process."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from infra.metrics import LATENCY_BUCKETS

NOTIFICATIONS: Final = Counter(
    "peacewatch_notifications",
    "messages that Discord accepted, by webhook and method (POST, PATCH)",
    ["webhook", "method"],
)
LATENCY: Final = Histogram(
    "peacewatch_notification_seconds",
    "time from a report at the broker to Discord's answer to the message with its alert",
    ["webhook"],
    buckets=LATENCY_BUCKETS,
)
PENDING: Final = Gauge("peacewatch_notifications_pending", "alerts that wait for their notification", ["webhook"])
REQUEST_SECONDS: Final = Histogram(
    "peacewatch_discord_request_seconds",
    "time of a request to Discord, by method and outcome: the status, or `none` without an answer",
    ["method", "outcome"],
    buckets=LATENCY_BUCKETS,
)
