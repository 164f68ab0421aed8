"""Landing's metrics. Counts are of this process; the table is the truth (`docs/landing.md`)."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from infra.metrics import LATENCY_BUCKETS

LANDED: Final = Counter("peacewatch_landing_reports", "reports committed to the lake")
REJECTED: Final = Counter("peacewatch_landing_rejects", "rejected messages, by reason", ["reason"])
DUPLICATES: Final = Counter("peacewatch_landing_copies", "messages dropped as duplicates of a report")
UNKEPT: Final = Counter("peacewatch_landing_unkept", "rejected messages that their topic refuses in every form")
LOST: Final = Counter("peacewatch_landing_lost", "offsets that expired before they were landed")
COMMIT_SECONDS: Final = Histogram(
    "peacewatch_landing_commit_seconds",
    "time of a commit, files included",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
LATENCY: Final = Histogram(
    "peacewatch_landing_seconds",
    "how old the watermark of a commit is when the commit ends",
    buckets=LATENCY_BUCKETS,
)
REFUSED: Final = Counter("peacewatch_landing_refused", "documents that MongoDB refuses for their content", ["view"])
FORGOTTEN: Final = Counter(
    "peacewatch_landing_forgotten_drones", "drones whose last state was dropped for memory, those longest unseen first"
)
VERSION: Final = Gauge("peacewatch_landing_version", "the table's version after the last commit")
BATCH_VERSION: Final = Gauge(
    "peacewatch_batch_version", "the table's version that the newest complete batch run has computed, as MongoDB has it"
)
UNLANDED: Final = Gauge("peacewatch_landing_unlanded", "messages that wait in the partitions of this process")
EXPIRING: Final = Gauge("peacewatch_landing_expiring", "partitions whose unlanded reports are near their expiry")
