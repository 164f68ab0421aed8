"""Up to which broker time the partitions are landed, and what that leaves to wait for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

GRACE: Final = timedelta(minutes=10)
"""A drone's report of 23:59 may come so much later over a bad link; what is later still is counted as late."""


def behind(through: Mapping[str, int], until: datetime) -> list[str]:
    """A sentence of each partition that is not landed up to `until`; `through`: ms since 1970 by `topic id/number`."""
    times = {key: datetime.fromtimestamp(ms / 1000, UTC) for key, ms in sorted(through.items())}
    return [
        f"partition {key.rpartition('/')[2]} is landed up to {time:%Y-%m-%d %H:%M} UTC only"
        for key, time in times.items()
        if time < until
    ]
