"""What a stranger can make the notifier hold, write and show is bounded, and a flood costs the flooder first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from fleet import wire
from fleet.alerts.alert import Alert, Severity, conflict_id, content_of
from fleet.alerts.rules import incident_key
from fleet.notifications import delivery as deliveries
from fleet.notifications import digest_rows, policy
from fleet.notifications.actions import MOST_SILENCES, Action, SilenceOrders, Target
from fleet.notifications.delivery import DELIVERY_BYTES, ROWS_BYTES, Delivery
from fleet.notifications.incident import first
from fleet.notifications.known_alerts import KnownAlerts
from fleet.notifications.message import digest_embed
from fleet.notifications.notification import Notification
from fleet.notifications.policy import DecisionReason, decide
from fleet.notifications.quota import DRONE_QUOTA, WINDOW, Quota
from fleet.notifications.state import StateBounds
from fleet.reports.report import Citizen
from tests.support.world import ALL, START, World, alert

CONTROL = "\x01" * 199


def hostile(number: int, at: datetime, severity: Severity = "critical") -> Alert:
    """One that is six times as large as JSON as its characters say."""
    text = f"{number:04}{CONTROL}"[:200]
    return msgspec.structs.replace(
        alert(number, at, severity=severity),
        alert_id=f"unrest/{text}/{text}/{number}",
        drone_id=text,
        report_id=text,
        city=f"{number:04}x{CONTROL}",
        country=text,
        message="\x01" * 1000,
        citizens=[Citizen(f"{n}{CONTROL[:99]}", 1) for n in range(3)],
    )


# bytes


def test_nine_hundred_hostile_alerts_fit_their_deliveries() -> None:
    world = World()
    for number in range(900):
        world.add(hostile(number, world.now))
    world.drain()
    assert max(map(len, world.written)) <= DELIVERY_BYTES
    assert sorted(world.notified) == sorted(one.alert_id for one in world.log)
    assert sum(world.shown.values()) == 900
    assert all(wire.size(one.counted.rows) <= ROWS_BYTES for one in world.delivered() if one.counted)
    world.crash()
    assert not world.state.incidents.pending


def test_one_incident_with_long_ids_leaves_room_for_the_others_of_its_message() -> None:
    world = World()
    for number in range(500):
        raised = hostile(number, world.now)
        world.add(msgspec.structs.replace(raised, city="Flooded", country="Germany"))
    world.raise_alert(1, "moderate")
    sent = world.next()
    assert sent is not None
    assert len(sent.slots) == 2
    assert len(deliveries.encode(world.state.record(sent, "m1", world.now))) <= DELIVERY_BYTES


def large(alerts: int) -> Delivery:
    world = World()
    for number in range(alerts):
        world.add(hostile(number, world.now))
    world.wait(7)
    sent = world.next()
    assert sent is not None
    return world.state.record(sent, "m1", world.now)


def test_a_delivery_is_split_until_it_fits_and_says_the_same() -> None:
    whole = large(40)
    parts = [whole]
    while any(len(deliveries.encode(part)) > 60_000 for part in parts):
        parts = [
            smaller
            for part in parts
            for smaller in (deliveries.split(part) if len(deliveries.encode(part)) > 60_000 else [part])
        ]
    assert sorted(id_ for part in parts for id_ in part.alert_ids) == sorted(whole.alert_ids)
    assert len({part.delivery_id for part in parts}) == len(parts)
    for part in parts:
        of = {
            id_: whole.incidents[i].incident_id for id_, i in zip(whole.alert_ids, whole.alert_incidents, strict=True)
        }
        for id_, index in zip(part.alert_ids, part.alert_incidents, strict=True):
            assert part.incidents[index].incident_id == of[id_]
    assert {part.counted.alerts for part in parts if part.counted} == {whole.counted.alerts if whole.counted else 0}


def test_message_refused_in_every_split_is_given_up() -> None:
    part, splits = large(1), 0
    while smaller := deliveries.split(part):
        [part], splits = smaller, splits + 1
    assert splits == 1
    assert [one.heard for one in part.incidents] == [""]


# fairness


@pytest.mark.parametrize("same_drone", [True, False])
def test_twenty_real_incidents_are_named_amid_a_flood(same_drone: bool) -> None:
    """Two critical alerts a second in invented cities, of one drone or of as many; a real one every six seconds."""
    world, named, real = World(), "", []
    for second in range(240):
        for half in range(2):
            flood = alert(len(world.log), world.now, city=10_000 + 2 * second + half, severity="critical")
            world.add(msgspec.structs.replace(flood, drone_id="flooder") if same_drone else flood)
        if 60 <= second < 180 and second % 6 == 0:
            real.append((f"City {second}", world.now))
            world.raise_alert(second, "moderate")
        world.wait(1)
        while sent := world.next():
            world.record(sent, world.take(sent))
            if sent.digest is not None:
                named += digest_embed(sent.digest, "http://page").description
            named += "".join(f" {one.city}, " for one in sent.shown.values() if sent.slots)
        if same_drone:
            late = [city for city, at in real if world.now - at > timedelta(seconds=21) and f"{city}, " not in named]
            assert late == []
    assert [city for city, _ in real if f"{city}, " not in named] == []
    assert len(real) == 20


def test_incidents_beyond_a_drones_quota_go_last() -> None:
    world = World()
    for city in range(DRONE_QUOTA + 3):
        world.add(msgspec.structs.replace(alert(city, world.now, city, "critical"), drone_id="flooder"))
    world.raise_alert(99, "moderate")
    sent = world.next()
    assert sent is not None
    order = [one.city for one in sent.shown.values()]
    assert order.index("City 99") == DRONE_QUOTA
    assert len(order) == DRONE_QUOTA + 4


def test_an_incident_that_another_drone_sees_is_within_the_quota() -> None:
    world = World()
    for city in range(DRONE_QUOTA + 1):
        world.add(msgspec.structs.replace(alert(city, world.now, city), drone_id="flooder"))
    last = list(world.state.incidents.pending.values())[-1]
    assert not last.within_quota
    world.raise_alert(DRONE_QUOTA)
    assert last.within_quota


def test_rare_places_are_named_before_frequent_ones() -> None:
    world = World()
    for number in range(60):
        world.raise_alert(min(number, 40))
    world.wait(31)
    sent = world.next()
    assert sent is not None
    assert sent.digest is not None
    assert [row.city for row in sent.digest.rows][-1] == "City 40"


def test_a_quota_counts_within_its_window() -> None:
    counted = Quota(2)
    assert [counted.spend("a", START) for _ in range(3)] == [True, True, False]
    assert counted.spend("b", START)
    assert not counted.spend("a", START + WINDOW)
    assert counted.spend("a", START + 3 * WINDOW)


def test_a_quota_counts_no_more_names_than_its_bound() -> None:
    counted = Quota(1, most_counted=3)
    for name in "abcd":
        counted.spend(name, START)
    assert counted.spend("a", START)  # its count is forgotten
    assert not counted.spend("d", START)


def test_a_full_digest_starts_over_so_that_every_place_is_shown() -> None:
    world = World()
    for city in range(digest_rows.SHOWN_ROWS + 20):
        world.raise_alert(city, "critical")
    world.wait(7)
    world.drain()
    for city in range(1000, 1020):
        world.wait(4)
        world.raise_alert(city, "critical")
    world.wait(61)
    for city in range(2000, 2020):
        world.raise_alert(city, "critical")
    world.wait(7)
    posts = [sent for sent in iter(lambda: _step(world), None) if sent.digest and sent.method == "post"]
    assert len(posts) == 1


def _step(world: World) -> Notification | None:
    sent = world.next()
    if sent is not None:
        world.record(sent, world.take(sent))
    return sent


@pytest.mark.parametrize("text", ["x" * 200, "*" * 200, "😀" * 200])
def test_a_digest_shows_its_rows_in_any_case(text: str) -> None:
    rows = [
        deliveries.DigestRow("low_battery", "moderate", text, text, 99_999, text, text + str(n))
        for n in range(digest_rows.SHOWN_ROWS)
    ]
    embed = digest_embed(deliveries.Digest(1, START, START, rows), "http://page")
    assert len(embed.description.splitlines()) == digest_rows.SHOWN_ROWS


# identity


def low(number: int, drone_id: str, at: datetime) -> Alert:
    key = incident_key("low_battery", drone_id, ("", ""))
    changes = {"alert_id": f"low{number}", "kind": "low_battery", "drone_id": drone_id, "incident_key": key}
    return msgspec.structs.replace(alert(number, at), **changes)


def test_ids_of_different_drones_never_meet() -> None:
    world = World()
    for number, drone in enumerate(["paris", "paris/7"]):
        world.add(low(number, drone, world.now))
    assert len(world.incidents) == 2
    world = World()
    for number, (country, city) in enumerate([("A/B", "C"), ("A", "B/C")]):
        world.add(msgspec.structs.replace(alert(number, world.now), country=country, city=city))
    assert len(world.incidents) == 2


def test_a_conflict_is_an_alert_of_its_own_also_after_a_restart() -> None:
    world = World()
    world.raise_alert()
    world.step()
    forged, real = world.log[0], msgspec.structs.replace(world.log[0], message="something else")
    world.add(real)
    assert world.state.conflicts == 1
    world.wait(6)
    world.step()
    assert world.notified == [forged.alert_id, conflict_id(real)]
    world.crash()
    assert not world.state.incidents.pending
    assert world.shown == {"m1": 2}


def test_a_duplicate_that_the_broker_took_later_is_no_conflict() -> None:
    first = alert(1, START)
    assert content_of(first) == content_of(msgspec.structs.replace(first, received_at=START + WINDOW, note="other"))
    known = KnownAlerts()
    assert [known.meet("a", 1), known.meet("a", 1), known.meet("a", 2), known.meet("a")] == [
        "new",
        "duplicate",
        "conflict",
        "duplicate",
    ]


def test_known_alerts_are_forgotten_past_their_bound() -> None:
    known = KnownAlerts(2)
    assert [known.meet(id_) for id_ in "abab"] == ["new", "new", "duplicate", "duplicate"]
    assert [known.meet(id_) for id_ in "cab"] == ["new", "new", "new"]


def test_an_upgrade_keeps_open_incidents() -> None:
    """A delivery of an older notifier: keys joined otherwise, and fields that it did not have."""
    world = World()
    world.raise_alert(1)
    raised = low(2, "paris/7", world.now)
    world.add(raised)
    world.step()
    old = msgspec.json.decode(world.written[0])
    del old["alert_contents"]
    for known in old["incidents"]:
        known["key"] = "low_battery/paris/7" if known["kind"] == "low_battery" else "unrest/Germany/City 1"
        for name in ("unverified", "facts_at", "flaps", "cleared_at"):
            known.pop(name, None)
    world.written = [msgspec.json.encode(old)]
    world.crash()
    world.wait(6)
    world.raise_alert(1)
    world.add(msgspec.structs.replace(raised, alert_id="next", reported_at=world.now, received_at=world.now))
    world.drain()
    assert world.posted == 1
    assert world.shown == {"m1": 4}


# state that grows


def test_forgetting_an_incident_forgets_all_of_it() -> None:
    world = World()
    world.raise_alert()
    for _ in range(2):  # refused alone, then plain
        sent = world.next()
        assert sent is not None
        world.state.refused(sent)
    assert world.state.incidents.refused == 1
    world.drain()
    world.wait(36 * 60)
    assert world.state.incidents.refused == 0
    assert not world.incidents
    world.raise_alert()
    assert next(iter(world.state.incidents.pending.values())).form == "grouped"


def test_a_refused_incident_stays_so_after_a_restart() -> None:
    world = World()
    world.raise_alert()
    for _ in range(2):
        sent = world.next()
        assert sent is not None
        world.state.refused(sent)
    world.drain()
    world.crash()
    assert world.state.incidents.refused == 1


def test_incidents_past_their_bound_are_forgotten_the_flooders_first() -> None:
    world = World(bounds=StateBounds(incidents=10))
    for city in range(30):
        flood = alert(city, world.now, city)
        world.add(msgspec.structs.replace(flood, drone_id="flooder") if city >= 5 else flood)
    world.wait(31)
    sent = world.next()
    assert sent is not None
    assert sent.digest is not None
    world.record(sent, world.take(sent))
    assert len(world.incidents) == 30
    world.wait(1)
    assert sorted(one.city for one in world.incidents) == sorted(f"City {n}" for n in range(10))


def test_messages_past_their_bound_are_left_as_they_are() -> None:
    world = World(bounds=StateBounds(messages=2))
    for city in range(3):
        world.raise_alert(city)
        world.step()
    world.wait(1)
    assert sorted(world.state.messages) == ["m2", "m3"]


def test_actions_on_incidents_that_nobody_knows_are_bounded() -> None:
    world = World(bounds=StateBounds(actions=2))
    alerts = [alert(city, START, city) for city in range(3)]
    for number, later in enumerate(alerts):
        world.state.apply(Action(f"a{number}", "acknowledge", Target(first(later).incident_id), "Mia", START))
    for later in alerts:
        world.add(later)
    assert [incident.acknowledged_by for incident in world.incidents] == ["", "Mia", "Mia"]


# silences


def silence(id_: str, minutes: int, by: str = "Mia") -> Action:
    return Action(id_, "silence", Target(city="City 1"), by, START, until=START + timedelta(minutes=minutes))


def covered(silences: SilenceOrders) -> list[bool]:
    world = World()
    world.raise_alert(1)
    [one] = world.incidents
    return [silences.covers(one, START + timedelta(minutes=minute)) for minute in (5, 30, 90)]


def test_a_shorter_silence_ends_no_longer_one() -> None:
    silences = SilenceOrders()
    silences.enter(silence("long", 60))
    silences.enter(silence("short", 10, by="Tom"))
    assert covered(silences) == [True, True, False]
    silences.enter(Action("end", "unsilence", Target(city="City 1"), "Tom", START, ends="short"))
    assert covered(silences) == [True, True, False]
    silences.enter(Action("end", "unsilence", Target(city="City 1"), "Tom", START))
    assert covered(silences) == [False, False, False]


def test_a_silence_meets_a_place_however_it_is_written() -> None:
    silences = SilenceOrders()
    silences.enter(
        Action("a", "silence", Target(city=" CITY 1"), "Mia", START, until=datetime(2026, 11, 25, tzinfo=UTC))
    )
    assert covered(silences) == [True, True, True]


def test_silences_past_their_bound_end_the_soonest_first() -> None:
    silences = SilenceOrders()
    silences.enter(silence("long", 60))
    for number in range(MOST_SILENCES):
        silences.enter(
            Action(f"s{number}", "silence", Target(city=f"x{number}"), "Mia", START, until=START + timedelta(minutes=5))
        )
    assert len(silences._silences) == MOST_SILENCES
    assert covered(silences) == [True, True, False]


# reasons


def test_a_decision_names_its_reason() -> None:
    world = World()

    def reason() -> DecisionReason:
        return decide(world.state, world.policy, world.now, ALL).reason

    assert reason() is DecisionReason.NOTHING
    world.raise_alert()
    assert reason() is DecisionReason.NEW
    world.step()
    world.raise_alert()
    assert reason() is DecisionReason.RECENT
    world.wait(6)
    assert reason() is DecisionReason.GROWN
    world.step()
    world.wait(300)
    assert reason() is DecisionReason.CHANGED
    world.state.message_deleted("m1")
    assert reason() is DecisionReason.DELETED
    for city in range(1, 90):
        world.raise_alert(city, "critical")
    for _ in range(6):
        world.step()
    assert reason() is DecisionReason.PACED
    world.wait(7)
    assert reason() is DecisionReason.CROWDED
    no_budget = policy.Allowance(first=False, urgent=False, edit=False)
    assert decide(world.state, world.policy, world.now, no_budget).reason is DecisionReason.NO_BUDGET
