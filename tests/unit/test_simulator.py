"""The simulated fleet: the same for the same seed, on the globe, and with about 1 % alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.places import City, CityIndex
from fleet.reports.report import decode, worst_score
from infra.cities import cities
from laptop.simulator.patrol import MUTE_DRONES, PATROL_KM
from laptop.simulator.simulator import SimulatedFleet
from laptop.simulator.unrest import EPISODE_MINUTES, MEAN_LEVEL, SimulatedUnrest
from laptop.simulator.voices import ENGLISH, voice_of

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

some_cities = st.lists(
    st.builds(
        City,
        st.just("Somewhere"),
        st.sampled_from(["Japan", "Norway", "Iran"]),
        st.floats(-90, 90),
        st.floats(-180, 180),
        st.integers(0, 10**7),
    ),
    min_size=1,
    max_size=12,
)


def fly(drones: Any, reports: Any, seed: int = 7, found: Any = None, step: Any = None) -> Any:
    fleet = SimulatedFleet(found or cities(), drones, seed)
    return list(islice(fleet.reports(START, step or MINUTE / drones), reports))


@given(some_cities, st.integers(1, 40), st.integers(), st.floats(1e-4, 90))
@settings(max_examples=60)
def test_reports_are_reports_on_the_globe(found: Any, drones: Any, seed: Any, seconds: Any) -> None:
    fleet = SimulatedFleet(found, drones, seed)
    messages = list(islice(fleet.messages(START, timedelta(seconds=seconds)), 200))
    reports = [decode(value, START + timedelta(days=1)) for _, value in messages]  # bounds are the decoder's
    assert [key.decode() for key, _ in messages] == [report.drone_id for report in reports]
    assert len({report.report_id for report in reports}) == len(reports)
    assert len({report.drone_id for report in reports}) == min(drones, 200)
    times = [report.reported_at for report in reports]
    assert times == sorted(times)
    again = list(islice(SimulatedFleet(found, drones, seed).messages(START, timedelta(seconds=seconds)), 200))
    assert messages == again


def test_another_seed_or_start_is_another_fleet() -> None:
    ids = {report.report_id for report in fly(20, 100)}
    assert fly(20, 100) != fly(20, 100, seed=8)
    later = islice(SimulatedFleet(cities(), 20, 7).reports(START + MINUTE / 3, MINUTE / 20), 100)
    assert ids.isdisjoint({report.report_id for report in later})


@pytest.mark.parametrize(("drones", "days"), [(1, 30), (20, 4), (300, 0.3)])
def test_about_one_percent_raises_an_alert_and_has_a_reason(drones: Any, days: Any) -> None:
    reports = fly(drones, int(drones * days * 1440))
    alerts = [report for report in reports if report.alert]
    assert 0.006 < len(alerts) / len(reports) < 0.015
    assert all(report.citizens and report.message for report in alerts)
    assert sum(worst_score(report) <= 3 for report in alerts) > 0.7 * len(alerts)


def test_unrest_gathers_in_one_place_for_a_while() -> None:
    reports = fly(100, 100 * 60)
    places = [(report.latitude // 1, report.longitude // 1) for report in reports if report.alert]
    busiest = max(places.count(place) for place in places)
    assert busiest > len(places) / 4


def test_batteries_drain_and_charge() -> None:
    by_drone: dict[str, list[float]] = {}
    for report in fly(10, 10 * 1440):
        by_drone.setdefault(report.drone_id, []).append(report.battery)
    for batteries in by_drone.values():
        changes = [later - earlier for earlier, later in pairwise(batteries)]
        assert min(batteries) < 26
        assert max(batteries) == 100
        assert all(-1.1 <= change <= 4.2 for change in changes)


def test_drones_stay_near_their_cities_and_some_do_not_know_them() -> None:
    home = City("Suva", "Fiji", -18.14, 179.96, 90_000)  # its drones cross the date line
    reports = fly(MUTE_DRONES, MUTE_DRONES * 200, found=[home])
    index = CityIndex([home])
    assert all(index.nearest(r.latitude, r.longitude, within_km=PATROL_KM + 2) for r in reports)
    assert {r.longitude > 0 for r in reports} == {True, False}
    assert {(r.country, r.city) for r in reports} == {("Fiji", "Suva"), (None, None)}


def test_people_speak_several_scripts() -> None:
    said = "".join(report.message for report in fly(4000, 4000))
    scripts = [("a", "z"), ("一", "鿿"), ("ऀ", "ॿ"), ("؀", "ۿ"), ("Ѐ", "ӿ")]
    assert all(any(low <= letter <= high for letter in said) for low, high in scripts)
    assert voice_of("Nowhere") == ENGLISH


def test_no_drones_or_cities_is_bad_input() -> None:
    with pytest.raises(BadInput, match="drones"):
        SimulatedFleet(cities(), 0)
    with pytest.raises(BadInput, match="cities"):
        SimulatedFleet([], 3)


@given(st.integers(), st.integers(1, 400))
@settings(max_examples=30)
def test_the_levels_of_unrest(seed: Any, places: Any) -> None:
    unrest = SimulatedUnrest(seed, places)
    total = 0.0
    for minute in range(3000):
        levels = unrest.levels(minute)
        assert len(levels) <= unrest.lanes
        assert all(0 <= city < places and 0 < level <= 1 for city, level in levels.items())
        total += sum(levels.values())
    if places > 100:  # with few lanes two of them seldom meet in one city
        assert total / 3000 / unrest.lanes == pytest.approx(MEAN_LEVEL, abs=0.1)
    assert EPISODE_MINUTES[0] < EPISODE_MINUTES[1]
