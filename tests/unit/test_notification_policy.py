"""Which notification is next, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.alerts.alert import Severity
from fleet.notifications import policy
from fleet.notifications.actions import Action, Target, decode, encode
from fleet.notifications.incident import RANK, Intervals, first
from fleet.notifications.policy import Policy
from fleet.notifications.state import REMEMBERED_POSTS
from tests.support.world import START, World, alert


def test_the_first_alert_of_a_quiet_channel_is_posted_at_once() -> None:
    world = World()
    world.raise_alert()
    sent = world.next()
    assert sent is not None
    assert (sent.method, sent.alert_count, len(sent.slots)) == ("post", 1, 1)


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
    sent = world.next()
    assert sent is not None
    assert len(sent.slots) == 10
    assert world.state.incidents[sent.slots[0].incident_id].incident.city == "City 12"


def test_an_old_moderate_alert_is_not_passed_over_for_ever() -> None:
    world = World(policy=Policy(crowd=10_000))
    world.raise_alert(0, "moderate")
    world.wait(121)
    for city in range(1, 30):
        world.raise_alert(city, "critical")
    sent = world.next()
    assert sent is not None
    shown = [world.state.incidents[slot.incident_id].incident.city for slot in sent.slots]
    assert "City 0" in shown


@given(
    st.lists(
        st.tuples(st.sampled_from(["critical", "high", "moderate"]), st.integers(0, 200), st.booleans(), st.booleans()),
        min_size=1,
        max_size=30,
    ),
    st.integers(2, 12),
)
def test_half_of_the_room_is_for_the_most_severe_and_half_for_the_most_urgent(
    opened: list[tuple[Severity, int, bool, bool]], room: int
) -> None:
    """Whatever has no pending alert is as one that came just now; none passes one of a higher precedence."""
    world = World(now=START + timedelta(seconds=200))
    for number, (severity, age, is_newcomer, is_repost) in enumerate(opened):
        raised = alert(number, world.now - timedelta(seconds=age), number, severity)
        world.add(msgspec.structs.replace(raised, newcomer=is_newcomer))
        if is_repost:
            world.state.incidents[world.incidents[-1].incident_id].pending = []
    entries = list(world.state.incidents)
    urgent = sorted(entries, key=lambda entry: policy._urgency(entry, world.now), reverse=True)
    severe = sorted(urgent, key=lambda entry: (entry.precedence, RANK[entry.incident.severity]), reverse=True)
    chosen = policy._in_turn(entries, room, world.now)
    if len(entries) <= room:
        assert chosen == urgent
        return
    ids = [entry.incident_id for entry in chosen]
    assert len(set(ids)) == len(chosen) == room
    assert {entry.incident_id for entry in urgent[: room // 2] + severe[: room // 2]} <= set(ids)
    lowest = min(entry.precedence for entry in chosen)
    assert all(entry.precedence <= lowest for entry in entries if entry.incident_id not in ids)


@pytest.mark.parametrize("refused", ["worst", "another"])
def test_a_refused_incident_among_many_gets_a_message_of_its_own_or_leaves_its_place_to_others(refused: str) -> None:
    world = World(policy=Policy(crowd=10_000))
    for city in range(15):
        world.raise_alert(city, "critical" if city == 12 else "moderate")
    city = 12 if refused == "worst" else 0
    entry = next(entry for entry in world.state.incidents if entry.incident.city == f"City {city}")
    entry.form = "alone"
    sent = world.next()
    assert sent is not None
    slots = [slot.incident_id for slot in sent.slots]
    assert (
        slots == [entry.incident_id] if refused == "worst" else (len(slots), entry.incident_id in slots) == (10, False)
    )


def test_a_storm_over_many_places_makes_few_messages() -> None:
    world = World()
    for city in range(869):
        world.raise_alert(city, ("critical", "high", "moderate")[city % 3])
    began = world.now
    while world.state.incidents.pending:
        if not world.step():
            world.wait(0.5)
        assert world.state.incidents.oldest_pending(["critical"]) is None or world.now - began < timedelta(seconds=12)
    assert world.now - began < timedelta(minutes=2)
    assert sum(world.shown.values()) == 869
    assert world.posted <= 6 + 12
    assert sorted(world.notified) == sorted(one.alert_id for one in world.log)


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
    assert not world.incidents
    assert not world.state.messages


def test_an_alert_after_the_end_opens_a_new_incident() -> None:
    world = World()
    world.raise_alert()
    world.step()
    world.wait(36 * 60)
    world.raise_alert()
    world.drain()
    assert len({one.incident_id for done in world.delivered() for one in done.incidents}) == 2
    assert sum(world.shown.values()) == 2


def test_an_unacknowledged_incident_is_notified_again_and_nothing_is_counted_twice() -> None:
    world = World(intervals=Intervals(repeat=timedelta(minutes=10)))
    for _ in range(25):
        world.raise_alert()
        world.wait(30)
        while world.step():
            pass
    world.drain()
    assert world.posted == 2
    assert sum(world.shown.values()) == 25


def test_a_deleted_message_is_posted_again_with_all_that_it_stood_for() -> None:
    world = World()
    for _ in range(3):
        world.raise_alert()
    world.step()
    world.raise_alert()
    world.wait(6)
    sent = world.next()
    assert sent is not None
    del world.shown[sent.message_id]
    world.state.message_deleted(sent.message_id)
    world.drain()
    assert world.shown == {"m2": 4}


def test_a_refused_incident_is_sent_alone_then_plain_then_only_counted() -> None:
    world = World()
    for city in range(3):
        world.raise_alert(city)
    bad = next(one.incident_id for one in world.incidents if one.city == "City 1")
    forms = []
    for _ in range(300):
        sent = world.next()
        if sent is None:
            if not world.state.incidents.pending:
                break
            world.wait(1)
        elif bad in {slot.incident_id for slot in sent.slots}:
            forms.append((len(sent.slots), bad in sent.plain))
            world.state.refused(sent)
        else:
            world.record(sent, world.take(sent))
    assert forms == [(3, False), (1, False), (1, True)]
    assert sum(world.shown.values()) == 3
    assert [done.kept_back for done in world.delivered() if done.digest] == [{bad: "refused"}]


def test_an_incident_with_very_many_alerts_is_delivered_in_parts() -> None:
    world = World()
    for _ in range(20_000):
        world.raise_alert()
    world.drain()
    assert world.shown == {"m1": 20_000}
    assert max(map(len, world.written)) < 1_000_000
    world.crash()
    assert not world.state.incidents.pending
    assert [one.alerts for one in world.incidents] == [20_000]


def act(world: World, what: str, incident_id: str = "", **more: object) -> None:
    target = Target(incident_id=incident_id, **more)  # type: ignore[arg-type]
    action = Action("a1", what, target, "Mia", world.now, "on my way", world.now + timedelta(hours=1))  # type: ignore[arg-type]
    world.state.apply(decode(encode(action)))


def test_an_acknowledged_incident_says_so_and_is_not_notified_again() -> None:
    world = World(intervals=Intervals(repeat=timedelta(minutes=10)))
    world.raise_alert()
    world.step()
    act(world, "acknowledge", world.incidents[0].incident_id)
    world.wait(6)
    assert world.step()
    assert world.delivered()[-1].incidents[0].acknowledged_by == "Mia"
    for _ in range(30):
        world.raise_alert()
        world.wait(30)
        world.step()
    assert world.posted == 1


def test_a_resolved_incident_says_so_and_another_alert_opens_a_new_one() -> None:
    world = World()
    world.raise_alert()
    world.step()
    act(world, "resolve", world.incidents[0].incident_id)
    world.wait(6)
    assert world.step()
    assert world.delivered()[-1].incidents[0].state == "resolved"
    world.raise_alert()
    world.drain()
    assert world.posted == 2


def test_an_action_may_come_before_its_incident_is_known() -> None:
    world = World()
    act(world, "acknowledge", first(alert(0, world.now)).incident_id)
    world.raise_alert()
    world.step()
    assert world.delivered()[-1].incidents[0].acknowledged_by == "Mia"


def test_a_silenced_incident_makes_no_message_and_is_counted() -> None:
    world = World()
    act(world, "silence", city="City 1", kind="unrest")
    world.raise_alert(1)
    world.raise_alert(2)
    world.drain()
    assert [list(done.kept_back.values()) for done in world.delivered() if done.digest] == [["silenced"]]
    posted = world.posted
    for _ in range(20):
        world.raise_alert(1)
        world.wait(60)
        while world.step():
            pass
    assert world.posted == posted
    assert sum(world.shown.values()) == 22
    world.wait(3600)
    world.raise_alert(1)
    world.drain()
    assert world.posted == posted + 1


def test_a_silence_can_be_ended() -> None:
    world = World()
    act(world, "silence", city="City 1")
    act(world, "unsilence", city="City 1")
    world.raise_alert(1)
    world.drain()
    assert [done.digest for done in world.delivered()] == [False]


def test_new_messages_are_paced() -> None:
    world = World()
    minutes: Counter[int] = Counter()
    for second in range(600):
        world.raise_alert(second)
        world.wait(1)
        minutes[second // 60] += world.posts_now()
    assert max(minutes.values()) <= 12
    assert world.posted <= 6 + 60 + 1


@pytest.mark.parametrize("posts", [REMEMBERED_POSTS - 1, REMEMBERED_POSTS, REMEMBERED_POSTS + 1])
def test_new_messages_are_paced_past_the_posts_that_are_remembered(posts: int) -> None:
    """As fast as people's pace lets them: the next is due one pace after the last, whatever is forgotten."""
    world, pace = World(), Policy().pace
    world.state.posted.extend(START + number * pace for number in range(posts))
    world.now = START + (posts - 1) * pace
    at_once = 0
    for city in range(20):
        world.raise_alert(city)
        world.wait(0)
        at_once += world.posts_now()
    assert at_once == Policy().burst - 1
    assert len(world.state.posted) == min(posts + at_once, REMEMBERED_POSTS)


def test_an_incident_that_is_over_before_a_message_is_only_counted() -> None:
    world = World()
    world.raise_alert()
    world.state.add(msgspec.structs.replace(alert(99, world.now), clears=True), (0, 99))
    world.drain()
    assert [(done.digest, list(done.kept_back.values())) for done in world.delivered()] == [(True, ["over"])]


def test_a_clearing_resolves_the_incident_by_an_edit() -> None:
    world = World()
    world.raise_alert()
    world.step()
    cleared = alert(99, world.now + timedelta(seconds=1))
    world.state.add(msgspec.structs.replace(cleared, clears=True), (0, 99))
    world.wait(6)
    assert world.step()
    assert not world.step()
    assert world.delivered()[-1].incidents[0].state == "resolved"
    assert sum(world.shown.values()) == 1


def clear(world: World, offset: int) -> None:
    """The end of the incident in City 0, at `offset` of `alerts`."""
    world.state.add(msgspec.structs.replace(alert(99, world.now), clears=True), (0, offset))


def test_a_clearing_is_read_again_until_its_message_shows_it() -> None:
    """Else a notifier that starts in between shows a charged drone as low for a day."""
    world = World()
    world.raise_alert()
    world.step()
    world.wait(1)
    clear(world, 1)
    read = {0: 2}
    assert world.state.incidents.notified_through(read) == {0: 1}
    world.crash()
    clear(world, 1)
    world.wait(6)
    world.drain()
    assert world.delivered()[-1].incidents[0].state == "resolved"
    assert world.state.incidents.notified_through(read) == read


def test_a_clearing_of_what_no_message_shows_holds_up_nothing() -> None:
    world = World()
    world.raise_alert()
    act(world, "silence", city="City 0")
    world.drain()
    clear(world, 1)
    assert world.state.incidents.notified_through({0: 2}) == {0: 2}


def test_a_deleted_message_whose_incident_is_over_is_posted_again() -> None:
    """The edit that says that it is over is what finds the message gone."""
    world = World()
    world.raise_alert()
    world.step()
    world.shown.clear()
    clear(world, 1)
    world.wait(6)
    world.drain()
    assert world.delivered()[-1].incidents[0].state == "resolved"
    assert sum(world.shown.values()) == 1
    world.wait(3600)
    assert not world.incidents


def test_a_silenced_incident_is_not_notified_again() -> None:
    world = World(intervals=Intervals(repeat=timedelta(minutes=4)))
    world.raise_alert()
    world.step()
    act(world, "silence", city="City 0")
    world.wait(260)
    world.drain()
    assert world.posted == 1
    act(world, "unsilence", city="City 0")
    world.wait(1)
    world.drain()
    assert world.posted == 2


def test_all_actions_count_that_come_before_their_incident_is_known() -> None:
    world = World()
    world.now += timedelta(seconds=1)  # they are newer than the incident
    known = alert(0, world.now - timedelta(seconds=1))
    act(world, "resolve", first(known).incident_id)
    act(world, "acknowledge", first(known).incident_id)
    world.add(known)
    assert (world.incidents[0].resolved_by, world.incidents[0].acknowledged_by) == ("Mia", "Mia")
