"""Up to which broker time the partitions are landed, and what that leaves to wait for.

`through` is everywhere the broker's time in ms since 1970 by `topic id/partition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

THROUGH: Final = "peacewatch.landed_through"
"""The fact of a commit that says so."""

ALLOWED_LATENESS: Final = timedelta(minutes=10)
"""A drone's report of 23:59 may come so much later over a bad link; what is later still is counted as late."""

CLOCKS_APART: Final = timedelta(seconds=10)
"""What the clocks of a machine and the brokers may differ by, where only our own can be asked."""


def behind(through: Mapping[str, int], until: datetime) -> list[str]:
    """A sentence of each partition that is not landed up to `until`."""
    times = {key: datetime.fromtimestamp(ms / 1000, UTC) for key, ms in sorted(through.items())}
    return [
        f"partition {key.rpartition('/')[2]} is landed up to {time:%Y-%m-%d %H:%M} UTC only"
        for key, time in times.items()
        if time < until
    ]


def topic_of(key: str) -> str:
    """The topic's id in the key of a partition."""
    return key.rpartition("/")[0]


def newest_topic(through: Mapping[str, int]) -> dict[str, int]:
    """The partitions of the newest topic alone: a topic that was created again has another id, and later times."""
    newest = topic_of(max(through, key=lambda key: through[key])) if through else ""
    return {key: ms for key, ms in through.items() if topic_of(key) == newest}
