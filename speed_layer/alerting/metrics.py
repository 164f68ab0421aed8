"""Metrics of alerting, for Prometheus. Counts are of this process."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from infra.metrics import LATENCY_BUCKETS

JUDGED: Final = Counter("peacewatch_alerting_reports", "messages of `reports` that were judged")
RAISED: Final = Counter("peacewatch_alerting_alerts", "alerts that were raised, by kind", ["kind"])
LATENCY: Final = Histogram(
    "peacewatch_alerting_seconds", "time from a report at the broker to its alert being sent", buckets=LATENCY_BUCKETS
)
CHECKPOINT_SECONDS: Final = Histogram(
    "peacewatch_alerting_checkpoint_seconds", "time of a checkpoint of the rules' memory", buckets=LATENCY_BUCKETS
)
UNJUDGED: Final = Gauge("peacewatch_alerting_unjudged", "messages that wait in the partitions of this process")
