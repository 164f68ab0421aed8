"""Metrics that every process has, and the buckets that histograms of all rooms share.

Each room keeps its own metrics in a `metrics.py`; docs/operations.md lists them all, which a test checks.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from prometheus_client import Counter, Gauge

LATENCY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Seconds, from a request of a page to an alert that waited an hour for Discord. All use one set, for comparison."""

BUILD: Final = Gauge(
    "peacewatch_build_info",
    "always 1; its labels say which version runs as which process",
    ["version", "process", "python"],
)
RETRIES: Final = Counter("peacewatch_retries", "sessions that ended because a service was away, by loop", ["loop"])


def name_build(process: str) -> None:
    """Sets `peacewatch_build_info` of this process."""
    try:
        installed = version("peacewatch")
    except PackageNotFoundError:  # run from the sources alone
        installed = "unknown"
    BUILD.labels(installed, process, platform.python_version()).set(1)
