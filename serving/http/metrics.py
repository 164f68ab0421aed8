"""Metrics of the response cache."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge

CACHED: Final = Counter(
    "peacewatch_http_figures_cache",
    "requests for figures: hit, answered from the response cache; shared, by another request's answer; miss, computed",
    ["result"],
)

PENDING: Final = Gauge("peacewatch_http_figures_pending", "requests that compute figures, or wait for one that does")
