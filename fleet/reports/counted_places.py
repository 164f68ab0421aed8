"""Under which country and city a report is counted, so that no drone can swell the figures with invented names. Pure.

A place of the lists is counted under its name, however a drone spells it. Other names are counted within a budget for
each partition of `reports` and event hour; past it a report is counted under OTHER. The drone's own names stay in the
report (`reported_country`, `reported_city`). It is decided once, when a report lands, and written into its row, so all
figures made from rows agree (docs/decisions/0050-places-that-no-list-knows.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from fleet.places import place_key
from fleet.reports.report import UNKNOWN

OTHER: Final = "other"
"""The country and the city of reports whose names are past the budget."""

NAME_BYTES: Final = 128
"""The cost of a name in addition to its UTF-8 bytes: about the rest of its cell in a document."""

COUNTRY_BYTES: Final = 32 * 1024
"""Budget of unknown countries for a partition and hour: some 230 usual names, or 35 of 200 characters of four bytes.
With six partitions and eleven peace scores that is at most 2.4 MB of an hour's document."""

CITY_BYTES: Final = 64 * 1024
"""Budget of unknown cities with their countries for a partition and hour: some 400 usual names."""

MAX_HOURS: Final = 2000
"""Hours remembered of a partition; those used longest ago are read from the lake again."""

HOURS_BYTES: Final = 16 * 1024 * 1024
"""Cost of all names in these hours: 170 hours that a flood has filled. That is more than two batches have, which may
not be in the lake yet; MAX_HOURS of them would be 200 MB a partition."""

ALSO_COUNTRIES: Final = frozenset(
    {
        *("Bahamas, The", "Bosnia And Herzegovina", "Burma", "Congo (Brazzaville)", "Congo (Kinshasa)"),
        *("Côte D’Ivoire", "Gambia, The", "Korea, North", "Korea, South", "Macedonia"),
        *("Micronesia, Federated States Of", "Netherlands", "Saint Helena, Ascension, And Tristan Da Cunha"),
        *("Saint Vincent And The Grenadines", "Sao Tome And Principe", "South Georgia And South Sandwich Islands"),
        *("Swaziland", "Timor-Leste", "Trinidad And Tobago", "Vatican City", "West Bank"),
    }
)
"""Countries in the original data's spelling, where GeoNames has another."""

Pair = tuple[str, str]
"""Country and city."""


class KnownPlaces:
    """The lists: countries, and cities with their countries. `unknown` is always known."""

    def __init__(self, cities: Iterable[Pair] = (), countries: Iterable[str] = ()) -> None:
        self.countries = frozenset({UNKNOWN, *countries})
        self.pairs = frozenset({*cities, *((country, UNKNOWN) for country in self.countries)})

    def spelled(self, country: str, city: str) -> Pair:
        """The names in the spelling of the lists, if they have them: "FRANCE" is "France"."""
        country = self._countries_by_key.get(place_key(country, ""), country)
        return self._pairs_by_key.get(place_key(country, city), (country, city))

    @cached_property
    def _countries_by_key(self) -> dict[str, str]:
        return {place_key(country, ""): country for country in sorted(self.countries)}

    @cached_property
    def _pairs_by_key(self) -> dict[str, Pair]:
        return {place_key(*pair): pair for pair in sorted(self.pairs)}


class _Hour:
    """The unknown names that are counted as they are. `budget`: bytes of countries, and of cities."""

    def __init__(self, budget: tuple[int, int]) -> None:
        self._budget = budget
        self.countries: set[str] = set()
        self.pairs: set[Pair] = set()
        self._country_bytes = self._city_bytes = 0

    @property
    def size(self) -> int:
        """What its names cost, in bytes."""
        return self._country_bytes + self._city_bytes

    def add_country(self, country: str) -> bool:
        """Whether it is counted under its own name."""
        cost = _cost(country)
        if country not in self.countries:
            if self._country_bytes + cost > self._budget[0]:
                return False
            self.countries.add(country)
            self._country_bytes += cost
        return True

    def add_city(self, pair: Pair) -> bool:
        """Whether it is counted under its own name."""
        cost = _cost(*pair)
        if pair not in self.pairs:
            if self._city_bytes + cost > self._budget[1]:
                return False
            self.pairs.add(pair)
            self._city_bytes += cost
        return True


class CountedPlaces:
    """The places of one partition. Its memory can be rebuilt from the rows of an hour, so a restart changes nothing."""

    def __init__(
        self,
        known: KnownPlaces,
        landed: Callable[[int], Iterable[Pair]] = lambda _hour: (),
        budget: tuple[int, int] = (COUNTRY_BYTES, CITY_BYTES),
        hours_bytes: int = HOURS_BYTES,
    ) -> None:
        """`landed`: countries and cities of the rows of an event hour that have landed."""
        self._known, self._landed, self._budget, self._hours_bytes = known, landed, budget, hours_bytes
        self._hours: dict[int, _Hour] = {}

    def count(self, rows: pa.Table) -> pa.Table:
        """Landed rows with the `country` and `city` that they are counted under, in the order of their offsets."""
        countries, cities = (rows[name].combine_chunks().dictionary_encode() for name in ("country", "city"))
        country_names, city_names = countries.dictionary.to_pylist(), cities.dictionary.to_pylist()
        codes = countries.indices.to_numpy().astype("int64") * max(1, len(city_names)) + cities.indices.to_numpy()
        many = len(city_names)
        pairs = {code: (country_names[code // many], city_names[code % many]) for code in np.unique(codes).tolist()}
        strange = [code for code, pair in pairs.items() if pair not in self._known.pairs]
        if not strange:
            return rows
        positions = np.flatnonzero(np.isin(codes, strange))
        hours = rows["event_hour"].to_numpy()[positions].astype("int64")
        _, firsts, names = np.unique(hours << 32 | codes[positions], return_index=True, return_inverse=True)
        counted: dict[int, Pair] = {}
        for number in np.argsort(firsts).tolist():  # as they came: the first ones get the budget
            first = firsts[number]
            pair = pairs[int(codes[positions[first]])]
            if (name := self.counted(int(hours[first]), *pair)) != pair:
                counted[number] = name
        return _renamed(rows, positions, names, counted) if counted else rows

    def counted(self, event_hour: int, country: str, city: str) -> Pair:
        """The names that a report of this hour is counted under."""
        country, city = self._known.spelled(country, city)
        if (country, city) in self._known.pairs:
            return country, city
        hour = self._hour(event_hour)
        # A drone that sends "other" is counted there without a budget: its rows would be the same afterwards.
        if country == OTHER or (country not in self._known.countries and not hour.add_country(country)):
            return OTHER, OTHER
        return country, city if city != OTHER and hour.add_city((country, city)) else OTHER

    def _hour(self, event_hour: int) -> _Hour:
        hour = self._hours.pop(event_hour, None)
        if hour is None:
            self._make_room()
            hour = _Hour(self._budget)
            for country, city in self._landed(event_hour):
                if country not in self._known.countries and country != OTHER:
                    hour.add_country(country)
                if (country, city) not in self._known.pairs and OTHER not in (country, city):
                    hour.add_city((country, city))
        self._hours[event_hour] = hour  # the order of use
        return hour

    def _make_room(self) -> None:
        size = sum(hour.size for hour in self._hours.values())
        while self._hours and (len(self._hours) >= MAX_HOURS or size > self._hours_bytes - sum(self._budget)):
            size -= self._hours.pop(next(iter(self._hours))).size


def _renamed(rows: pa.Table, positions: Any, names: Any, counted: dict[int, Pair]) -> pa.Table:
    """Gives the rows at `positions` the `counted` names, by the numbers in `names`; keeps the drone's own names."""
    columns = {name: rows[name].to_pylist() for name in ("country", "city", "reported_country", "reported_city")}
    for at, number in zip(positions.tolist(), names.tolist(), strict=True):
        if number in counted:
            columns["reported_country"][at], columns["reported_city"][at] = columns["country"][at], columns["city"][at]
            columns["country"][at], columns["city"][at] = counted[number]
    for name, values in columns.items():
        column = rows.schema.field(name)
        rows = rows.set_column(rows.schema.get_field_index(name), column, pa.array(values, column.type))
    return rows


def _cost(*names: str) -> int:
    return NAME_BYTES + sum(len(name.encode()) for name in names)
