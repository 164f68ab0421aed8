"""The notifier's book against a channel that may delete, refuse and forget, and a process that may die at any point."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
from hypothesis import given, settings

from fleet import delivery as deliveries
from fleet.alert import Alert, Severity, alert_id
from fleet.book import Book, Call
from fleet.delivery import Delivery
from fleet.incident import Intervals
from fleet.message import digest_embed, incident_embeds
from fleet.plan import Allowance, Policy, next_call
from fleet.report import Citizen

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
ALL = Allowance(first=True, urgent=True, edit=True)


def alert(number: int, at: datetime, city: int = 0, severity: Severity = "high") -> Alert:
    return Alert(
        alert_id=alert_id("unrest", f"d{number}", f"r{number}"),
        kind="unrest",
        severity=severity,
        incident_key=f"unrest/Germany/City {city}",
        report_id=f"r{number}",
        drone_id=f"d{number}",
        reported_at=at,
        received_at=at,
        country="Germany",
        city=f"City {city}",
        latitude=53.5,
        longitude=9.9,
        battery=50.0,
        citizens=[Citizen("Ada", 3)],
        message="heard",
    )


@dataclass
class World:
    """A log of alerts, a channel and a notifier; deliveries go through their wire form, as in life."""

    now: datetime = START
    intervals: Intervals = field(default_factory=Intervals)
    policy: Policy = field(default_factory=Policy)
    log: list[Alert] = field(default_factory=list)
    ledger: list[bytes] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=dict)  # newest form: the sum of its fields `Alerts`
    posted: int = 0
    repeated: int = 0
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = Book(intervals=self.intervals)

    def raise_alert(self, city: int = 0, severity: Severity = "high") -> None:
        self.log.append(alert(len(self.log), self.now, city, severity))
        self.book.fold(self.log[-1], (0, len(self.log) - 1))

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.book.refresh(self.now)

    def call(self, allowance: Allowance = ALL) -> Call | None:
        return next_call(self.book, self.policy, self.now, allowance)

    def take(self, call: Call) -> str:
        """The channel shows the call's form."""
        if call.digest is not None:
            embeds = [digest_embed(call.digest, "http://page")]
        else:
            embeds = incident_embeds(call.slots, self.book.incidents, call.message_id, self.book.plain)
        assert sum(embed.units for embed in embeds) <= 6000
        assert 1 <= len(embeds) <= 10
        message_id = call.message_id
        if call.method == "post":
            self.posted += 1
            message_id = f"m{self.posted}"
        self.shown[message_id] = sum(int(dict(embed.fields)["Alerts"]) for embed in embeds)
        return message_id

    def tell(self, call: Call, message_id: str) -> None:
        self.ledger.append(deliveries.encode(self.book.told(call, message_id, self.now)))

    def step(self) -> bool:
        call = self.call()
        if call is None:
            return False
        if call.method == "edit" and call.message_id not in self.shown:
            self.book.gone(call.message_id)
        else:
            self.tell(call, self.take(call))
        return True

    def crash(self) -> None:
        """A new notifier: the ledger, then every alert again. It knows told ones by their ids."""
        self.book = Book(intervals=self.intervals)
        for written in self.ledger:
            self.book.replay(deliveries.decode(written))
        self.book.recovered()
        for number, known in enumerate(self.log):
            self.book.fold(known, (0, number))

    def drain(self) -> None:
        for _ in range(4000):
            if not self.step():
                if not (self.book.waiting or self.book.lost or self.book.dirty or self.book.digest_dirty):
                    return
                self.wait(1)
        raise AssertionError("alerts wait for ever")

    @property
    def told(self) -> list[str]:
        return [id_ for written in self.ledger for id_ in deliveries.decode(written).alert_ids]

    def delivered(self) -> list[Delivery]:
        return [deliveries.decode(written) for written in self.ledger]


def test_the_first_alert_of_a_quiet_channel_is_posted_at_once() -> None:
    world = World()
    world.raise_alert()
    call = world.call()
    assert call is not None
    assert (call.method, call.alerts, len(call.slots)) == ("post", 1, 1)


def test_more_of_a_kind_in_a_place_grow_the_same_message_but_not_more_often_than_the_interval() -> None:
    world = World()
    world.raise_alert()
    assert world.step()
    world.raise_alert()
    world.raise_alert()
    assert not world.step()
    world.wait(5)
    assert world.step()
    assert world.posted == 1
    assert world.shown == {"m1": 3}


def test_ten_incidents_share_a_message_the_worst_first() -> None:
    world = World()
    for city in range(15):
        world.raise_alert(city, "critical" if city == 12 else "moderate")
    call = world.call()
    assert call is not None
    assert len(call.slots) == 10
    assert world.book.incidents[call.slots[0].incident_id].city == "City 12"


def test_an_old_moderate_alert_is_not_passed_over_for_ever() -> None:
    world = World(policy=Policy(crowd=10_000))
    world.raise_alert(0, "moderate")
    world.wait(121)
    for city in range(1, 30):
        world.raise_alert(city, "critical")
    call = world.call()
    assert call is not None
    assert world.book.incidents[call.slots[0].incident_id].city == "City 0"


def test_a_storm_over_many_places_is_told_in_few_messages() -> None:
    world = World()
    for city in range(869):
        world.raise_alert(city, ("critical", "high", "moderate")[city % 3])  # type: ignore[arg-type]
    began = world.now
    while world.book.waiting:
        if not world.step():
            world.wait(0.5)
        assert world.book.oldest(["critical"]) is None or world.now - began < timedelta(seconds=12)
    assert world.now - began < timedelta(minutes=2)
    assert sum(world.shown.values()) == 869
    assert world.posted <= 6 + 12
    assert sorted(world.told) == sorted(one.alert_id for one in world.log)


def test_a_quiet_and_a_resolved_incident_say_so_and_are_then_forgotten() -> None:
    world = World()
    world.raise_alert()
    world.step()
    states = []
    for _ in range(40):
        world.wait(60)
        if world.step():
            states.append(world.delivered()[-1].incidents[0].state)
    assert states == ["quiet", "resolved"]
    assert not world.book.incidents
    assert not world.book.messages


def test_an_alert_after_the_end_opens_a_new_incident() -> None:
    world = World()
    world.raise_alert()
    world.step()
    world.wait(36 * 60)
    world.raise_alert()
    world.drain()
    assert len({one.incident_id for done in world.delivered() for one in done.incidents}) == 2
    assert sum(world.shown.values()) == 2


def test_what_nobody_takes_up_is_told_again_and_nothing_is_counted_twice() -> None:
    world = World(intervals=Intervals(repeat=timedelta(minutes=10)))
    for _ in range(25):
        world.raise_alert()
        world.wait(30)
        while world.step():
            pass
    world.drain()
    assert world.posted == 2
    assert sum(world.shown.values()) == 25


def test_a_deleted_message_is_told_anew_with_all_that_it_stood_for() -> None:
    world = World()
    for _ in range(3):
        world.raise_alert()
    world.step()
    world.raise_alert()
    world.wait(6)
    call = world.call()
    assert call is not None
    del world.shown[call.message_id]
    world.book.gone(call.message_id)
    world.drain()
    assert world.shown == {"m2": 4}


def test_what_discord_refuses_is_told_alone_then_plainly_then_only_counted() -> None:
    world = World()
    for city in range(3):
        world.raise_alert(city)
    bad = next(one.incident_id for one in world.book.incidents.values() if one.city == "City 1")
    forms = []
    for _ in range(300):
        call = world.call()
        if call is None:
            if not world.book.waiting:
                break
            world.wait(1)
        elif bad in {slot.incident_id for slot in call.slots}:
            forms.append((len(call.slots), bad in world.book.plain))
            world.book.refused(call)
        else:
            world.tell(call, world.take(call))
    assert forms == [(3, False), (1, False), (1, True)]
    assert sum(world.shown.values()) == 3
    assert [done.incidents[0].incident_id for done in world.delivered() if done.digest] == [bad]


def test_one_incident_with_very_many_alerts_is_told_in_parts_that_fit_a_delivery() -> None:
    world = World()
    for _ in range(20_000):
        world.raise_alert()
    world.drain()
    assert world.shown == {"m1": 20_000}
    assert max(map(len, world.ledger)) < 1_000_000
    world.crash()
    assert not world.book.waiting
    assert [one.alerts for one in world.book.incidents.values()] == [20_000]


OPERATIONS = st.one_of(
    st.tuples(st.just("alert"), st.integers(0, 25), st.sampled_from(["critical", "high", "moderate"])),
    st.tuples(st.just("storm"), st.integers(0, 40), st.sampled_from(["critical", "moderate"])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 3, 7, 61, 400, 2400, 20_000]), st.none()),
    st.tuples(
        st.just("call"), st.sampled_from(["taken", "taken", "taken", "failed", "refused", "gone", "crash"]), st.none()
    ),
    st.tuples(st.just("crash"), st.none(), st.none()),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(OPERATIONS, max_size=60))
def test_every_alert_is_told_once_and_the_counts_add_up(operations: list[tuple[str, object, object]]) -> None:
    """Under any interleaving of alerts, time, failures and crashes between a call and the writing of its delivery."""
    world = World(intervals=Intervals(repeat=timedelta(minutes=1)))
    for name, what, more in operations:
        match name, what:
            case "alert", int(city):
                world.raise_alert(city, more)  # type: ignore[arg-type]
            case "storm", int(places):
                for city in range(places):
                    world.raise_alert(city, more)  # type: ignore[arg-type]
            case "wait", float() | int():
                world.wait(float(what))  # type: ignore[arg-type]
            case "call", str(fate):
                _call(world, fate)
            case "crash", _:
                world.crash()
    world.drain()
    told = world.told
    assert len(told) == len(set(told))
    assert set(told) == {one.alert_id for one in world.log}
    assert sum(world.shown.values()) == len(told) + world.repeated
    _check_incidents(world)


def _call(world: World, fate: str) -> None:
    call = world.call()
    if call is None or fate == "failed":
        return
    if call.method == "edit" and call.message_id not in world.shown:
        fate = "gone"
    if fate == "refused":
        world.book.refused(call)
    elif fate == "gone":
        if call.method == "edit":
            world.shown.pop(call.message_id, None)
            world.book.gone(call.message_id)
    elif fate == "taken":
        world.tell(call, world.take(call))
    else:  # it dies after Discord took the call, and before the delivery was written
        message_id = world.take(call)
        world.crash()
        if call.method == "post":
            world.repeated += world.shown[message_id]


def _check_incidents(world: World) -> None:
    """Every alert is in exactly one incident, and that one is of its kind and place."""
    cities = {one.alert_id: one.city for one in world.log}
    counts: Counter[str] = Counter()
    for delivery in world.delivered():
        for id_, index in zip(delivery.alert_ids, delivery.alert_incidents, strict=True):
            assert delivery.incidents[index].city == cities[id_]
            counts[delivery.incidents[index].incident_id] += 1
    for one in world.book.incidents.values():
        assert one.alerts == counts[one.incident_id]
