"""The nearest city: exact everywhere on the globe, and nobody's where no city is near."""

from __future__ import annotations

import unicodedata
from math import asin, cos, radians, sin, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet import identity
from fleet.places import EARTH_RADIUS_KM, NAME_KEY, City, CityIndex, place_key
from infra.cities import cities, places, without_sections

latitudes = st.floats(-90, 90)
longitudes = st.floats(-180, 180)
some_cities = st.lists(st.builds(City, st.just("c"), st.just("C"), latitudes, longitudes, st.just(1)), max_size=30)


def haversine_km(latitude: float, longitude: float, city: City) -> float:
    north, south = radians(latitude), radians(city.latitude)
    half_north, half_east = (north - south) / 2, radians(longitude - city.longitude) / 2
    return (
        2 * EARTH_RADIUS_KM * asin(min(1, sqrt(sin(half_north) ** 2 + cos(north) * cos(south) * sin(half_east) ** 2)))
    )


@given(some_cities, latitudes, longitudes)
def test_the_nearest_is_that_of_the_haversine(found: Any, latitude: Any, longitude: Any) -> None:
    nearest = CityIndex(found).nearest(latitude, longitude, within_km=30_000)
    if not found:
        assert nearest is None
    else:
        best = min(haversine_km(latitude, longitude, city) for city in found)
        assert nearest is not None
        assert haversine_km(latitude, longitude, nearest) == pytest.approx(best, abs=0.01)


@given(some_cities, latitudes, longitudes, st.floats(1, 15_000))
def test_nobody_is_further_than_the_reach(found: Any, latitude: Any, longitude: Any, within_km: Any) -> None:
    nearest = CityIndex(found).nearest(latitude, longitude, within_km)
    best = min((haversine_km(latitude, longitude, city) for city in found), default=40_000.0)
    if abs(best - within_km) > 0.01:
        assert (nearest is not None) == (best < within_km)


@pytest.mark.parametrize(
    ("latitude", "longitude", "expected"),
    [
        (50.94, 6.96, ("Köln", "Germany")),
        (52.52, 13.405, ("Berlin", "Germany")),  # not its quarter Mitte
        (-33.8688, 151.2093, ("Sydney", "Australia")),
        (-18.0, -179.9, ("Nasinu", "Fiji")),  # over the date line
        (0.0, -30.0, None),  # mid-Atlantic
        (90.0, 0.0, None),
    ],
)
def test_the_shipped_list(latitude: Any, longitude: Any, expected: Any) -> None:
    nearest = places().nearest(latitude, longitude)
    assert (nearest and (nearest.name, nearest.country)) == expected


def test_the_shipped_list_covers_the_world() -> None:
    assert len(cities()) > 30_000
    assert len({city.country for city in cities()}) > 200
    assert [city.population for city in cities()] == sorted((city.population for city in cities()), reverse=True)


def test_a_part_of_a_larger_city_is_no_city() -> None:
    large = City("Berlin", "Germany", 52.52437, 13.41053, 3_400_000)
    part, suburb = large._replace(name="Mitte", population=100_000), large._replace(name="Potsdam", population=140_000)
    far = suburb._replace(latitude=52.39886, longitude=13.06566)
    twin = large._replace(name="Twin", population=1_000_000)
    assert without_sections([large, twin, far, part]) == (large, twin, far)
    assert without_sections([]) == ()


@pytest.mark.parametrize("written", ["Zürich", "Zu\u0308rich", "ZÜRICH", " Zürich\u00a0 ", "Z\u00fc\u200brich"])
def test_a_place_has_one_key_however_it_is_written(written: str) -> None:
    assert place_key("Switzerland", written) == place_key("switzerland", "zürich") == "switzerland/zürich"


@pytest.mark.parametrize("empty", ["", " ", "\u00a0\t", "\u200b", "unknown"])
def test_an_empty_name_is_the_unknown_place(empty: str) -> None:
    assert place_key("Germany", empty) == "germany/unknown"


def test_different_places_have_different_keys() -> None:
    names = [("A", "B/C"), ("A/B", "C"), ("A", "B C"), ("A%2FB", "C"), ("", "A")]
    assert len({place_key(*name) for name in names}) == len(names)


def test_a_long_name_has_a_short_key_of_its_own() -> None:
    at_the_bound, past = "x" * NAME_KEY, "x" * (NAME_KEY + 1)
    assert place_key("", at_the_bound) == f"unknown/{at_the_bound}"
    assert len(place_key("", past)) == len(f"unknown/{at_the_bound}")
    assert len({place_key("", past), place_key("", past + "y"), place_key("", "\ufdfa" * 200)}) == 3
    assert len(place_key("", "\ufdfa" * 200)) <= NAME_KEY + len("unknown/")


@given(st.text(max_size=60) | st.text("a ß\u00a0\u200b\u00ad\ue000\u3000\u0378ﬁ\t\u202e", max_size=20))
def test_a_key_has_no_unseen_character_and_one_space_between_words(name: str) -> None:
    """As it is found character by character; most names need no look at each."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    unseen = {"Cc", "Cf", "Cs", "Co"}
    seen = [c for c in folded if c.isspace() or unicodedata.category(c) not in unseen]
    assert identity.split(place_key("", name))[1] == (" ".join("".join(seen).split()) or "unknown")
