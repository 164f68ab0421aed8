"""A simulated drone on patrol, and the town below it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import atan2, cos, hypot, pi, radians, sin
from random import Random
from typing import Final, TypeVar

from fleet.places import City
from fleet.reports.report import Citizen, Report
from laptop.simulator.voices import voice_of

T = TypeVar("T")

PATROL_KM: Final = 8.0
"""How far from the middle of its city a drone flies before it turns back."""

MUTE_DRONES: Final = 40
"""One drone in this many does not name its country and city; the nearest city is then used."""

_KM_A_DEGREE: Final = 111.195
_DRAIN: Final = (0.4, 0.9)  # percent a minute of flight
_CHARGE: Final = 4.0  # percent a minute on a charging roof
_EMPTY: Final = 8.0  # percent: no drone starts below this, and the boldest turns back here
_CROWD: Final = (0, 1, 1, 1, 2, 2, 3)  # how many people a report sees
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Town:
    """A city as the fleet finds it: its people, its mood, and how likely a report from here raises an alert."""

    def __init__(self, city: City, random: Random) -> None:
        self.city = city
        self.voice = voice_of(city.country)
        self.names = self.voice.names
        self.usual = random.uniform(6.0, 8.5)  # peace score of a calm day
        self.settle(0.0, 0.0)

    def settle(self, level: float, alert_chance: float) -> None:
        """Sets the unrest from now on: `level` is 0 (calm) to 1 (its height)."""
        self.alert_chance = alert_chance
        self.score = self.usual - 4.5 * level
        self.talk = self.voice.tense if level > 0.3 else self.voice.calm

    def citizen(self, score: float, random: Random) -> Citizen:
        """A citizen of the town with a peace score near `score`."""
        name = self.names[int(random.random() * len(self.names))]
        return Citizen(name, max(1, min(10, round(random.gauss(score, 1.4)))))


class SimulatedDrone:
    """Where it is (km east and north of the middle of its town), where it heads, and its battery in percent."""

    __slots__ = ("battery", "charging", "east", "heading", "id", "mute", "north", "speed", "town", "turn_back_at")

    def __init__(self, number: int, town: Town, random: Random) -> None:
        self.id = f"PW-{number:06d}"
        self.town = town
        self.mute = number % MUTE_DRONES == MUTE_DRONES - 1
        self.east, self.north = random.uniform(-4, 4), random.uniform(-4, 4)
        self.heading = random.uniform(-pi, pi)
        self.speed = random.uniform(0.3, 0.8)  # km a minute
        self.turn_back_at = random.uniform(_EMPTY, 25.0)
        self.battery = random.uniform(self.turn_back_at, 100)
        self.charging = False

    def report(self, at: int, minutes: float, random: Random) -> Report:
        """Its report at `at` (microseconds since 1970), `minutes` after its last one."""
        self._live(minutes, random)
        latitude, longitude = self._position()
        town = self.town
        alert = random.random() < town.alert_chance
        return Report(
            report_id=f"{self.id}-{at:x}",
            drone_id=self.id,
            reported_at=_EPOCH + timedelta(microseconds=at),
            latitude=latitude,
            longitude=longitude,
            battery=round(self.battery, 1),
            citizens=self._seen(alert, random),
            message=_choice(town.voice.unrest if alert else town.talk, random),
            alert=alert,
            country=None if self.mute else town.city.country,
            city=None if self.mute else town.city.name,
        )

    def _seen(self, alert: bool, random: Random) -> list[Citizen]:
        town = self.town
        if alert:  # someone has to be its cause
            return [
                town.citizen(2.0, random),
                *(town.citizen(town.score - 1, random) for _ in range(_choice(_CROWD, random))),
            ]
        return [town.citizen(town.score, random) for _ in range(_choice(_CROWD, random))]

    def _live(self, minutes: float, random: Random) -> None:
        if self.charging:
            self.battery = min(100.0, self.battery + _CHARGE * minutes)
            self.charging = self.battery < 100.0
            return
        self.battery = max(0.0, self.battery - random.uniform(*_DRAIN) * minutes)
        self.charging = self.battery <= self.turn_back_at
        self._fly(self.speed * minutes, random)

    def _fly(self, km: float, random: Random) -> None:
        if hypot(self.east, self.north) > PATROL_KM:
            self.heading = atan2(-self.north, -self.east)
        else:
            self.heading += random.uniform(-0.5, 0.5)
        self.east += km * cos(self.heading)
        self.north += km * sin(self.heading)

    def _position(self) -> tuple[float, float]:
        """Degrees, valid also near the date line and the poles."""
        city = self.town.city
        latitude = max(-90.0, min(90.0, city.latitude + self.north / _KM_A_DEGREE))
        longitude = city.longitude + self.east / (_KM_A_DEGREE * max(0.02, cos(radians(city.latitude))))
        return round(latitude, 5), round((longitude + 180) % 360 - 180, 5)


def _choice(choices: tuple[T, ...], random: Random) -> T:
    return choices[int(random.random() * len(choices))]  # random.choice takes three times as long
