"""Absence over several alerting processes: one crowd, a true number, and drones that speak in another's partition."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from fleet import wire
from fleet.alerts import elsewhere
from fleet.alerts.absence import Absence
from fleet.alerts.absent_drone import AbsenceRule, Heard
from fleet.alerts.alert import Alert
from fleet.alerts.elsewhere import ASKED_BYTES, HEARD_BYTES, SHARE_LASTS, AbsenceShare, Elsewhere, share_lasts

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
RULE = AbsenceRule(interval=60, missed=3, crowd=50)


class Processes:
    """Six partitions judged by several processes, each of which looks every 15 s and hears the others' shares.

    `offset`: how many seconds after the process before it each looks. With another interval all takes as much longer.
    """

    def __init__(self, split: Iterable[tuple[int, ...]], offset: float = 5.0, rule: AbsenceRule = RULE) -> None:
        self.now, self.rule = START, rule
        self.offset = timedelta(seconds=offset)
        self.processes = [Absence() for _ in split]
        self.owner: dict[int, Absence] = {}
        self.alive = set(range(len(self.processes)))
        self.raised: list[Alert] = []
        for process, numbers in zip(self.processes, split, strict=True):
            for number in numbers:
                process.join(number)
                self.owner[number] = process

    def hear(self, drone: str, partition: int | None = None) -> None:
        number = int(drone[1:]) % 6 if partition is None else partition
        heard = Heard(drone, self.now, self.now, "Berlin", "Germany", 52.5, 13.4)
        alert, _ = self.owner[number].partitions[number].hear(self.rule, heard)
        self.raised += [alert] if alert else []

    def look(self) -> None:
        for at, process in enumerate(self.processes):
            if at in self.alive and process.partitions:
                clock = self.now + at * self.offset
                times = dict.fromkeys(process.partitions, clock)
                self.raised += [alert for _, alert in process.sweep(self.rule, times)]
                self.say(process, clock)

    def say(self, process: Absence, clock: datetime) -> None:
        """As the topic does: each reads what was said, and what `alert-state` has of the absent."""
        for number, presence in process.partitions.items():
            share = elsewhere.decode(elsewhere.encode(process.share(self.rule, number, clock)))
            for other in self.processes:
                if other is process:
                    continue
                other.elsewhere.note(share, clock)
                for drone in [d for d, at in other.elsewhere.absent.items() if at == number]:
                    if drone not in presence.absent:
                        other.elsewhere.note_absent(drone, number, is_absent=False)
                for drone, absent in presence.absent.items():
                    if absent.notified:
                        other.elsewhere.note_absent(drone, number, is_absent=True)

    def minute(self, speaking: Iterable[str]) -> None:
        """Each speaks at its own second."""
        due = sorted((int(drone[1:]) % 60, drone) for drone in speaking)
        began, minute = self.now, timedelta(seconds=self.rule.interval)
        for quarter in range(4):
            for second, drone in due:
                if second // 15 == quarter:
                    self.now = began + second / 60 * minute
                    self.hear(drone)
            self.now = began + (quarter + 1) * self.rule.look_every
            self.look()
        assert self.now == began + minute

    def minutes(self, count: int, speaking: Iterable[str]) -> None:
        for _ in range(count):
            self.minute(speaking)

    @property
    def notified(self) -> list[tuple[str, bool]]:
        return [(alert.drone_id, alert.clears) for alert in self.raised]


DRONES = {f"d{n}" for n in range(240)}
SPLITS = [
    ((0, 1, 2, 3, 4, 5),),
    ((0, 2, 4), (1, 3, 5)),
    ((3, 5), (0, 1), (2, 4)),
    ((0,), (1,), (2,), (3,), (4,), (5,)),
    ((5,), (4,), (3,), (2,), (1,), (0,)),
]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("offset", [0.0, 2.0])
def test_two_hundred_over_several_processes_are_one_crowd(split: tuple[tuple[int, ...], ...], offset: float) -> None:
    fleet = Processes(split, offset)
    fleet.minutes(10, DRONES)
    rest = {f"d{n}" for n in range(200, 240)}
    fleet.minutes(10, rest)
    assert {drone for drone, _ in fleet.notified} == {"fleet"}
    assert not any(clears for _, clears in fleet.notified)
    assert {alert.note.split(" ")[0] for alert in fleet.raised} == {"200"}
    assert len({alert.incident_key for alert in fleet.raised}) == 1
    many = len(fleet.raised)
    fleet.minutes(5, rest | {f"d{n}" for n in range(0, 200, 6)})  # one partition returns
    assert len(fleet.raised) == many
    missing = {"d1", "d2", "d3"}
    fleet.minutes(6, DRONES - missing)
    assert fleet.notified[many] == ("fleet", True)
    assert fleet.raised[many].incident_key == fleet.raised[0].incident_key
    assert sorted(fleet.notified[many + 1 :]) == [(drone, False) for drone in sorted(missing)]
    fleet.minutes(5, DRONES)
    assert sorted(fleet.notified[many + 4 :]) == [(drone, True) for drone in sorted(missing)]


@pytest.mark.parametrize("split", SPLITS)
def test_processes_count_together_whatever_the_interval(split: tuple[tuple[int, ...], ...]) -> None:
    """Shares are said once a minute here: who has said none for 45 s is alive."""
    fleet = Processes(split, rule=AbsenceRule(interval=240, crowd=50))
    fleet.minutes(5, DRONES)
    fleet.minutes(8, DRONES - {f"d{n}" for n in range(120)})  # twenty of each partition, which alone are no crowd
    assert {(alert.drone_id, alert.note.split(" ")[0]) for alert in fleet.raised} == {("fleet", "120")}


@pytest.mark.parametrize("split", SPLITS)
def test_one_absent_drone_is_notified_soon_and_cleared(split: tuple[tuple[int, ...], ...]) -> None:
    fleet = Processes(split)
    fleet.minutes(10, DRONES)
    fleet.minutes(4, DRONES - {"d5"})
    assert fleet.notified == [("d5", False)]
    fleet.minutes(3, DRONES)
    assert fleet.notified == [("d5", False), ("d5", True)]


@pytest.mark.parametrize("split", SPLITS)
def test_a_drone_that_moves_to_another_processs_partition_is_not_absent(split: tuple[tuple[int, ...], ...]) -> None:
    fleet = Processes(split)
    fleet.minutes(10, DRONES)
    for _ in range(10):
        fleet.hear("d0", partition=3)
        fleet.minute(DRONES - {"d0"})
    assert fleet.notified == []
    assert "d0" not in fleet.owner[0].partitions[0].absent
    assert sum(process.misplaced for process in fleet.processes) == 1


@pytest.mark.parametrize("split", SPLITS)
def test_an_absent_drone_that_speaks_in_another_processs_partition_is_back(split: tuple[tuple[int, ...], ...]) -> None:
    fleet = Processes(split)
    fleet.minutes(10, DRONES)
    fleet.minutes(5, DRONES - {"d0"})
    assert fleet.notified == [("d0", False)]
    for _ in range(4):
        fleet.hear("d0", partition=3)
        fleet.minute(DRONES - {"d0"})
    assert fleet.notified == [("d0", False), ("d0", True)]
    fleet.minutes(10, DRONES)  # and where it began it may speak again
    assert fleet.notified == [("d0", False), ("d0", True)]


@pytest.mark.parametrize("split", SPLITS)
def test_a_drone_that_is_silent_in_two_partitions_is_one(split: tuple[tuple[int, ...], ...]) -> None:
    fleet = Processes(split)
    fleet.minutes(10, DRONES)
    fleet.hear("d0", partition=3)
    fleet.hear("d0", partition=0)
    fleet.minutes(10, DRONES - {"d0"})
    assert fleet.notified == [("d0", False)]


def test_a_process_that_is_gone_holds_nobody_up_longer_than_an_interval() -> None:
    fleet = Processes(SPLITS[1])
    fleet.minutes(10, DRONES)
    fleet.alive = {0}
    own = {drone for drone in DRONES if int(drone[1:]) % 2 == 0}
    fleet.minutes(6, own - {"d6"})
    assert fleet.notified == [("d6", False)]


def test_a_successor_of_the_one_that_speaks_for_all_raises_no_second_crowd() -> None:
    fleet = Processes(SPLITS[1])
    fleet.minutes(10, DRONES)
    rest = {f"d{n}" for n in range(200, 240)}
    fleet.minutes(8, rest)
    many = len(fleet.raised)
    old, new = fleet.processes
    for number in (0, 2, 4):  # its partitions move, as `alert-state` has them
        presence = old.partitions[number]
        until = max(presence.absent[drone].since for drone in presence.crowd.members)
        spoke_at = {drone: at for n in range(64) for drone, at in presence.saved(n).items()}
        old.leave(number)
        joined = new.join(number)
        joined.restore(spoke_at, {})
        joined.restore_crowd(until)
        fleet.owner[number] = new
    fleet.minutes(8, rest)
    assert len(fleet.raised) == many
    assert sum(len(presence.crowd.members) for presence in new.partitions.values()) == 200
    fleet.minutes(8, DRONES)
    assert fleet.notified[many:] == [("fleet", True)]


def test_share_is_bounded_and_the_rest_follows_in_the_next() -> None:
    known, own, before = Elsewhere(), {0: None}, START - SHARE_LASTS
    known.note(AbsenceShare(1), START)
    held = [("\x01" * 195 + f"{n:05}", START) for n in range(1000)]
    for round_ in range(1, 20):
        known.confirm(0, own, before)
        known.ask(0, held, START + timedelta(seconds=round_))
        at, asked = known.asked[0]
        assert wire.size(asked) <= ASKED_BYTES
        known.note(AbsenceShare(1, answered={0: at}), START)
        if len(known.confirmed | asked.keys()) == len(held):
            break
    assert round_ == 13
    everybody = {drone: START + timedelta(seconds=1) for drone, _ in held}
    known.note(AbsenceShare(1, round=7, held=dict(held)), START)
    heard, answered = known.answers(0, everybody.get, [], own)
    assert len(heard) < len(held)
    assert wire.size(heard) <= HEARD_BYTES
    assert answered == {}  # not all of it is answered
    known.note(AbsenceShare(1, round=7, held=dict(held[:100])), START)
    assert known.answers(0, everybody.get, [], own)[1] == {1: 7}


def test_process_without_a_recent_share_is_not_waited_for() -> None:
    known = Elsewhere()
    known.note(AbsenceShare(1), START)
    assert known.fresh({0}, START - timedelta(microseconds=1))
    assert not known.fresh({0}, START)
    assert known.known({0})


@pytest.mark.parametrize(("interval", "lasts"), [(8, 45), (60, 45), (120, 90), (600, 450)])
def test_a_share_lasts_three_looks_of_the_rules_interval(interval: float, lasts: float) -> None:
    assert share_lasts(AbsenceRule(interval=interval).look_every) == timedelta(seconds=lasts)
