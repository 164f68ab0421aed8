"""Where a simulated fleet meets unrest: it rises in one place, holds for a while, and ebbs away.

Lanes run side by side, each with one place at a time, so that a larger fleet meets more of it.
"""

from __future__ import annotations

from random import Random
from typing import Final, NamedTuple

CITIES_A_LANE: Final = 50
EPISODE_MINUTES: Final = (15.0, 45.0)
PAUSE_MINUTES: Final = (3.0, 10.0)
RAMP: Final = 0.25
"""The fraction of an episode in which it rises, and also that in which it ebbs away."""

MEAN_LEVEL: Final = (1 - RAMP) * sum(EPISODE_MINUTES) / (sum(EPISODE_MINUTES) + sum(PAUSE_MINUTES))
"""Mean level of a lane over time: the mean of a trapezoid times the share of time outside pauses."""


class Episode(NamedTuple):
    """Unrest in city number `city` between two minutes since the start."""

    city: int
    begins: float
    ends: float

    def level(self, minute: float) -> float:
        """From 0 (calm) to 1 (its height)."""
        passed = (minute - self.begins) / (self.ends - self.begins)
        return max(0.0, min(1.0, passed / RAMP, (1 - passed) / RAMP))


class SimulatedUnrest:
    """The unrest of `cities` cities; the same seed gives the same."""

    def __init__(self, seed: int, cities: int) -> None:
        self.lanes = max(1, cities // CITIES_A_LANE)
        self._cities = cities
        self._random = [Random(f"{seed}/unrest/{lane}") for lane in range(self.lanes)]  # noqa: S311 - no secret
        self._episodes = [self._next(lane, -PAUSE_MINUTES[0]) for lane in range(self.lanes)]

    def levels(self, minute: float) -> dict[int, float]:
        """The level of each city that is not calm at `minute` since the start; minutes never go back."""
        for lane in range(self.lanes):
            while self._episodes[lane].ends <= minute:
                self._episodes[lane] = self._next(lane, self._episodes[lane].ends)
        return {episode.city: level for episode in self._episodes if (level := episode.level(minute)) > 0}

    def _next(self, lane: int, after: float) -> Episode:
        random = self._random[lane]
        begins = after + random.uniform(*PAUSE_MINUTES)
        return Episode(random.randrange(self._cities), begins, begins + random.uniform(*EPISODE_MINUTES))
