"""A flood of alerts from invented drones delays nobody whom the fleet has known for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert, Severity
from fleet.alerts.rules import incident_key
from fleet.notifications import delivery as deliveries
from fleet.notifications import digest_rows, policy
from fleet.notifications.actions import Action, Target
from fleet.notifications.delivery import DELIVERY_BYTES, Digest, DigestRow
from fleet.notifications.message import digest_embed
from fleet.notifications.notification import Notification
from fleet.notifications.policy import PASSED_OVER, Allowance, Policy
from fleet.notifications.quota import DRONE_QUOTA, PLACE_QUOTA
from fleet.notifications.state import StateBounds
from tests.support.examples import examples
from tests.support.world import START, World, alert

TICK = timedelta(seconds=0.5)
SEVERITIES: list[Severity] = ["critical", "high", "moderate"]


def newcomer(number: int, at: datetime, city: int, severity: Severity = "critical") -> Alert:
    """An alert of an invented drone, in an invented place."""
    return msgspec.structs.replace(alert(number, at, city, severity), newcomer=True)


def low_newcomer(number: int, at: datetime, city: int, severity: Severity = "critical") -> Alert:
    key = incident_key("low_battery", f"d{number}", ("", ""))
    return msgspec.structs.replace(
        newcomer(number, at, city, severity), kind="low_battery", incident_key=key, alert_id=f"low{number}"
    )


@dataclass
class Channel:
    """A world in which it is noted when each city was first named: in a message of its own, or by a digest."""

    world: World = field(default_factory=World)
    named: dict[str, timedelta] = field(default_factory=dict)
    raised: dict[str, datetime] = field(default_factory=dict)

    def raise_known(self, city: int, severity: Severity) -> None:
        self.raised.setdefault(f"City {city}", self.world.now)
        self.world.raise_alert(city, severity)

    def flood(self, count: int, severity: Severity, city: int | None = None) -> None:
        for _ in range(count):
            number = len(self.world.log)
            make = low_newcomer if number % 3 == 0 else newcomer
            self.world.add(make(number, self.world.now, 10_000 + number if city is None else city, severity))

    def send(self) -> None:
        while (sent := self.world.next()) is not None:
            self.world.record(sent, self.world.take(sent))
            for city in self.raised.keys() - self.named.keys():
                if names(sent, city):
                    self.named[city] = self.world.now - self.raised[city]

    def wait(self, seconds: float) -> None:
        for _ in range(int(timedelta(seconds=seconds) / TICK)):
            self.world.wait(TICK.total_seconds())
            self.send()


def names(sent: Notification, city: str) -> bool:
    """Whether people are disturbed by a message that names the city, or read it in the digest."""
    if sent.digest is not None:
        return f"{city}, " in digest_embed(sent.digest, "http://page").description
    return sent.method == "post" and any(known.city == city for known in sent.shown.values())


def usual(severity: Severity) -> timedelta:
    """The longest that an incident among few others waits: for the pace of messages, or for the next digest."""
    policy = Policy()
    return max(policy.pace, policy.patience[severity] + policy.digest_every) + 2 * TICK


STEPS = st.one_of(
    st.tuples(st.just("known"), st.integers(0, 29), st.sampled_from(SEVERITIES)),
    st.tuples(st.just("flood"), st.sampled_from([1, 7, 60, 400]), st.sampled_from(SEVERITIES)),
    st.tuples(st.just("flood here"), st.integers(0, 29), st.sampled_from(SEVERITIES)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3, 12, 45]), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_a_known_drone_is_notified_within_its_usual_time(steps: list[tuple[str, object, Severity]]) -> None:
    """Whatever newcomers raise before, after and in the same city: its own message, or its name in a digest."""
    channel = Channel()
    severities: dict[str, Severity] = {}
    for name, what, severity in steps:
        match name, what:
            case "known", int(city) if f"City {city}" not in channel.raised:
                severities[f"City {city}"] = severity
                channel.raise_known(city, severity)
            case "flood", int(count):
                channel.flood(count, severity)
            case "flood here", int(city):
                channel.flood(3, severity, city)
            case "wait", float() | int():
                channel.wait(float(what))
            case "restart", _:
                channel.world.crash()
        channel.send()
    channel.wait(70)
    late = {
        city: (severities[city], channel.named.get(city))
        for city in channel.raised
        if channel.named.get(city, timedelta.max) > usual(severities[city])
    }
    assert late == {}
    channel.world.drain()
    assert sorted(channel.world.notified) == sorted(raised.alert_id for raised in channel.world.log)
    assert sum(channel.world.shown.values()) == len(channel.world.log) + channel.world.repeated


# a storm of one severity, of drones that are all known


@pytest.mark.parametrize("severity", ["critical", "high"])
def test_a_storm_that_outlasts_a_head_start_delays_nothing_more_severe(
    severity: Severity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a fleet of half a million drones begins its first day with one in seven low on battery."""
    monkeypatch.setattr(policy, "DIGEST_INCIDENTS", 20)
    channel = Channel()
    for number in range(1500):
        channel.world.raise_alert(100 + number, "moderate")
    for city in range(20):
        channel.wait(12)
        assert len(channel.world.state.incidents.pending) > 400, "the storm is over: it shows nothing"
        channel.raise_known(city, severity)
    channel.wait(40)
    assert max(channel.named.values()) <= usual(severity)
    assert channel.named.keys() == channel.raised.keys()


def test_storm_of_critical_alerts_delays_nothing_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "DIGEST_INCIDENTS", 20)
    monkeypatch.setattr(policy, "HEAD_START", timedelta(seconds=20))
    channel = Channel()
    for second in range(150):
        for number in range(40) if second == 30 else ():
            channel.world.raise_alert(number, "moderate")
        for number in range(7):  # more than all messages hold
            channel.world.raise_alert(1000 + 10 * second + number, "critical")
        channel.wait(1)
    pending = {entry.incident.city for entry in channel.world.state.incidents.pending.values()}
    assert len(pending) > 200, "the storm is over: it shows nothing"
    assert not pending & {f"City {number}" for number in range(40)}


# a flood of invented drones in invented places


@pytest.mark.parametrize("count", [2000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_amid_a_flood_a_known_drone_gets_its_own_message_at_once(count: int) -> None:
    channel = Channel()
    channel.flood(count, "critical")
    channel.wait(10)
    for city in range(5):
        channel.raise_known(city, "moderate")
        channel.send()
        channel.wait(12)
    assert set(channel.named.values()) == {timedelta(0)}


@pytest.mark.parametrize("seconds", [0, 2.5, 5, 7.5])
def test_the_digest_of_a_flood_takes_no_message_from_known_drones(seconds: float) -> None:
    """They use all that the pace allows when the flood begins."""
    channel = Channel()
    for city in range(60):
        channel.raise_known(city, "critical")
        channel.wait(4)
        if city == 40:
            channel.wait(seconds)
            channel.flood(60, "critical")
        channel.wait(4)
    assert any(delivery.digest for delivery in channel.world.delivered())
    assert max(channel.named.values()) <= usual("critical")


def test_long_words_of_newcomers_fit_more_than_a_hundred_in_a_delivery() -> None:
    world = World()
    text = "\x01" * 196
    for number in range(400):
        raised = newcomer(number, world.now, number)
        names = {"city": f"{number:04}{text}", "country": text, "drone_id": text, "message": "\x01" * 1000}
        world.add(msgspec.structs.replace(raised, alert_id=f"unrest/{text}/{number}", **names))
    world.wait(7)
    sent = world.next()
    assert sent is not None
    assert sent.digest is not None
    assert sent.alert_count > 100
    world.record(sent, world.take(sent))
    assert len(world.written[-1]) <= DELIVERY_BYTES


def test_newcomers_get_half_of_the_messages_at_once() -> None:
    world = World()
    posts = 0
    for number in range(10):
        world.add(newcomer(number, world.now, number))
        posts += world.posts_now()
    assert posts == Policy().burst // 2
    for city in range(100, 110):
        world.raise_alert(city)
        posts += world.posts_now()
    assert posts == Policy().burst


@pytest.mark.parametrize("seconds", [2, 5, 8, 12])
@pytest.mark.parametrize("severity", SEVERITIES)
def test_where_known_drones_take_all_messages_a_newcomer_is_named_in_a_digest(seconds: int, severity: Severity) -> None:
    """No flood: known drones open an incident every few seconds for minutes, and few are ever pending."""
    channel, at = Channel(), START + 2 * timedelta(minutes=1)
    patience = channel.world.policy.patience[severity]
    city = 0
    while channel.world.now < at + PASSED_OVER * patience + TICK:
        if channel.world.now == at:
            channel.raised["City 9000"] = at
            channel.world.add(newcomer(9000, at, 9000, severity))
        if (channel.world.now - START) % timedelta(seconds=seconds) == timedelta(0):
            channel.raise_known(city, "high")
            city += 1
        channel.send()
        channel.world.wait(TICK.total_seconds())
    assert channel.named["City 9000"] <= PASSED_OVER * patience
    channel.wait(usual("high").total_seconds())
    assert channel.named.keys() == channel.raised.keys()
    assert max(waited for name, waited in channel.named.items() if name != "City 9000") <= usual("high")


def test_on_a_quiet_day_a_few_newcomers_wait_for_messages_of_their_own() -> None:
    """The fourth at once is over its half of the messages, and is no digest's yet."""
    world = World()
    for number in range(Policy().burst // 2 + 1):
        world.add(newcomer(number, world.now, number))
        world.step()
    for _ in range(30):
        world.wait(1)
        world.posts_now()
    assert [delivery.digest for delivery in world.delivered()] == [False] * (Policy().burst // 2 + 1)


def test_on_a_quiet_day_a_newcomer_is_notified_at_once_with_all_that_it_says() -> None:
    world = World()
    world.add(newcomer(0, world.now, 0))
    sent = world.next()
    assert sent is not None
    assert (sent.method, [known.heard for known in sent.shown.values()]) == ("post", ["heard"])


def test_a_message_of_known_drones_has_no_newcomers() -> None:
    world = World()
    for number in range(5):
        world.add(newcomer(number, world.now, number))
    world.raise_alert(99, "moderate")
    sent = world.next()
    assert sent is not None
    assert [known.city for known in sent.shown.values()] == ["City 99"]


def test_unacknowledged_incident_is_notified_again_amid_a_flood() -> None:
    channel = Channel()
    channel.raise_known(1, "high")
    channel.send()
    open_incident = channel.world.incidents[0]
    channel.world.now += channel.world.intervals.repeat
    open_incident.last = channel.world.now
    channel.flood(300, "critical")
    channel.wait(TICK.total_seconds())
    assert open_incident.told_at == channel.world.now


# a place that newcomers and known drones share


def test_known_drone_that_confirms_newcomers_gets_a_new_message() -> None:
    """An attacker who has opened an incident in every real city would turn each real alert into a silent edit."""
    world = World()
    world.add(newcomer(0, world.now, 7))
    world.step()
    world.wait(60)
    world.raise_alert(7)
    sent = world.next()
    assert sent is not None
    assert (sent.method, sent.alert_count) == ("post", 1)
    world.record(sent, world.take(sent))
    world.drain()
    assert world.shown == {"m1": 1, "m2": 1}
    assert not world.incidents[0].newcomers_only
    world.crash()
    world.drain()
    assert world.shown == {"m1": 1, "m2": 1}


def test_successor_still_posts_the_message_of_a_confirmed_incident() -> None:
    """Another incident's edit of their message is written in between, and has both as they are."""
    world = World()
    for city in (7, 8):
        world.add(newcomer(city, world.now, city))
    world.step()
    world.wait(60)
    world.add(newcomer(9, world.now, 8))
    world.raise_alert(7)
    edit = world.next(Allowance(first=False, urgent=True, edit=True))
    assert edit is not None
    assert edit.method == "edit"
    world.record(edit, world.take(edit))
    world.crash()
    sent = world.next()
    assert sent is not None
    assert (sent.method, [known.city for known in sent.shown.values()]) == ("post", ["City 7"])


def test_a_confirmed_incident_that_is_silenced_is_only_counted() -> None:
    world = World()
    world.add(newcomer(0, world.now, 7))
    world.step()
    silence = Action("a", "silence", Target(city="City 7"), "Mia", world.now, until=world.now + timedelta(hours=1))
    world.state.apply(silence)
    world.wait(60)
    world.raise_alert(7)
    world.drain()
    assert [delivery.digest for delivery in world.delivered()] == [False, True]


def test_newcomers_do_not_use_up_the_quota_of_a_place() -> None:
    world = World()
    for number in range(PLACE_QUOTA + 5):
        world.add(low_newcomer(3 * number, world.now, 1))
    key = incident_key("low_battery", "honest", ("", ""))
    honest = msgspec.structs.replace(alert(999, world.now, 1), kind="low_battery", incident_key=key, drone_id="honest")
    world.add(honest)
    assert list(world.state.incidents.pending.values())[-1].within_quota


def test_flooder_goes_last_and_its_place_does_not() -> None:
    world = World()
    for city in range(DRONE_QUOTA + 1):
        world.add(msgspec.structs.replace(alert(city, world.now, city), drone_id="flooder"))
    for number in range(PLACE_QUOTA + 1):
        key = incident_key("low_battery", f"honest {number}", ("", ""))
        raised = msgspec.structs.replace(alert(100 + number, world.now, 50), kind="low_battery", incident_key=key)
        world.add(msgspec.structs.replace(raised, drone_id=f"honest {number}"))
    world.add(newcomer(900, world.now, 90))
    world.add(low_newcomer(903, world.now, 91))
    precedence = [entry.precedence for entry in world.state.incidents.pending.values()]
    assert precedence == [3] * DRONE_QUOTA + [0] + [3] * PLACE_QUOTA + [2] + [1, 1]


# the digest


def rows_of(count: int, *, newcomers: bool) -> Iterator[DigestRow]:
    for number in range(count):
        yield DigestRow("unrest", "high", "Germany", f"{number:03} {newcomers}", 1, "a", "a", newcomers=newcomers)


@pytest.mark.parametrize(
    ("known", "newcomers", "named"),
    [(0, 60, (0, digest_rows.SHOWN_ROWS)), (30, 60, (30, 5)), (35, 60, (35, 0)), (210, 60, (200, 0))],
)
def test_newcomers_are_named_in_rows_that_known_drones_leave_free(
    known: int, newcomers: int, named: tuple[int, int]
) -> None:
    rows = [*rows_of(newcomers, newcomers=True), *rows_of(known, newcomers=False)]
    counted = digest_rows.count(Digest(known + newcomers, START, START, rows), [], START)
    assert tuple(sum(row.newcomers is of for row in counted.rows) for of in (False, True)) == named
    assert counted.newcomers == newcomers - named[1]
    assert sum(counted.others.values()) == known - named[0]
    description = digest_embed(counted, "http://page").description
    hidden = sum(f"{row.city}, " not in description for row in counted.rows if row.newcomers) + counted.newcomers
    assert f"**{hidden:,}** alerts of drones that are new to the fleet" in description


def test_newcomers_begin_no_other_digest() -> None:
    full = Digest(100, START, START, list(rows_of(60, newcomers=True)))
    later = START + digest_rows.NAMED_FOR
    assert not digest_rows.is_full(full, later)
    assert digest_rows.is_full(msgspec.structs.replace(full, rows=list(rows_of(36, newcomers=False))), later)


def test_the_remainder_of_newcomers_fits_next_to_every_kind() -> None:
    others = {"unrest": 10**7, "low_battery": 10**7, "watchword": 10**7, "silent": 10**7}
    rows = [
        DigestRow("low_battery", "moderate", "x" * 200, f"{n:03}" + "x" * 197, 99_999, "a", "b")
        for n in range(digest_rows.SHOWN_ROWS)
    ]
    embed = digest_embed(Digest(1, START, START, rows, others, 10**7), "http://page")  # type: ignore[arg-type]
    assert len(embed.description.splitlines()) == digest_rows.SHOWN_ROWS + 5
    assert embed.units <= 6000


# bounds and upgrade


def test_newcomers_are_forgotten_first() -> None:
    world = World(bounds=StateBounds(incidents=20))
    for number in range(40):
        world.add(newcomer(number, world.now, 1000 + number))
    for city in range(20):
        world.raise_alert(city, "critical")
    for _ in range(40):
        world.wait(1)
        world.posts_now()
    assert sorted(known.city for known in world.incidents if not known.newcomers_only) == sorted(
        f"City {city}" for city in range(20)
    )


def test_alerts_and_deliveries_of_the_version_before_are_of_known_drones() -> None:
    world = World()
    world.raise_alert(1)
    assert b"newcomer" not in wire.encode(world.log[0])
    assert not wire.decode(wire.encode(world.log[0])).newcomer
    world.step()
    assert b"newcomer" not in world.written[0]
    assert not deliveries.decode(world.written[0]).incidents[0].newcomers_only


def test_pending_newcomers_are_counted() -> None:
    world = World()
    for number in range(5):
        world.add(newcomer(number, world.now, number % 2))
    world.raise_alert(0)
    assert world.state.incidents.pending_newcomers == 5
    world.drain()
    assert world.state.incidents.pending_newcomers == 0
