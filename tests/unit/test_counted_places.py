"""Invented places are kept in their reports, and counted under "other" past a budget a partition and hour."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.figures.cube import HOURS
from fleet.reports import counted_places
from fleet.reports.counted_places import COUNTRY_BYTES, NAME_BYTES, OTHER, CountedPlaces, KnownPlaces
from fleet.reports.landed import SCHEMA
from infra.cities import known_places
from infra.mongo.cells import encoded_size
from speed_layer.landing.decoding import CHUNK_HOURS
from tests.support.lakes import START, row, table

KNOWN = KnownPlaces([("France", "Paris"), ("Chad", "Faya")], ["France", "Chad"])
HOUR = 7


def rows(*places: tuple[str, str], hour: int = HOUR) -> pa.Table:
    return table(row(n, START, country=country, city=city, event_hour=hour) for n, (country, city) in enumerate(places))


def pairs(counted: pa.Table) -> list[tuple[str, str]]:
    return list(zip(counted["country"].to_pylist(), counted["city"].to_pylist(), strict=True))


def said(counted: pa.Table) -> list[tuple[str, str]]:
    """What the drones said themselves."""
    return [
        (one["reported_country"] or one["country"], one["reported_city"] or one["city"]) for one in counted.to_pylist()
    ]


@pytest.mark.parametrize(
    ("sent", "counted"),
    [
        (("France", "Paris"), ("France", "Paris")),
        (("FRANCE", " paris "), ("France", "Paris")),
        (("France", "PARIS\u200b"), ("France", "Paris")),
        (("France", " "), ("France", "unknown")),
        (("unknown", "unknown"), ("unknown", "unknown")),
        (("France", "Nowhere"), ("France", "Nowhere")),
        (("Atlantis", "Poseidonis"), ("Atlantis", "Poseidonis")),
    ],
)
def test_a_place_is_counted_under_the_name_of_the_lists(sent: tuple[str, str], counted: tuple[str, str]) -> None:
    found = CountedPlaces(KNOWN).count(rows(sent))
    assert (pairs(found), said(found), found.schema) == ([counted], [sent], SCHEMA)


def test_countries_are_counted_under_their_own_names_up_to_the_budget_and_not_past_it() -> None:
    name = "x" * (1024 - NAME_BYTES - 2)
    most = COUNTRY_BYTES // 1024
    sent = [(f"{n:02}{name}", "unknown") for n in range(most + 1)]
    found = CountedPlaces(KNOWN).count(rows(("France", "Paris"), *sent, sent[0], ("Chad", "Faya")))
    assert pairs(found)[: most + 1] == [("France", "Paris"), *sent[:most]]
    assert pairs(found)[most + 1 :] == [(OTHER, OTHER), sent[0], ("Chad", "Faya")]
    assert said(found)[most + 1] == sent[most]


def test_cities_are_too_and_their_country_stays() -> None:
    sent = [("France", f"{n:04}" + "x" * 120) for n in range(300)]
    found = pairs(CountedPlaces(KNOWN).count(rows(*sent)))
    own = [pair for pair in found if pair[1] != OTHER]
    assert own == sent[: len(own)]
    assert len(own) == counted_places.CITY_BYTES // (NAME_BYTES + len("France") + 124)
    assert set(found) - set(own) == {("France", OTHER)}


def test_each_hour_has_a_budget_of_its_own() -> None:
    places = CountedPlaces(KNOWN)
    sent = [(f"{n:03}" + "x" * 500, "unknown") for n in range(100)]
    first = pairs(places.count(rows(*sent)))
    assert (OTHER, OTHER) in first
    assert pairs(places.count(rows(*sent, hour=HOUR + 1))) == first


names = st.sampled_from(["France", "Chad", "unknown", OTHER]) | st.text("ab", min_size=1, max_size=3)


SMALL = (4 * NAME_BYTES, 6 * NAME_BYTES)
"""A budget of a few names."""


@given(st.lists(st.tuples(names, names), max_size=40), st.integers(0, 40), st.integers(0, 40))
def test_a_process_that_takes_over_counts_as_the_one_before(sent: list[tuple[str, str]], at: int, chunk: int) -> None:
    whole = pairs(CountedPlaces(KNOWN, budget=SMALL).count(rows(*sent)))
    first = CountedPlaces(KNOWN, budget=SMALL)
    before = pairs(first.count(rows(*sent[:at])))
    successor = CountedPlaces(KNOWN, lambda _hour: dict.fromkeys(before), budget=SMALL)
    rest = sent[at:]
    assert before + pairs(successor.count(rows(*rest[:chunk]))) + pairs(successor.count(rows(*rest[chunk:]))) == whole


@given(st.lists(st.tuples(names, names, st.integers(0, 5)), max_size=60))
def test_hours_in_turn_bring_no_budget_back(sent: list[tuple[str, str, int]]) -> None:
    """There is room for two hours: what a third one drives out is read from the lake again."""
    lake: dict[int, dict[tuple[str, str], None]] = {}
    bounded = CountedPlaces(KNOWN, lambda hour: lake.get(hour, {}), SMALL, hours_bytes=2 * sum(SMALL))
    whole = CountedPlaces(KNOWN, budget=SMALL)
    for country, city, hour in sent:
        pair = bounded.counted(hour, country, city)
        assert pair == whole.counted(hour, country, city)
        lake.setdefault(hour, {})[pair] = None


def test_the_names_of_all_hours_are_bounded() -> None:
    """An hour that is used again and again stays, and one that is not goes past the bound, not before it."""
    asked: list[int] = []
    names_of = {"budget": SMALL, "hours_bytes": 10 * sum(SMALL)}
    places = CountedPlaces(KNOWN, lambda hour: asked.append(hour) or (), **names_of)  # type: ignore[func-returns-value,arg-type]
    for hour in range(25):
        for number in range(6):
            places.counted(hour, str(number), "y")
        places.counted(0, "0", "unknown")
        assert asked == list(range(hour + 1))
    places.counted(24, "0", "unknown")
    assert asked == list(range(25))
    places.counted(1, "0", "unknown")
    assert asked == [*range(25), 1]
    full = COUNTRY_BYTES + counted_places.CITY_BYTES
    assert (2 * CHUNK_HOURS + 1) * full < counted_places.HOURS_BYTES, "two batches, which may not be in the lake yet"


def test_names_that_a_drone_can_add_to_an_hour_are_bounded() -> None:
    """Of a partition: cells with one peace score each, however many it sends."""
    sent = [(f"{n:05}" + chr(0x1F300 + n % 100) * 190, "unknown") for n in range(3000)]
    sent += [(f"{n:05}", "unknown") for n in range(3000)]
    cells = HOURS.fold(CountedPlaces(KNOWN).count(rows(*sent)))
    assert encoded_size(cells.filter(pc.equal(cells["worst_score"], 1))) < 2 * COUNTRY_BYTES


def test_the_lists_know_what_the_original_data_say() -> None:
    known: Any = known_places()
    for country in ("France", "Korea, South", "Congo (Kinshasa)", "Côte D’Ivoire", "Netherlands", "The Netherlands"):
        assert country in known.countries
    assert ("Japan", "Tokyo") in known.pairs
    assert known.spelled("GERMANY", "BERLIN") == ("Germany", "Berlin")
