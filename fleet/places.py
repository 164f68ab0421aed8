"""Which city a point is nearest to, over a list that is passed in (`infra.cities` loads the shipped one)."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from math import cos, radians, sin
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fleet import identity
from fleet.reports.report import UNKNOWN

EARTH_RADIUS_KM: Final = 6371.0088
"""Mean radius of the Earth (IUGG)."""

REACH_KM: Final = 300.0
"""A drone further than this from every city of the list is at no named place: over an ocean or an ice sheet."""

_CELL: Final = 0.006
"""Edge of an index cell on the unit sphere, about 38 km: 27 cells hold few cities, and near a city seldom none."""


class City(NamedTuple):
    """A city of the list; degrees WGS 84."""

    name: str
    country: str
    latitude: float
    longitude: float
    population: int


Vector = tuple[float, float, float]

_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co"})
"""Unicode categories of invisible characters: two names that differ only by these look the same."""


NAME_KEY: Final = 200
"""Characters of a name in a key. Normal forms can be 18 times as long as a name; the end of a longer one is hashed."""


def place_key(country: str, city: str) -> str:
    """One key for a place, however its name is written: names that differ only by case, normal form, spaces or unseen
    characters are the same place, and an empty name is the unknown place. Keys are for comparing; people read names."""
    return identity.join(_name_key(country), _name_key(city))


KEYS_KEPT: Final = 4096
"""Names whose keys are kept: an alert asks six times for those of its place, and one of long names took 2 ms so."""


@lru_cache(KEYS_KEPT)
def _name_key(name: str) -> str:
    """Compatibility normal form and case folding, as in Unicode's NFKC_Casefold (UAX 31)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = folded
    if not folded.isprintable():  # else no character is unseen, and a space is one of ASCII
        characters = (c for c in folded if c.isspace() or unicodedata.category(c) not in _UNSEEN)
        seen = "".join(" " if c.isspace() else c for c in characters)
    key = " ".join(seen.split()) or UNKNOWN
    return key if len(key) <= NAME_KEY else key[: NAME_KEY - 32] + blake2b(key.encode(), digest_size=16).hexdigest()


class CityIndex:
    """The nearest of `cities`, exact: by the chord between unit vectors, so poles and the date line need no special
    case.

    About 40 µs if there is a city within 38 km, else a scan of the whole list.
    """

    def __init__(self, cities: Sequence[City]) -> None:
        self._cities = tuple(cities)
        self._matrix = unit_vectors(self._cities)
        self._vectors: list[Vector] = list(map(tuple, self._matrix.tolist()))
        self._cells: dict[tuple[int, int, int], list[int]] = {}
        for index, vector in enumerate(self._vectors):
            self._cells.setdefault(_cell(vector), []).append(index)

    def nearest(self, latitude: float, longitude: float, within_km: float = REACH_KM) -> City | None:
        """The nearest city, or None when none is within `within_km`. Of two equally near, the first of the list."""
        point = _unit_vector(latitude, longitude)
        squared, index = self._among_neighbours(point)
        if squared > _CELL**2:  # a city of another cell may be nearer
            squared, index = self._among_all(point)
        reach = 2 * sin(min(within_km / (2 * EARTH_RADIUS_KM), radians(90)))
        return self._cities[index] if squared <= reach**2 else None

    def _among_neighbours(self, point: Vector) -> tuple[float, int]:
        x, y, z = _cell(point)
        distances = [
            (_squared_chord(point, self._vectors[index]), index)
            for i in (x - 1, x, x + 1)
            for j in (y - 1, y, y + 1)
            for k in (z - 1, z, z + 1)
            if (i, j, k) in self._cells
            for index in self._cells[i, j, k]
        ]
        return min(distances, default=(float("inf"), -1))

    def _among_all(self, point: Vector) -> tuple[float, int]:
        if not self._cities:
            return float("inf"), -1
        index = int(np.argmax(self._matrix @ np.array(point)))
        return _squared_chord(point, self._vectors[index]), index


def unit_vectors(cities: Sequence[City]) -> npt.NDArray[np.float64]:
    """One row (x, y, z) a city: the dot product of two is the cosine of the angle between them."""
    return np.array([_unit_vector(city.latitude, city.longitude) for city in cities]).reshape(-1, 3)


def _unit_vector(latitude: float, longitude: float) -> Vector:
    north, east = radians(latitude), radians(longitude)
    return cos(north) * cos(east), cos(north) * sin(east), sin(north)


def _cell(vector: Vector) -> tuple[int, int, int]:
    x, y, z = vector
    return int(x // _CELL), int(y // _CELL), int(z // _CELL)


def _squared_chord(a: Vector, b: Vector) -> float:
    return (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2
