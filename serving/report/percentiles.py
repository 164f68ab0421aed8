"""Percentiles of counted values. Pure."""

from __future__ import annotations

from collections import Counter


def percentile(counted: Counter[int], share: float) -> float | None:
    """The nearest-rank percentile of counted values: a value that occurred, no mean of two. None without values."""
    rank = -int(-counted.total() * share // 1)
    for value in sorted(counted):
        rank -= counted[value]
        if rank <= 0:
            return float(value)
    return None
