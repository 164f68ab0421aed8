"""Metrics of the web server. Labels come from a fixed list: invented paths add no series."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from infra.metrics import LATENCY_BUCKETS

PARTS: Final = ("statistics", "alerts", "incidents", "drones", "reports", "status", "stream")
"""Resources of the API with a series of their own; the others are counted as `api`, all other paths as `page`."""

REQUEST_SECONDS: Final = Histogram(
    "peacewatch_http_request_seconds",
    "time from a whole request to its answer, by part of the server and status",
    ["part", "status"],
    buckets=LATENCY_BUCKETS,
)
PENDING: Final = Gauge("peacewatch_http_requests_pending", "requests in progress or waiting for a thread")
STREAMS: Final = Gauge("peacewatch_http_streams", "open event streams")
REFUSED: Final = Counter(
    "peacewatch_http_refused",
    "requests and connections that the front refused before the application, by status: too slow, too large, too many",
    ["status"],
)


def part_of(path: str) -> str:
    """The label of a path."""
    if not path.startswith("/api/"):
        return "page"
    _, _, rest = path.removeprefix("/api/").partition("/")
    resource = rest.partition("/")[0]
    return resource if resource in PARTS else "api"
