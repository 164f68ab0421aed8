"""The broker's time up to which the partitions are landed, and which of them are behind.

`through` is everywhere the broker's time in ms since 1970 by `topic id/partition`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

THROUGH: Final = "peacewatch.landed_through"
"""The fact of a commit that holds it."""

ALLOWED_LATENESS: Final = timedelta(minutes=10)
"""How much later a drone's report of 23:59 may come over a bad link; later ones are counted as late."""

CLOCKS_APART: Final = timedelta(seconds=10)
"""How far the clocks of this machine and the brokers may differ, where only ours can be read."""


def behind(through: Mapping[str, int], until: datetime) -> list[str]:
    """A sentence for partitions that are not landed up to `until`; empty if all are."""
    times = {key.rpartition("/")[2]: datetime.fromtimestamp(ms / 1000, UTC) for key, ms in through.items()}
    names = sorted((name for name, time in times.items() if time < until), key=lambda name: (len(name), name))
    if not names:
        return []
    least = f"{min(times[name] for name in names):%Y-%m-%d %H:%M} UTC"
    if len(names) == 1:
        return [f"partition {names[0]} is landed up to {least} only"]
    return [f"partitions {_listed(names)} are landed up to {least} only, or little further"]


def _listed(names: list[str]) -> str:
    """`0 to 5` or `0, 2 and 5`."""
    if len(names) > 2 and names == [str(number) for number in range(int(names[0]), int(names[0]) + len(names))]:
        return f"{names[0]} to {names[-1]}"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def topic_of(key: str) -> str:
    """The topic's id in the key of a partition."""
    return key.rpartition("/")[0]


def newest_topic(through: Mapping[str, int]) -> dict[str, int]:
    """The partitions of the newest topic only: a topic that was created again has another id, and later times."""
    newest = topic_of(max(through, key=lambda key: through[key])) if through else ""
    return {key: ms for key, ms in through.items() if topic_of(key) == newest}
