"""A believable fleet, from a seed: the same seed, cities, start and step give the same bytes.

Drones patrol around real cities (passed in), batteries drain and charge, people talk in the language of the place,
and peace scores drift into unrest in one place for a while (`laptop.simulator.unrest`). About 1 % of the reports
raise an alert.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Final

from fleet.errors import BadInput
from fleet.places import City
from fleet.reports.report import Report, encode
from laptop.simulator.patrol import SimulatedDrone, Town
from laptop.simulator.unrest import MEAN_LEVEL, SimulatedUnrest

ALERT_SHARE: Final = 0.01
"""Alerts as a share of all reports over a day, as docs/design.md expects of the real fleet."""

_UNREST_SHARE: Final = 0.7 * ALERT_SHARE
_HIGHEST_SURGE: Final = 0.35
"""Even at the height of unrest, two of three reports raise no alert."""

_DRONES_A_CITY: Final = 10
_FEWEST_CITIES: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class SimulatedFleet:
    """`drones` drones, mostly over the larger of `cities`. Raises BadInput if there are no drones or no cities."""

    def __init__(self, cities: Sequence[City], drones: int, seed: int = 0) -> None:
        if drones < 1:
            raise BadInput("drones", "at least one drone is needed")
        if not cities:
            raise BadInput("cities", "the list of cities is empty")
        self._random = random = Random(f"{seed}/fleet")  # noqa: S311 - no secret
        wanted = max(min(drones, _FEWEST_CITIES), drones // _DRONES_A_CITY)
        self._towns = [Town(city, random) for city in _choose(cities, wanted, random)]
        self._drones = [SimulatedDrone(i, self._towns[i % len(self._towns)], random) for i in range(drones)]
        self._unrest = SimulatedUnrest(seed, len(self._towns))
        self._restless: set[int] = set()
        share = self._unrest.lanes / len(self._towns) * MEAN_LEVEL
        self._surge = min(_HIGHEST_SURGE, _UNREST_SHARE / share)
        self._background = ALERT_SHARE - self._surge * share
        for town in self._towns:
            town.settle(0.0, self._background)

    @property
    def cities(self) -> list[City]:
        """Where the fleet flies."""
        return [town.city for town in self._towns]

    def reports(self, start: datetime, step: timedelta) -> Iterator[Report]:
        """Endless: report k is from drone k mod drones, at start + k steps. Call it once: drones keep their state."""
        begin = (start - _EPOCH) // timedelta(microseconds=1)
        step_us = step / timedelta(microseconds=1)
        minutes = step_us / 60e6
        elapsed = min(1.0, minutes * len(self._drones))
        for number in count():
            if number % len(self._drones) == 0 or number % 256 == 0:  # often enough for a fleet of any size
                self._drift(number * minutes)
            yield self._drones[number % len(self._drones)].report(
                begin + round(number * step_us), elapsed, self._random
            )

    def messages(self, start: datetime, step: timedelta) -> Iterator[tuple[bytes, bytes]]:
        """(key, value) of each report, as they go to Kafka."""
        for report in self.reports(start, step):
            yield report.drone_id.encode(), encode(report)

    def _drift(self, minute: float) -> None:
        levels = self._unrest.levels(minute)
        for index in self._restless - levels.keys():
            self._towns[index].settle(0.0, self._background)
        for index, level in levels.items():
            self._towns[index].settle(level, self._background + level * self._surge)
        self._restless = set(levels)


def _choose(cities: Sequence[City], wanted: int, random: Random) -> list[City]:
    """`wanted` different cities, larger ones more likely: weighted sampling by Efraimidis and Spirakis (2006).

    The weight grows slower than the population, so that one country does not take the whole fleet.
    """
    keyed = sorted(((random.random() ** (max(city.population, 1) ** -0.8), city) for city in cities), reverse=True)
    return [city for _, city in keyed[:wanted]]
