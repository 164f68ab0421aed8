"""The notification state against a channel that may delete, refuse and forget, and a process that may die anywhere."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import hypothesis.strategies as st
from hypothesis import given, settings

from fleet.notifications.incident import Intervals
from tests.support.examples import examples
from tests.support.world import World

OPERATIONS = st.one_of(
    st.tuples(st.just("alert"), st.integers(0, 25), st.sampled_from(["critical", "high", "moderate"])),
    st.tuples(st.just("storm"), st.integers(0, 40), st.sampled_from(["critical", "moderate"])),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 3, 7, 61, 400, 2400, 20_000]), st.none()),
    st.tuples(
        st.just("send"), st.sampled_from(["taken", "taken", "taken", "failed", "refused", "gone", "crash"]), st.none()
    ),
    st.tuples(st.just("crash"), st.none(), st.none()),
)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(OPERATIONS, max_size=60))
def test_every_alert_is_notified_once_and_the_counts_add_up(operations: list[tuple[str, object, object]]) -> None:
    """Under any interleaving of alerts, time, failures and crashes between a request and writing its delivery."""
    world = World(intervals=Intervals(repeat=timedelta(minutes=1)))
    for name, what, more in operations:
        match name, what:
            case "alert", int(city):
                world.raise_alert(city, more)  # type: ignore[arg-type]
            case "storm", int(places):
                for city in range(places):
                    world.raise_alert(city, more)  # type: ignore[arg-type]
            case "wait", float() | int():
                world.wait(float(what))
            case "send", str(fate):
                _send(world, fate)
            case "crash", _:
                world.crash()
    world.drain()
    notified = world.notified
    assert len(notified) == len(set(notified))
    assert set(notified) == {one.alert_id for one in world.log}
    assert sum(world.shown.values()) == len(notified) + world.repeated
    _check_incidents(world)


def _send(world: World, fate: str) -> None:
    sent = world.next()
    if sent is None or fate == "failed":
        return
    if sent.method == "edit" and sent.message_id not in world.shown:
        fate = "gone"
    if fate == "refused":
        world.state.refused(sent)
    elif fate == "gone":
        if sent.method == "edit":
            world.shown.pop(sent.message_id, None)
            world.state.message_deleted(sent.message_id)
    elif fate == "taken":
        world.record(sent, world.take(sent))
    else:  # it dies after Discord took the request, and before the delivery was written
        message_id = world.take(sent)
        world.crash()
        if sent.method == "post":
            world.repeated += world.shown[message_id]


def _check_incidents(world: World) -> None:
    """Every alert is in exactly one incident, and that one is of its kind and place."""
    cities = {one.alert_id: one.city for one in world.log}
    counts: Counter[str] = Counter()
    for delivery in world.delivered():
        for id_, index in zip(delivery.alert_ids, delivery.alert_incidents, strict=True):
            assert delivery.incidents[index].city == cities[id_]
            counts[delivery.incidents[index].incident_id] += 1
    for one in world.incidents:
        assert one.alerts == counts[one.incident_id]
