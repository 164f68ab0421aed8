"""Which drones are notified as absent, and which are not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.alerts.absence import Absence
from fleet.alerts.absent_drone import AbsenceRule, Heard
from fleet.alerts.alert import Alert
from fleet.alerts.presence import FORGOTTEN, Bounds, Presence
from fleet.reports.report import UNKNOWN
from tests.support.examples import examples

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
RULE = AbsenceRule(interval=60, missed=3, crowd=5)
MANY = AbsenceRule(interval=60, missed=3, crowd=50)


class Sky:
    """Drones that speak once a minute, spread over partitions by their numbers."""

    def __init__(
        self, drones: int, partitions: int = 1, rule: AbsenceRule = RULE, bounds: Bounds | None = None
    ) -> None:
        self.absence, self.now, self.rule = Absence(bounds=bounds or Bounds()), START, rule
        for number in range(partitions):
            self.absence.join(number)
        self.drones = {f"d{n}" for n in range(drones)}
        self.raised: list[Alert] = []

    def hear(
        self, drone: str, lateness: timedelta = timedelta(0), partition: int | None = None, city: str = "Berlin"
    ) -> bool | None:
        number = int(drone[1:]) % len(self.absence.partitions) if partition is None else partition
        heard = Heard(drone, self.now, self.now - lateness, city, "Germany", 52.5, 13.4)
        alert, late = self.absence.partitions[number].hear(self.rule, heard)
        self.raised += [alert] if alert else []
        return late

    def sweep(self) -> None:
        alerts = self.absence.sweep(self.rule, dict.fromkeys(self.absence.partitions, self.now))
        self.raised += [alert for _, alert in alerts]

    def minute(self, speaking: Iterable[str] | None = None, lateness: timedelta = timedelta(0)) -> None:
        for drone in sorted(self.drones if speaking is None else speaking):
            self.hear(drone, lateness)
        self.now += timedelta(minutes=1)
        self.sweep()

    def minutes(self, count: int, speaking: Iterable[str] | None = None) -> None:
        for _ in range(count):
            self.minute(speaking)

    @property
    def presence(self) -> Presence:
        return self.absence.partitions[0]

    @property
    def notified(self) -> list[tuple[str, bool]]:
        return [(alert.drone_id, alert.clears) for alert in self.raised]


def test_a_drone_that_misses_three_intervals_is_notified_once_and_cleared_when_it_speaks() -> None:
    sky = Sky(10)
    sky.minutes(10)
    assert sky.notified == []
    sky.minutes(10, sky.drones - {"d3"})
    assert sky.notified == [("d3", False)]
    assert sky.raised[0].city == "Berlin"
    assert sky.raised[0].note == "last report 2026-11-24 08:09:00 UTC"
    sky.minutes(5)
    assert sky.notified == [("d3", False), ("d3", True)]
    assert len({alert.incident_key for alert in sky.raised}) == 1


def test_many_at_once_are_one_alert_and_cleared_when_they_are_back() -> None:
    sky = Sky(20)
    sky.minutes(10)
    sky.minutes(10, {"d1", "d2"})
    assert sky.notified == [("fleet", False)]
    assert sky.raised[0].note.startswith("18 drones at once")
    sky.minutes(10)
    assert sky.notified == [("fleet", False), ("fleet", True)]
    assert sky.raised[0].incident_key == sky.raised[1].incident_key != "silent/fleet"


def test_two_hundred_over_six_partitions_are_one_crowd_until_they_are_back() -> None:
    """Each partition alone has 33 of them, which would be notified one by one."""
    sky = Sky(240, partitions=6, rule=MANY)
    sky.minutes(10)
    rest = {f"d{n}" for n in range(200, 240)}
    sky.minutes(8, rest)
    assert sky.notified == [("fleet", False)]
    assert sky.raised[0].note.startswith("200 drones at once")
    sky.minutes(5, rest | {f"d{n}" for n in range(0, 200, 6)})  # one partition returns
    assert sky.notified == [("fleet", False)]
    missing = {"d1", "d2", "d3"}
    sky.minutes(5, sky.drones - missing)
    assert sky.notified[:2] == [("fleet", False), ("fleet", True)]
    assert set(sky.notified[2:]) == {(drone, False) for drone in missing}
    sky.minutes(5)
    assert set(sky.notified[5:]) == {(drone, True) for drone in missing}


def test_those_who_speak_once_and_never_again_stop_nobodys_alert() -> None:
    sky = Sky(40, rule=MANY)
    sky.minutes(10)
    for ghost in range(100, 151):
        sky.hear(f"d{ghost}")
    sky.minutes(10)
    assert sky.notified == [("fleet", False)]
    sky.minutes(5, sky.drones - {"d7"})
    assert sky.notified == [("fleet", False), ("d7", False)]
    sky.minutes(3)
    assert sky.notified[2:] == [("d7", True)]
    for _ in range(26):
        sky.minute()
        sky.now += timedelta(minutes=59)
        sky.minutes(4)
    assert sky.notified[3:] == [("fleet", True)]
    assert "d100" not in sky.presence.absent
    assert not any("d100" in sky.presence.saved(number) for number in range(64))


def test_a_stop_of_the_whole_feed_is_one_alert() -> None:
    sky = Sky(20)
    sky.minutes(10)
    sky.minutes(60, set())
    assert sky.notified == [("fleet", False)]
    sky.minutes(10)
    assert sky.notified == [("fleet", False), ("fleet", True)]


def test_after_a_gap_everybody_first_gets_the_time_to_speak() -> None:
    sky = Sky(4)
    sky.minutes(10)
    sky.now += timedelta(hours=1)  # nobody looked meanwhile
    sky.minute({"d1"})
    assert sky.notified == []
    sky.minutes(5)
    assert sky.notified == []


def test_replayed_history_makes_nobody_absent() -> None:
    sky = Sky(10)
    for _ in range(5):
        sky.minute(lateness=timedelta(days=400))
    sky.minutes(60, set())
    assert sky.notified == []


def test_a_slow_clock_is_present_by_the_brokers_time_and_said_to_be_slow() -> None:
    sky = Sky(3)
    for _ in range(10):
        sky.minute(lateness=timedelta(minutes=4))
    assert sky.notified == []
    sky.minutes(10, {"d0", "d1"})
    assert sky.notified == [("d2", False)]
    assert sky.raised[0].note.endswith("by a clock that was 4 min slow")


def test_a_known_drone_that_sends_its_backlog_is_present() -> None:
    sky = Sky(2)
    sky.minutes(10)
    for _ in range(10):
        sky.hear("d1", timedelta(hours=3))
        sky.minute({"d0"})
    assert sky.notified == []


def test_a_late_report_is_late_until_the_clock_was_set_back() -> None:
    sky = Sky(1)
    sky.minutes(2)
    assert sky.hear("d0") is False
    assert sky.hear("d0", timedelta(minutes=5)) is True
    for _ in range(15):
        sky.now += timedelta(minutes=1)
        assert sky.hear("d0", timedelta(days=365)) is True
    sky.now += timedelta(minutes=1)
    assert sky.hear("d0", timedelta(days=365)) is False


def test_a_late_report_says_nothing_of_where_the_drone_is() -> None:
    sky = Sky(1)
    sky.hear("d0", city="Paris")
    sky.hear("d0", timedelta(minutes=5), city="Lyon")
    assert sky.presence.present["d0"].city == "Paris"


def test_a_drone_that_comes_and_goes_is_one_incident_that_says_so() -> None:
    """Every 200 s, at a limit of 180."""
    sky = Sky(1)
    for second in range(0, 12_000, 20):
        sky.now = START + timedelta(seconds=second)
        for n in range(1, 4):
            sky.hear(f"d{n}")
        if second % 200 == 0:
            sky.hear("d0")
        sky.sweep()
    assert not any(alert.clears for alert in sky.raised)
    assert len(sky.raised) < 8
    assert sky.raised[1].note == "absent 2 times in a row: it reports only now and then, last after 200 s"
    assert len({alert.incident_key for alert in sky.raised}) == 1
    assert len({alert.alert_id for alert in sky.raised}) == len(sky.raised)
    sky.minutes(3, ["d0", "d1", "d2", "d3"])
    assert sky.notified[-1] == ("d0", True)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.sampled_from([1, 15, 60, 181, 400, 90_000])),
        min_size=3,
        max_size=30,
    )
)
def test_drones_in_any_partitions_keep_all_sets_true(steps: list[tuple[int, int, int]]) -> None:
    """Each step: a report of a drone in a partition, and the seconds until the next look."""
    sky = Sky(0, partitions=3, rule=AbsenceRule(interval=60, missed=3, crowd=2), bounds=Bounds(known=4, absent=2))
    for drone, partition, seconds in steps:
        sky.hear(f"d{drone}", partition=partition)
        sky.now += timedelta(seconds=seconds)
        sky.sweep()
        for presence in sky.absence.partitions.values():
            present, absent = presence.present.keys(), presence.absent.keys()
            assert not present & absent
            assert present | absent == {drone for drones in presence.buckets.values() for drone in drones}
            for drones in (presence.crowd, presence.newcomers_crowd):
                assert not drones.held.keys() & drones.members.keys()
                assert drones.held.keys() | drones.members.keys() <= absent
            assert presence.strangers.keys() <= presence.newcomers.keys() <= present
            assert presence.absent_newcomers.keys() <= absent


@pytest.mark.parametrize("first", [0, 1])
def test_drone_that_falls_silent_in_two_partitions_is_notified_once(first: int) -> None:
    """One look finds it overdue in both."""
    sky = Sky(6, partitions=2)
    sky.minutes(10)
    sky.hear("d0", partition=first)
    sky.now += timedelta(seconds=5)
    sky.hear("d0", partition=1 - first)
    sky.minutes(8, sky.drones - {"d0"})
    assert sky.notified == [("d0", False)]
    assert [("d0" in presence.absent) for presence in sky.absence.partitions.values()] == [first == 1, first == 0]


@pytest.mark.parametrize("other", ["replayed", "moved", "keyless"])
def test_a_drone_in_two_partitions_counts_where_it_spoke_last(other: str) -> None:
    sky = Sky(6, partitions=6)
    sky.minutes(10)
    if other == "replayed":  # its rejected messages come back by another partitioner
        sky.hear("d0", timedelta(minutes=30), partition=3)
        sky.minutes(10)
        assert "d0" not in sky.absence.partitions[3].present
    elif other == "moved":  # a partition was added
        for _ in range(10):
            sky.hear("d0", partition=3)
            sky.minute(sky.drones - {"d0"})
        assert "d0" not in sky.absence.partitions[0].absent
    else:  # each message goes anywhere
        for number in range(30):
            sky.hear("d0", partition=number % 6)
            sky.minute(sky.drones - {"d0"})
    assert sky.notified == []


def test_an_absent_drone_that_speaks_in_another_partition_is_back() -> None:
    sky = Sky(6, partitions=6)
    sky.minutes(10)
    sky.minutes(5, sky.drones - {"d0"})
    assert sky.notified == [("d0", False)]
    for _ in range(3):
        sky.hear("d0", partition=4)
        sky.minute(sky.drones - {"d0"})
    assert sky.notified == [("d0", False), ("d0", True)]


def test_successor_knows_the_absent_and_gives_the_others_time() -> None:
    sky = Sky(10)
    sky.minutes(10)
    sky.minutes(5, sky.drones - {"d3"})
    old, sky.absence = sky.presence, Absence()
    spoke_at = {drone: at for n in range(64) for drone, at in old.saved(n).items()}
    sky.absence.join(0).restore(spoke_at, {"d3": old.absent["d3"].since})
    sky.minutes(5, sky.drones - {"d3", "d4"})
    assert sky.notified == [("d3", False), ("d4", False)]
    sky.minutes(2)
    assert sky.notified[2:] == [("d3", True), ("d4", True)]


def test_a_drone_absent_for_a_day_is_forgotten() -> None:
    sky = Sky(3)
    sky.minutes(10)
    for _ in range(25):
        sky.minutes(1, {"d1", "d2"})
        sky.now += timedelta(minutes=59)
        sky.minutes(4, {"d1", "d2"})
    assert "d0" not in sky.presence.present
    assert not sky.presence.absent
    assert all("d0" not in sky.presence.saved(n) for n in range(64))


def test_a_drone_without_a_city_is_placed_by_the_nearest() -> None:
    sky = Sky(3)
    sky.minutes(5)
    sky.hear("d0", city=UNKNOWN)
    for _ in range(5):
        sky.now += timedelta(minutes=1)
        sky.hear("d1")
        sky.hear("d2")
        alerts = sky.absence.sweep(RULE, {0: sky.now}, lambda _latitude, _longitude: ("Nearby", "Germany"))
        sky.raised += [alert for _, alert in alerts]
    assert [(alert.drone_id, alert.city, alert.country) for alert in sky.raised] == [("d0", "Nearby", "Germany")]


def test_strangers_have_no_room_beyond_the_bound_and_drive_nobody_out() -> None:
    sky = Sky(10, bounds=Bounds(known=50))
    sky.minutes(3)
    for stranger in range(100, 140):
        sky.hear(f"d{stranger}")
    assert sky.presence.dropped == 0
    for stranger in range(140, 1000):
        sky.hear(f"d{stranger}")
    assert (len(sky.presence.present), sky.presence.dropped) == (50, 860)
    assert sky.drones <= sky.presence.present.keys()
    assert sum(len(drones) for drones in sky.presence.buckets.values()) == 50


def test_a_look_takes_a_slice() -> None:
    sky = Sky(20, bounds=Bounds(slice=8))
    sky.minutes(10)
    sky.now += timedelta(minutes=3)
    sky.sweep()
    assert sky.absence.is_behind
    assert len(sky.presence.crowd.held) == 8
    sky.sweep()
    sky.sweep()
    assert not sky.absence.is_behind
    sky.minutes(2, set())
    assert sky.notified == [("fleet", False)]
    assert sky.raised[0].note.startswith("20 drones at once")


def test_the_absent_are_bounded() -> None:
    sky = Sky(20, bounds=Bounds(absent=3))
    sky.minutes(3)
    sky.minutes(8, {f"d{n}" for n in range(5, 20)})
    assert sky.presence.absent.keys() == {"d2", "d3", "d4"}
    assert timedelta(days=1) == FORGOTTEN
