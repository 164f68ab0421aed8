"""Which drones are new to the fleet, how they become known, and that they drive out nobody who is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from fleet.alerts.absence import Absence
from fleet.alerts.absent_drone import AbsenceRule, Heard
from fleet.alerts.alert import Alert
from fleet.alerts.elsewhere import AbsenceShare
from fleet.alerts.newcomer import FLEET_KNOWN_AFTER, KNOWN_AFTER, KNOWN_REPORTS, Newcomer, reports_needed
from fleet.alerts.presence import FORGOTTEN, Bounds, Presence
from fleet.alerts.rules import LowBatteryRule, Memory, Rules, Sighting, UnrestRule, Watchword, judge, mark_newcomers
from fleet.alerts.salvage import salvaged
from fleet.reports.report import Report
from tests.support.examples import examples

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = AbsenceRule()


def hear(presence: Presence, drone: str, at: datetime, reported_at: datetime | None = None) -> None:
    presence.hear(RULE, Heard(drone, at, reported_at or at, "Paris", "France", 48.8, 2.3))


def an_old_fleet(drones: int = 3, bounds: Bounds | None = None) -> tuple[Presence, datetime]:
    """A partition of drones that have reported for twice as long as it takes to be known; and the time."""
    presence, at = Absence(bounds=bounds or Bounds()).join(0), START
    while at <= START + FLEET_KNOWN_AFTER:
        for number in range(drones):
            hear(presence, f"old-{number}", at)
        at += MINUTE
    return presence, at


def test_where_the_fleet_is_new_nobody_is_a_newcomer() -> None:
    presence = Absence().join(0)
    assert not presence.is_newcomer("d1", START)
    hear(presence, "d1", START)
    last = START + FLEET_KNOWN_AFTER - MINUTE
    hear(presence, "d2", last)
    assert not presence.is_newcomer("d2", last)
    assert not presence.is_newcomer("never heard", last)
    assert presence.is_newcomer("never heard", last + MINUTE)


def test_drones_of_the_first_hour_are_known_once_there_are_newcomers() -> None:
    presence, at = an_old_fleet()
    assert [drone for drone in presence.present if presence.is_newcomer(drone, at)] == []
    assert presence.is_newcomer("invented", at)


@pytest.mark.parametrize(("reports", "minutes", "is_known"), [(30, 60, True), (29, 60, False), (60, 59, False)])
def test_it_takes_an_hour_and_thirty_reports_to_be_known(reports: int, minutes: int, is_known: bool) -> None:
    assert (timedelta(minutes=60), 30) == (KNOWN_AFTER, KNOWN_REPORTS)
    presence, at = an_old_fleet()
    for number in range(reports):
        hear(presence, "d1", at + number * timedelta(minutes=minutes) / (reports - 1))
    assert presence.is_newcomer("d1", at + timedelta(minutes=minutes)) is not is_known
    assert ("d1" in presence.newcomers) is not is_known


@pytest.mark.parametrize(("seconds", "reports"), [(1, 30), (60, 30), (120, 15), (600, 3), (1800, 2), (86_400, 2)])
def test_a_fleet_that_reports_less_often_needs_fewer_reports(seconds: int, reports: int) -> None:
    assert reports_needed(timedelta(seconds=seconds)) == reports
    assert AbsenceRule(interval=seconds).reports_needed == reports


def test_one_harmless_report_an_hour_ago_makes_no_drone_known() -> None:
    presence, at = an_old_fleet()
    hear(presence, "prepared", at)
    hear(presence, "prepared", at + KNOWN_AFTER)
    assert presence.is_newcomer("prepared", at + KNOWN_AFTER)


def test_history_makes_no_drone_known_and_no_fleet_old() -> None:
    presence = Absence().join(0)
    for number in range(200):
        hear(presence, "replayed", START + number * MINUTE, START + number * MINUTE - timedelta(days=3))
    assert presence.began is None
    assert not presence.is_newcomer("replayed", START + timedelta(days=2))


def test_a_forgotten_drone_is_a_newcomer_again_and_a_forgotten_fleet_a_new_fleet() -> None:
    presence, at = an_old_fleet()
    at += FORGOTTEN
    hear(presence, "old-0", at)
    presence.forget_old(at)
    assert presence.present.keys() == {"old-0"}
    assert presence.is_newcomer("old-1", at)
    presence.forget_old(at + FORGOTTEN)
    assert not presence.is_newcomer("old-1", at + FORGOTTEN)


def test_absence_makes_no_newcomer_known_and_no_known_drone_new() -> None:
    presence, at = an_old_fleet()
    hear(presence, "new", at)
    for minute in range(1, 6):
        hear(presence, "old-0", at + minute * MINUTE)
        presence.look(RULE, at + minute * MINUTE)
    assert presence.absent.keys() == {"old-1", "old-2", "new"}
    assert (presence.newcomers, presence.absent_newcomers) == ({}, {"new": None})
    later = at + 6 * MINUTE
    for drone in ("old-1", "new"):
        hear(presence, drone, later)
    assert [presence.is_newcomer(drone, later) for drone in ("old-1", "old-2", "new")] == [False, False, True]
    assert presence.newcomers.keys() == {"new"}


# several partitions


def test_a_partition_without_drones_is_of_an_old_fleet() -> None:
    """Else a flood that is sent to it would count as known for two hours."""
    absence = Absence()
    first, empty = absence.join(0), absence.join(1)
    hear(first, "old", START)
    at = START + FLEET_KNOWN_AFTER
    assert not empty.is_newcomer("invented", at - MINUTE)
    hear(empty, "invented", at)
    assert empty.is_newcomer("invented", at)
    absence.elsewhere.note(AbsenceShare(2), at)
    assert not empty.is_newcomer("invented", at), "its drones may be known to the other process"


def test_a_known_drone_that_moves_to_another_partition_stays_known() -> None:
    absence = Absence()
    first, second = absence.join(0), absence.join(1)
    for minute in range(130):
        hear(first, "old", START + minute * MINUTE)
        hear(second, "other", START + minute * MINUTE)
    at = START + 130 * MINUTE
    hear(first, "new", at)
    assert not second.is_newcomer("old", at)
    for drone in ("old", "new"):
        hear(second, drone, at)
    assert [second.is_newcomer(drone, at) for drone in ("old", "new")] == [False, True]
    assert second.newcomers.keys() == {"new"}
    first.forget("old")
    assert not second.is_newcomer("old", at)


# no room


def test_newcomers_drive_out_no_known_drone() -> None:
    """Each reports twice, so that it is no stranger, and others are absent."""
    presence, at = an_old_fleet(10, Bounds(known=50))
    for number in range(500):
        for _ in range(1 + number % 2):
            hear(presence, f"invented-{number}", at)
    assert len(presence.present) == 50
    assert sum(drone.startswith("old-") for drone in presence.present) == 10
    assert presence.newcomers.keys() == {drone for drone in presence.present if drone.startswith("invented")}


def test_absent_newcomers_drive_out_no_absent_known_drone() -> None:
    presence, at = an_old_fleet(5, Bounds(absent=10))
    for number in range(30):
        hear(presence, f"invented-{number}", at)
    presence.look(RULE, at + RULE.limit)
    presence.look(RULE, at + 2 * RULE.limit)
    presence.forget_old(at + 2 * RULE.limit)
    assert len(presence.absent) == 10
    assert sum(drone.startswith("old-") for drone in presence.absent) == 5


# what is marked


RULES = Rules(UnrestRule(), LowBatteryRule(), Watchword(("fire",)), AbsenceRule())


def seen(drone: str, at: datetime, **changes: object) -> Sighting:
    values: dict[str, object] = {"battery": 60.0, "alert": False, "message": "", **changes}
    report = Report("r1", drone, at, 48.8, 2.3, citizens=[], country="France", city="Paris", **values)  # type: ignore[arg-type]
    return Sighting(report, at, lambda *_: None)


def an_old_memory() -> tuple[Memory, datetime]:
    memory, at = Memory(), START
    while at <= START + FLEET_KNOWN_AFTER:
        judge(RULES, memory, seen("known", at))
        at += MINUTE
    return memory, at


@pytest.mark.parametrize("drone", ["known", "invented"])
def test_alerts_of_every_rule_say_whether_their_drone_is_a_newcomer(drone: str) -> None:
    memory, at = an_old_memory()
    alerts = judge(RULES, memory, seen(drone, at, battery=4.0, alert=True, message="fire"))
    alerts += judge(RULES, memory, seen(drone, at + MINUTE, battery=80.0))
    for minute in range(2, 8):
        judge(RULES, memory, seen("other", at + minute * MINUTE))
        alerts += [alert for _, alert in memory.absence.sweep(RULE, {0: at + minute * MINUTE})]
    alerts += judge(RULES, memory, seen(drone, at + 9 * MINUTE))
    alerts += judge(RULES, memory, seen(drone, at + 10 * MINUTE))
    raised = {(alert.kind, alert.clears): alert.newcomer for alert in alerts if alert.drone_id == drone}
    kinds = ["unrest", "low_battery", "watchword", "silent"]
    expected = [(kind, False) for kind in kinds] + [("low_battery", True), ("silent", True)]
    assert raised == dict.fromkeys(expected, drone == "invented")


def test_a_broken_message_is_of_a_newcomer_unless_it_names_a_known_drone() -> None:
    memory, at = an_old_memory()

    def alert_in(text: str) -> Alert:
        (alert,) = mark_newcomers(memory, salvaged(text.encode(), ("topic", 0, 1), at), at)
        return alert

    assert not alert_in('{"alert": true, "drone_id": "known"}').newcomer
    assert alert_in('{"alert": true, "drone_id": "invented"}').newcomer
    assert alert_in('{"alert": true, "drone_id": ').newcomer


def test_a_newcomer_is_saved_in_bounded_bytes() -> None:
    precise = START.replace(microsecond=999_999)
    assert len(msgspec.json.encode(Newcomer(precise, KNOWN_REPORTS * 10**9))) < 80


# absence


class Fleet:
    """An old fleet that reports each minute, and invented drones; looked at every 15 s."""

    def __init__(self, drones: int, partitions: int = 2) -> None:
        self.absence, self.now = Absence(), START + FLEET_KNOWN_AFTER
        for number in range(partitions):
            presence = self.absence.join(number)
            presence.restore({f"old-{n}": self.now for n in range(number, drones, partitions)}, {})
            presence.began = START
        self.drones = [f"old-{number}" for number in range(drones)]
        self.raised: list[tuple[datetime, Alert]] = []

    def hear(self, drone: str) -> None:
        number = int(drone.partition("-")[2]) % len(self.absence.partitions)
        heard = Heard(drone, self.now, self.now, "Paris", "France", 48.8, 2.3)
        alert, _ = self.absence.partitions[number].hear(RULE, heard)
        self.raised += [(self.now, alert)] if alert is not None else []

    def minute(self, silent: Collection[str], invented: Sequence[str]) -> None:
        for drone in self.drones:
            if drone not in silent:
                self.hear(drone)
        for quarter in range(4):
            for drone in invented[quarter::4]:
                self.hear(drone)
            alerts = self.absence.sweep(RULE, dict.fromkeys(self.absence.partitions, self.now))
            self.raised += [(self.now, alert) for _, alert in alerts]
            self.now += MINUTE / 4

    @property
    def of_known(self) -> list[tuple[datetime, str, bool]]:
        """When which alerts of known drones were raised, or of a crowd of them."""
        known = ((at, alert) for at, alert in self.raised if not alert.newcomer and "invented" not in alert.drone_id)
        return [(at, alert.alert_id, alert.clears) for at, alert in known]


@settings(max_examples=examples(40), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 4, 60]), st.sampled_from([0, 1, 5, 80]), st.booleans()),
        min_size=6,
        max_size=25,
    )
)
def test_invented_drones_do_not_change_the_absence_of_known_ones(minutes: list[tuple[int, int, bool]]) -> None:
    """Of each minute: how many known drones are silent, how many invented ones speak, whether for the first time."""
    alone, amid, count = Fleet(100), Fleet(100), 0
    for silent, invented, is_new in minutes:
        absent = {f"old-{number}" for number in range(silent)}
        count += invented if is_new else 0
        alone.minute(absent, [])
        amid.minute(absent, [f"invented-{number}" for number in range(max(0, count - invented), count)])
    assert amid.of_known == alone.of_known
    assert all(alert.drone_id == "fleet" or "invented" in alert.drone_id for _, alert in amid.raised if alert.newcomer)


def test_crowd_of_drones_that_report_once_hides_no_absent_known_drone() -> None:
    fleet = Fleet(10)
    for minute in range(12):
        names = [f"invented-{minute * 100 + number}" for number in range(100)]
        fleet.minute({"old-3"} if minute > 3 else set(), names)
    assert [alert.drone_id for _, alert in fleet.raised if not alert.newcomer] == ["old-3"]
    crowd = [alert for _, alert in fleet.raised if alert.newcomer]
    assert {alert.incident_key for alert in crowd} == {"silent//new 0"}
    assert crowd[0].note.endswith(" drones at once: they are new to the fleet")
    assert len({alert.alert_id for _, alert in fleet.raised}) == len(fleet.raised)


def test_a_new_drone_that_falls_silent_on_a_quiet_day_is_raised() -> None:
    fleet = Fleet(10)
    for minute in range(10):
        fleet.minute(set(), ["invented-1"] if minute < 3 or minute > 7 else [])
    raised = [(alert.drone_id, alert.clears, alert.newcomer) for _, alert in fleet.raised]
    assert raised[:1] == [("invented-1", False, True)]


def test_the_crowd_of_newcomers_ends_when_they_are_back() -> None:
    fleet = Fleet(10)
    names = [f"invented-{number}" for number in range(80)]
    for minute in range(12):
        fleet.minute(set(), names if minute < 3 or minute > 8 else [])
    assert [(alert.drone_id, alert.clears) for _, alert in fleet.raised] == [("fleet", False), ("fleet", True)]
    assert not any(presence.newcomers_crowd.members for presence in fleet.absence.partitions.values())
