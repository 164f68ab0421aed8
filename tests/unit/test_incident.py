"""An incident by its alerts: which of them speak for it, what ends it, and what people read of it.

One alert is followed from its rule to the channel, field by field; nothing but the rule sets them.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from fleet import wire
from fleet.alerts.absent_drone import AbsenceRule
from fleet.alerts.alert import Alert
from fleet.alerts.charging import Station
from fleet.alerts.rules import LowBatteryRule, Memory, Rules, Sighting, UnrestRule, Watchword, judge
from fleet.notifications.actions import Action, Target
from fleet.notifications.delivery import Slot
from fleet.notifications.incident import INCIDENT_BYTES, Intervals, clear, first, grow, is_due_again, state, takes
from fleet.notifications.message import incident_embeds, percent
from fleet.notifications.state import NotificationState
from fleet.reports.report import Citizen, Report
from tests.support.world import World

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
LIFE = Intervals()
RULES = Rules(
    unrest=UnrestRule(),
    low_battery=LowBatteryRule(stations=(Station("Harbour", 53.6, 10.0),)),
    watchword=Watchword(("fire",)),
    silent=AbsenceRule(crowd=50),
)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def report(**changes: object) -> Report:
    values: dict[str, object] = {
        "report_id": "r1",
        "drone_id": "d1",
        "reported_at": NOW,
        "latitude": 53.55,
        "longitude": 9.99,
        "battery": 60.0,
        "citizens": [],
        "message": "",
        "alert": False,
        "country": "Germany",
        "city": "Hamburg",
    }
    return Report(**{**values, **changes})  # type: ignore[arg-type]


def judged(*reports: Report, memory: Memory | None = None, received_at: datetime = NOW) -> list[Alert]:
    known = memory or Memory()
    return [alert for one in reports for alert in judge(RULES, known, Sighting(one, received_at, lambda *_: None))]


def alert(**changes: object) -> Alert:
    (made,) = judged(report(alert=True))
    return msgspec.structs.replace(made, **changes)


def read(*alerts: Alert) -> dict[str, str]:
    """What people read of the one incident of `alerts`: the fields of its embed, its title and its words."""
    world = World(now=NOW)
    for one in alerts:
        world.add(one)
    sent = world.next()
    assert sent is not None
    [embed] = incident_embeds(sent.slots, sent.shown)
    return {**dict(embed.fields), "title": embed.title, "words": embed.description, "url": embed.url}


# from the rule to the channel


def test_unrest_reads_as_its_report() -> None:
    shown = read(*judged(report(alert=True, message="shouting", citizens=[Citizen("Ada", 2)])))
    assert "Hamburg, Germany" in shown["title"]
    assert "shouting" in shown["words"]
    assert (shown["Alerts"], shown["Worst score"], shown["Battery"]) == ("1", "2", "60 %")
    assert (shown["State"], shown["Reported"]) == ("critical, open", "2026-11-24 08:00:00 UTC")
    assert "Ada" in shown["Who"]
    assert "d1" in shown["Drone"]
    assert "53.5500, 9.9900" in shown["Where"]


def test_a_low_battery_reads_as_battery_and_station_not_as_what_was_heard() -> None:
    shown = read(*judged(report(battery=14.0, message="somebody sings")))
    assert shown["Battery"] == "14 %"
    assert "Harbour" in shown["Charging station"]
    assert "5\\.6 km" in shown["Charging station"]
    assert "sings" not in str(shown)


def test_a_watchword_reads_as_the_word_and_what_was_heard() -> None:
    shown = read(*judged(report(message="there is Fire over there")))
    assert "Fire" in shown["Watchword"]
    assert "over there" in shown["words"]


def test_a_silent_drone_reads_as_its_last_report() -> None:
    memory = Memory()
    judged(report(), memory=memory)
    looks = [memory.absence.sweep(AbsenceRule(), {0: NOW + minutes(minute)}) for minute in range(1, 10)]
    [raised] = [alert for look in looks for _, alert in look]
    assert "2026\\-11\\-24 08\\:00\\:00 UTC" in read(raised)["Note"]


def test_every_field_of_an_alert_is_in_its_delivery() -> None:
    (low,) = judged(report(battery=14.0, message="heard", citizens=[Citizen("Ada", 2)]))
    world = World(now=NOW)
    world.add(low)
    world.drain()
    [delivery] = world.delivered()
    [known] = delivery.incidents
    assert delivery.alert_ids == [low.alert_id]
    assert (known.kind, known.severity, known.country, known.city) == (low.kind, low.severity, low.country, low.city)
    assert (known.since, known.last, known.reported_at) == (low.received_at, low.received_at, low.reported_at)
    assert (known.latitude, known.longitude, known.battery) == (low.latitude, low.longitude, low.battery)
    assert (known.who, known.heard, known.note) == (low.citizens, low.message, low.note)
    assert (known.drones, known.verified, known.worst_score) == ([low.drone_id], low.verified, 2)
    assert low.note


# which alert speaks


def test_an_alert_that_comes_late_overwrites_neither_place_nor_words_nor_time() -> None:
    one = first(alert())
    grow(one, alert(message="now", latitude=1.0, longitude=1.0), LIFE)
    late = alert(
        alert_id="late", reported_at=NOW - minutes(50), received_at=NOW + minutes(1), latitude=2.0, message="old"
    )
    grow(one, late, LIFE)
    assert (one.heard, one.latitude, one.reported_at) == ("now", 1.0, NOW)
    assert (one.alerts, one.last) == (2, NOW + minutes(1))


def test_a_clock_that_is_ahead_does_not_hold_its_words_for_good() -> None:
    one = first(alert())
    grow(one, alert(reported_at=NOW + minutes(9), message="ahead"), LIFE)
    grow(one, alert(alert_id="next", reported_at=NOW + minutes(1), received_at=NOW + minutes(1), message="next"), LIFE)
    assert one.heard == "next"


def test_a_time_that_no_report_may_have_is_the_brokers() -> None:
    one = first(alert(reported_at=datetime(1, 1, 1, tzinfo=UTC)))
    assert one.reported_at == NOW


def test_an_old_clearing_ends_nothing() -> None:
    one = first(alert())
    grow(one, alert(), LIFE)
    clear(one, alert(clears=True, reported_at=NOW - minutes(30), received_at=NOW + minutes(1)))
    assert not one.cleared
    clear(one, alert(clears=True, reported_at=NOW + minutes(1), received_at=NOW + minutes(1)))
    assert one.cleared


def test_a_broken_message_makes_no_whole_incident_unverified() -> None:
    whole, broken = alert(message="whole"), alert(alert_id="broken", verified=False, message="broken")
    assert "(unverified)" in read(broken)["title"]
    for alerts in ([whole, broken], [broken, whole]):
        shown = read(*alerts)
        assert "(unverified)" not in shown["title"]
        assert shown["Unverified"] == "1 of 2 alerts"
        assert "whole" in shown["words"]


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 0.0), (0.00009, -0.00009), (None, None), (None, 9.0)])
def test_a_position_that_is_none_gets_no_map_link(latitude: float | None, longitude: float | None) -> None:
    shown = read(alert(latitude=latitude, longitude=longitude))
    assert "Where" not in shown
    assert shown["url"] == ""


@pytest.mark.parametrize(("latitude", "longitude"), [(0.0, 9.0), (0.00011, 0.0)])
def test_the_equator_is_a_position(latitude: float, longitude: float) -> None:
    assert "Where" in read(alert(latitude=latitude, longitude=longitude))


@pytest.mark.parametrize(("battery", "shown"), [(-0.0, "0 %"), (-1.0, "0 %"), (19.9997, "19 %"), (20.0, "20 %")])
def test_battery_below_a_limit_is_never_shown_at_it(battery: float, shown: str) -> None:
    assert percent(battery) == shown


def test_a_place_is_one_incident_however_its_name_is_written() -> None:
    world = NotificationState()
    for number, city in enumerate(["Zürich", "Zu\u0308rich", "ZÜRICH ", " "]):
        world.add(alert(alert_id=f"a{number}", city=city), (0, number))
    assert sorted((one.incident.city, one.incident.alerts) for one in world.incidents) == [
        ("Zürich", 3),
        ("unknown", 1),
    ]


# what ends it


def low(battery: float = 14.0, **changes: object) -> Alert:
    (made,) = judged(report(battery=battery))
    return msgspec.structs.replace(made, **changes)


@pytest.mark.parametrize(
    ("idle", "expected"),
    [(0, "open"), (6, "open"), (36, "open"), (24 * 60 - 1, "open"), (24 * 60, "resolved")],
)
def test_incident_that_a_clearing_ends_does_not_end_by_quiet(idle: float, expected: str) -> None:
    one = first(low())
    grow(one, low(), LIFE)
    assert state(one, NOW + minutes(idle), LIFE) == expected


def test_a_low_battery_that_nobody_acknowledges_is_notified_again() -> None:
    world = World(now=NOW)
    world.add(low())
    world.step()
    for _ in range(9 * 6):
        world.wait(600)
        world.step()
    assert world.posted == 3  # after four and eight hours


@pytest.mark.parametrize(("is_cleared", "posted"), [(False, 1), (True, 0)])
def test_incident_still_open_when_its_silence_ends_is_notified(is_cleared: bool, posted: int) -> None:
    world = World(now=NOW)
    until = NOW + minutes(60)
    world.state.apply(Action("a1", "silence", Target(drone_id="d1"), "Mia", NOW, until=until))
    world.add(low())
    world.drain()
    if is_cleared:
        world.state.add(low(clears=True, received_at=NOW + minutes(30), reported_at=NOW + minutes(30)), (0, 1))
    world.wait(3599)
    world.drain()
    assert world.posted == 1  # the digest
    world.wait(1)
    world.drain()
    world.wait(3600)
    world.drain()
    assert world.posted == 1 + posted
    assert sum(world.shown.values()) == 1


def test_abandoned_incident_is_not_called_resolved() -> None:
    world = World(now=NOW)
    world.add(low())
    world.step()
    while world.delivered()[-1].incidents[0].state != "resolved":
        assert world.now < NOW + timedelta(days=1)
        world.wait(3600)
        world.drain()
    [known] = world.delivered()[-1].incidents
    [embed] = incident_embeds([Slot(known.incident_id, 1)], {known.incident_id: known})
    assert embed.title.startswith("No further news: Low battery")
    assert world.now == NOW + timedelta(days=1)


def test_a_deeper_low_grows_the_incident_and_raises_its_severity() -> None:
    one = first(low())
    grow(one, low(), LIFE)
    grow(one, low(4.0, alert_id="deeper", severity="critical", reported_at=NOW + minutes(50)), LIFE)
    assert (one.alerts, one.severity, one.battery) == (2, "critical", 4.0)


HAMBURG, LYON = (53.55, 9.99), (45.76, 4.84)


@pytest.mark.parametrize(
    ("place", "position", "named", "mapped"),
    [
        (("Lyon", "France"), LYON, ("Lyon", "France"), LYON),
        (("unknown", "unknown"), LYON, ("unknown", "unknown"), LYON),  # over an ocean
        (("Lyon", "France"), (None, None), ("Lyon", "France"), (None, None)),
        (("unknown", "unknown"), (None, None), ("Hamburg", "Germany"), HAMBURG),  # nothing is known of where it is now
        (("HAMBURG ", "Germany"), (None, None), ("Hamburg", "Germany"), HAMBURG),
    ],
)
def test_a_drone_that_has_flown_on_is_named_where_it_is(
    place: tuple[str, str], position: tuple[float | None, ...], named: tuple[str, str], mapped: tuple[float | None, ...]
) -> None:
    one = first(low())
    grow(one, low(), LIFE)
    later: dict[str, object] = {
        "city": place[0],
        "country": place[1],
        "latitude": position[0],
        "longitude": position[1],
    }
    later |= {"reported_at": NOW + minutes(9), "received_at": NOW + minutes(9)}
    grow(one, low(9.0, alert_id="deeper", severity="high", **later), LIFE)
    assert (one.city, one.country) == named
    assert (one.latitude, one.longitude) == mapped
    grow(one, low(19.0, alert_id="late", reported_at=NOW + minutes(5), received_at=NOW + minutes(10)), LIFE)
    assert (one.city, one.country) == named


def test_flapping_is_one_incident_in_one_message_that_says_so() -> None:
    world = World(now=NOW)
    for number in range(4):
        at = world.now
        world.add(low(alert_id=f"low{number}", report_id=f"r{number}", received_at=at, reported_at=at))
        world.drain()
        world.wait(200)
        world.state.add(low(clears=True, received_at=world.now, reported_at=world.now), (0, 0))
        world.wait(1)
        world.drain()
        world.wait(200)
    assert world.posted == 1
    [known] = world.delivered()[-1].incidents
    assert (known.alerts, known.flaps, known.state) == (4, 3, "resolved")
    [embed] = incident_embeds([Slot(known.incident_id, 4)], {known.incident_id: known})
    assert dict(embed.fields)["Flapping"] == "came back 3 times"


@pytest.mark.parametrize(("after", "taken"), [(34.9, True), (35, False)])
def test_return_long_after_a_clearing_is_another_incident(after: float, taken: bool) -> None:
    one = first(low())
    grow(one, low(), LIFE)
    clear(one, low(clears=True, received_at=NOW + minutes(20), reported_at=NOW + minutes(20)))
    assert takes(one, low(received_at=NOW + minutes(20 + after)), LIFE) is taken


def test_a_resolved_incident_is_not_due_again() -> None:
    one = first(low())
    grow(one, low(), LIFE)
    one.told_at = NOW
    later = NOW + timedelta(hours=5)
    assert is_due_again(one, later, LIFE)
    one.resolved_by = "Mia"
    assert not is_due_again(one, later, LIFE)


# how large it is


@pytest.mark.parametrize("character", ["\x01", "%", "😀", "\ufdfa", '"'])
def test_an_incident_is_never_over_its_bytes(character: str) -> None:
    text = character * 1000
    worst = alert(
        drone_id=text[:200], country=text[:200], city=text[:199] + "x", message=text, note=text, kind="watchword"
    )
    one = first(worst)
    for number in range(5):
        drone = f"{number}{text[:199]}"
        grow(one, msgspec.structs.replace(worst, drone_id=drone, citizens=[Citizen(f"{number}{text}", 1)]), LIFE)
    one.acknowledged_by = one.acknowledgement = one.resolved_by = wire.cut(text, 700)
    assert wire.size(one) <= INCIDENT_BYTES


@pytest.mark.parametrize("limit", [0, 1, *range(2, 30), 1000])
def test_a_cut_is_the_longest_that_fits(limit: int) -> None:
    text = "ab\x01\x01😀é\n" * 3
    cut = wire.cut(text, limit)
    assert text.startswith(cut)
    assert wire.size(cut) <= max(2, limit)
    assert cut == text or wire.size(text[: len(cut) + 1]) > limit
