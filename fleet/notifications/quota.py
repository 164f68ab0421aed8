"""How many incidents a drone or a place may open before those of others go first. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

WINDOW: Final = timedelta(minutes=10)
"""As long as a digest, so that what one drone opens within it is in one list."""

DRONE_QUOTA: Final = 5
"""Incidents that one drone may open within WINDOW before those of others go first: it cannot fly to more cities."""

PLACE_QUOTA: Final = 30
"""The same for one place: thirty drones of one city with low batteries say as much as a hundred."""

MOST_COUNTED: Final = 50_000
"""Drones or places that are counted in one WINDOW. Past it the one counted longest ago is forgotten."""


@dataclass
class Quota:
    """Counts by name, over the present window and the one before."""

    limit: int
    most_counted: int = MOST_COUNTED
    _began: datetime | None = None
    _counts: dict[str, int] = field(default_factory=dict)
    _before: dict[str, int] = field(default_factory=dict)

    def spend(self, name: str, at: datetime) -> bool:
        """Counts one of `name`. Returns whether it is within the limit."""
        self._turn(at)
        self._counts[name] = self._counts.pop(name, 0) + 1
        if len(self._counts) > self.most_counted:
            del self._counts[next(iter(self._counts))]
        return self.is_within(name)

    def is_within(self, name: str) -> bool:
        """Whether what was counted of `name` is within the limit."""
        return self._counts.get(name, 0) + self._before.get(name, 0) <= self.limit

    def _turn(self, at: datetime) -> None:
        if self._began is None or at - self._began >= 2 * WINDOW:
            self._began, self._counts, self._before = at, {}, {}
        elif at - self._began >= WINDOW:
            self._began, self._counts, self._before = at, {}, self._counts


@dataclass
class Quotas:
    """The quotas of all drones and places of a kind."""

    drones: Quota = field(default_factory=lambda: Quota(DRONE_QUOTA))
    places: Quota = field(default_factory=lambda: Quota(PLACE_QUOTA))
