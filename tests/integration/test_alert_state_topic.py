"""What the rules remember, on a real broker: of any size, in the old layout, and refused for good without a loop."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from kafka.admin import ConfigResource, ConfigResourceType

from fleet.alerts.absence import Absence
from fleet.alerts.absent_drone import AbsenceRule, Heard
from fleet.alerts.presence import BUCKETS
from fleet.alerts.rules import Low, LowBatteryRule, Memory, Rules, Sighting, judge
from fleet.reports.report import Report
from infra.kafka import clients
from infra.kafka.failures import PERMANENT
from speed_layer.alerting.alert_state import AlertState, JudgedPartition
from speed_layer.alerting.alerter import PRODUCER

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
RULE = AbsenceRule(crowd=5)


@pytest.fixture
def state(kafka: str, topic: Callable[..., str]) -> Iterator[AlertState]:
    name, source = topic("alert-state", partitions=2), topic("reports")
    with closing(clients.producer(kafka, **PRODUCER)) as producer:
        yield AlertState(kafka, name, source, producer)


def partition(number: int = 0, absence: Absence | None = None) -> JudgedPartition:
    return JudgedPartition(Memory(absence=absence or Absence(), number=number))


def hear(one: JudgedPartition, drone: str, at: datetime = NOW) -> None:
    one.memory.presence.hear(RULE, Heard(drone, at, at, "Paris", "France", 48.8, 2.3))


def heard(drone: str, minute: int, said: int | None = None) -> Heard:
    """A report that the broker has in `minute`, and its drone's clock dates to `said`."""
    at, reported_at = (NOW + timedelta(minutes=number) for number in (minute, minute if said is None else said))
    return Heard(drone, at, reported_at, "Paris", "France", 48.8, 2.3)


def test_saved_state_is_loaded(state: AlertState) -> None:
    absence = Absence()
    one = partition(0, absence)
    one.memory.remember_low("low/1", Low(2, NOW))
    for drone in ["low/1", "gone", *(f"d{n}" for n in range(200))]:
        hear(one, drone)
    absence.sweep(RULE, {0: NOW})
    for minute in range(1, 9):
        for drone in ["low/1", *(f"d{n}" for n in range(200))]:
            hear(one, drone, NOW + timedelta(minutes=minute))
        absence.sweep(RULE, {0: NOW + timedelta(minutes=minute)})
    assert [drone for drone, absent in one.memory.presence.absent.items() if absent.notified] == ["gone"]
    one.advance(17)
    while one.memory.presence.changed:
        assert state.save({0: one}) == {}
    again = state.load([0, 1])
    assert (again[0].offset, again[1].offset) == (17, 0)
    assert again[0].memory.low.keys() == {"low/1"}
    assert again[0].memory.low["low/1"].step == 2
    assert again[0].memory.presence.absent.keys() == {"gone"}
    assert again[0].memory.presence.absent["gone"].since == NOW
    assert len(again[0].memory.presence.present) == 201
    one.memory.forget_low("low/1")
    state.save({0: one})
    assert state.load([0])[0].memory.low == {}


def test_the_successor_knows_clocks_and_who_has_just_come_back(state: AlertState) -> None:
    """By the first a late report is late; by the second the next report in time ends an absence, as it would have."""
    absence = Absence()
    one = partition(0, absence)
    for minute in range(9):
        for drone in ["steady", *(["gone"] if minute in (0, 8) else [])]:
            hear(one, drone, NOW + timedelta(minutes=minute))
        absence.sweep(RULE, {0: NOW + timedelta(minutes=minute)})
    slow = heard("slow", 8, said=-3)
    one.memory.presence.hear(RULE, slow)
    state.save({0: one})  # with one bucket alone: the others are older than who has come back
    for _ in range(2):
        again = state.load([0])[0].memory.presence
        again.hear(RULE, heard("gone", 8))  # read again
        cleared, _ = again.hear(RULE, heard("gone", 9))
        assert cleared is not None
        assert cleared.clears
        while one.memory.presence.changed:
            state.save({0: one})
    known = {"steady": (NOW + timedelta(minutes=8),) * 2, "slow": (slow.reported_at, slow.at)}
    saved = {drone: clock for number in range(64) for drone, clock in again.clocks(number).items()}
    assert {drone: saved[drone] for drone in known} == known
    _, late = again.hear(RULE, heard("steady", 9, said=2))
    assert late


def test_a_crowd_is_known_to_the_successor(state: AlertState) -> None:
    absence = Absence()
    one = partition(0, absence)
    for minute in range(10):
        for drone in ["here", *(f"d{n}" for n in range(20 if minute < 3 else 0))]:
            hear(one, drone, NOW + timedelta(minutes=minute))
        absence.sweep(RULE, {0: NOW + timedelta(minutes=minute)})
    assert (absence.crowd.size, len(one.memory.presence.crowd.members)) == (20, 20)
    while one.memory.presence.changed:
        state.save({0: one}, (absence.crowd.size, absence.crowd.name))
    successor = Absence()
    again = state.load([0], successor)[0]
    assert (successor.crowd.size, successor.crowd.name) == (20, absence.crowd.name)
    assert again.memory.presence.crowd.members == one.memory.presence.crowd.members


def test_nine_hundred_low_drones_with_long_names_are_saved(state: AlertState) -> None:
    """Their names take 1.2 MB as JSON: one message of them all was larger than the client takes."""
    one = partition()
    names = ["\x01" * 197 + f"{number:03}" for number in range(900)]
    for name in names:
        one.memory.remember_low(name, Low(1, NOW))
        hear(one, name)
    one.advance(900)
    while one.memory.presence.changed:
        assert state.save({0: one}) == {}
    again = state.load([0])[0]
    assert (again.offset, set(again.memory.low), set(again.memory.presence.present)) == (900, set(names), set(names))


def test_a_bucket_that_shrinks_leaves_no_part_behind(state: AlertState, kafka: str) -> None:
    one = partition()
    presence = one.memory.presence
    for number in range(900):
        hear(one, "\x01" * 197 + f"{number:03}")
    presence.buckets = {0: dict.fromkeys(presence.present)}
    presence.changed = {0}
    state.save({0: one})
    assert one.parts[0] > 1
    presence.buckets = {0: dict(list(presence.buckets[0].items())[:3])}
    presence.changed = {0}
    state.save({0: one})
    assert one.parts[0] == 1
    assert len(state.load([0])[0].memory.presence.present) == 3


def test_the_old_layout_is_read(kafka: str, topic: Callable[..., str]) -> None:
    name, source = topic("alert-state", partitions=2), topic("reports")
    with closing(clients.producer(kafka, **PRODUCER)) as producer:
        state = AlertState(kafka, name, source, producer)
        old: dict[str, Any] = {"offset": 5, "low": ["a/b", "c"], "silent": ["gone"], "crowd": 0}
        spoke = {"spoke_at": {"gone": "2026-11-24T07:00:00Z", "c": "2026-11-24T08:00:00Z"}}
        key = f"alerting/{state.source_id}/0"
        producer.send(name, json.dumps(old).encode(), key=key.encode()).get(30)
        producer.send(name, json.dumps(spoke).encode(), key=f"{key}/spoke/7".encode()).get(30)
        one = state.load([0])[0]
        assert (one.offset, set(one.memory.low)) == (5, {"a/b", "c"})
        assert one.memory.presence.absent["gone"].since == datetime(2026, 11, 24, 7, tzinfo=UTC)
        assert one.memory.presence.present.keys() == {"c"}
        state.save({0: one})
        again = state.load([0])[0]
        assert (set(again.memory.low), set(again.memory.presence.absent)) == ({"a/b", "c"}, {"gone"})


def test_permanent_refusal_affects_one_partition(kafka: str, topic: Callable[..., str]) -> None:
    name, source = topic("alert-state", partitions=2), topic("reports")
    with closing(clients.admin(kafka)) as admin:
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": "2000"})])
    with closing(clients.producer(kafka, **PRODUCER)) as producer:
        state = AlertState(kafka, name, source, producer)
        large, small = partition(0), partition(1)
        for number in range(100):
            hear(large, hashlib.sha512(b"%d" % number).hexdigest())  # nothing to compress
        large.memory.presence.buckets = {0: dict.fromkeys(large.memory.presence.present)}
        large.memory.presence.changed = {0}
        small.memory.remember_low("d1", Low(1, NOW))
        for one in (large, small):
            one.advance(10)
        refused = state.save({0: large, 1: small})
        assert refused.keys() == {0}
        assert isinstance(refused[0], PERMANENT)
        assert (large.is_changed, small.is_changed) == (True, False)
        assert large.memory.presence.changed == {0}
        found = state.load([0, 1])
        assert (found[0].offset, found[1].offset, set(found[1].memory.low)) == (0, 10, {"d1"})


def report_of(drone: str, second: int, late: int, battery: float) -> Sighting:
    at = NOW + timedelta(seconds=second)
    said = at - timedelta(seconds=late)
    found = Report(f"r{second}", drone, said, 48.8, 2.3, battery, [], "", alert=False, country="France", city="Paris")
    return Sighting(found, at, lambda *_: None)


@pytest.mark.parametrize("seed", range(2))
def test_run_with_restarts_raises_the_same_as_an_uninterrupted_one(state: AlertState, seed: int) -> None:
    """Of reports in time, and of those that are older than what their drone had reported BUCKETS checkpoints before.

    Each drone reports in time every `gap` seconds, and each second ends with a checkpoint.
    """
    chance, gap, rules = random.Random(seed), 5, Rules(low_battery=LowBatteryRule(), silent=RULE)
    drones = [f"d{number}" for number in range(30)]
    whole, broken = partition(), partition()
    for second in range(2 * BUCKETS + 60):
        seen = [
            report_of(d, second, 0, chance.choice([4.0, 9.0, 15.0, 25.0, 60.0])) for d in drones[second % gap :: gap]
        ]
        late = chance.choice([BUCKETS + gap + 1, 2 * BUCKETS, 600])
        seen += [report_of(d, second, late, chance.choice([4.0, 60.0])) for d in chance.sample(drones, 3)]
        for one in seen if second > 2 * BUCKETS else seen[: len(drones) // gap]:
            expected, raised = judge(rules, whole.memory, one), judge(rules, broken.memory, one)
            assert raised == expected, (second, one.report)
        broken.advance(second)
        state.save({0: broken})
        if second > 2 * BUCKETS and chance.random() < 0.1:
            broken = state.load([0])[0]
            assert broken.offset == second
            behind = timedelta(seconds=BUCKETS + gap)
            for drone, low in whole.memory.low.items():
                again = broken.memory.low[drone]
                assert (again.step, low.at - again.at <= behind) == (low.step, True)
