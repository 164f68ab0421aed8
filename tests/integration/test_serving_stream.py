"""The event stream on a real MongoDB: nothing missing, nothing twice, whatever is restarted in between."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo.database import Database

from fleet.errors import ServiceUnavailable
from fleet.figures.cube import HOURS
from serving.events.events import Event
from serving.events.hub import Events, Hub

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
Documents = Database[dict[str, Any]]


def raise_alert(database: Documents, number: int, **more: Any) -> None:
    fields = {"kind": "unrest", "severity": "high", "country": "France", "city": "Lyon", "raised_at": NOW, **more}
    database.alerts.update_one({"_id": f"alert-{number}"}, {"$set": fields}, upsert=True)


def read(stream: Events, count: int) -> list[Event]:
    """The next `count` events; pings between them are passed over."""
    events: list[Event] = []
    pings = 0
    while len(events) < count:
        each = next(stream)
        if isinstance(each, Event):
            events.append(each)
        else:
            pings += 1
            assert pings < 100, f"only {len(events)} of {count} events came"
    return events


def data(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(event.text.decode().split("data: ", 1)[1])
    return data


def ids(events: list[Event]) -> list[str]:
    return [data(each)["alert_id"] for each in events]


@pytest.fixture
def hubs(mongo_database: Documents) -> Iterator[Callable[..., Hub]]:
    """Makes hubs, as servers that start one after the other would."""
    made: list[Hub] = []

    def make(clients: int = 10, **bounds: Any) -> Hub:
        made.append(Hub(mongo_database, clients, ping_seconds=0.2, **bounds))
        return made[-1]

    yield make
    for hub in made:
        hub.close()


def test_each_change_is_one_event_in_order(mongo_database: Documents, hubs: Callable[..., Hub]) -> None:
    events = hubs().listen(None)
    for number in range(5):
        raise_alert(mongo_database, number)
    assert ids(read(events, 5)) == [f"alert-{number}" for number in range(5)]


def test_events_carry_what_people_look_at(mongo_database: Documents, hubs: Callable[..., Hub]) -> None:
    events = hubs().listen(None)
    mongo_database.incidents.update_one(
        {"_id": "i1"}, {"$set": {"kind": "unrest", "city": "<b>Lyon\n\n</b>", "alerts": 3, "last": NOW}}, upsert=True
    )
    mongo_database.live.insert_one({"_id": 7, "committed_at": NOW, "cells": HOURS.to_document(HOURS.empty())})
    incident, figures = read(events, 2)
    assert incident.name == "incident"
    assert data(incident)["city"] == "<b>Lyon\n\n</b>"
    assert incident.text.count(b"\n") == 4, "a line break in a drone's text must not end the event"
    assert (figures.name, data(figures)) == ("figures", {"version": 7, "as_of": "2026-11-24T12:00:00Z"})


def test_alert_is_an_event_when_it_is_inserted_not_when_it_changes(
    mongo_database: Documents, hubs: Callable[..., Hub]
) -> None:
    events = hubs().listen(None)
    mongo_database.alerts.insert_one({"_id": "alert-1", "delivered_at": NOW})  # the delivery was recorded first
    raise_alert(mongo_database, 1)
    mongo_database.alerts.update_one({"_id": "alert-1"}, {"$set": {"latency_ms": 3}})
    raise_alert(mongo_database, 2)
    assert ids(read(events, 2)) == ["alert-1", "alert-2"]


def test_resuming_never_loses_or_repeats(mongo_database: Documents, hubs: Callable[..., Hub]) -> None:
    """A client leaves and comes back, to the same server or to one that started since, as events keep coming."""
    chance = random.Random(4)
    hub = hubs()
    events, last, raised = hub.listen(None), None, 0
    seen: list[Any] = []
    for _ in range(20):
        for _ in range(chance.randrange(4)):
            raise_alert(mongo_database, raised)
            raised += 1
        for each in read(events, chance.randint(0, raised - len(seen))):
            seen += ids([each])
            last = each.id
        if last and chance.random() < 0.6:
            events.close()
            if chance.random() < 0.5:
                hub.close()
                hub = hubs()
            events = hub.listen(last)
    seen += ids(read(events, raised - len(seen)))
    assert seen == [f"alert-{number}" for number in range(raised)]


def test_the_ring_is_no_limit_for_who_comes_back(mongo_database: Documents, hubs: Callable[..., Hub]) -> None:
    hub = hubs(remembered=(3, 10_000))
    events = hub.listen(None)
    raise_alert(mongo_database, 0)
    (first,) = read(events, 1)
    events.close()
    watcher = hub.listen(None)
    for number in range(1, 9):
        raise_alert(mongo_database, number)
        read(watcher, 1)
    assert ids(read(hub.listen(first.id), 8)) == [f"alert-{number}" for number in range(1, 9)]


def test_events_full_of_words_are_bounded_and_none_is_lost(mongo_database: Documents, hubs: Callable[..., Hub]) -> None:
    hub = hubs(remembered=(100, 10_000))
    stream = hub.listen(None)
    events: list[Event] = []
    for number in range(5):
        raise_alert(mongo_database, number, message="\x01" * 1000)  # six bytes each, as JSON
        events += read(stream, 1)
    first, *rest = events
    assert ids(events) == [f"alert-{number}" for number in range(5)]
    assert 6000 < hub.ring_bytes <= 10_000
    assert ids(read(hub.listen(first.id), 4)) == ids(rest), "what the ring has no more is read from MongoDB"
    raise_alert(mongo_database, 5, message="\x01" * 3000)
    assert ids(read(stream, 1)) == ["alert-5"], "the newest stays, however long it is"
    assert hub.ring_bytes > 18_000


@pytest.mark.parametrize("last_id", ["nonsense", "8265" + "0" * 60, "82" + "F" * 80])
def test_an_id_that_mongodb_does_not_know_resets(hubs: Callable[..., Hub], last_id: str) -> None:
    (only,) = read(hubs().listen(last_id), 1)
    assert only.name == "reset"


def test_a_stream_too_many_is_refused_and_a_place_is_free_again(hubs: Callable[..., Hub]) -> None:
    hub = hubs(clients=1)
    first = hub.listen(None)
    with pytest.raises(ServiceUnavailable, match="too many open event streams"):
        hub.listen(None)
    first.close()
    assert hub.listeners == 0
    hub.listen(None)


def test_one_client_cannot_take_every_stream(hubs: Callable[..., Hub], mongo_database: Documents) -> None:
    hub = Hub(mongo_database, 4, 2)
    try:
        greedy = [hub.listen(None, "198.51.100.1") for _ in range(2)]
        with pytest.raises(ServiceUnavailable, match="too many open event streams"):
            hub.listen(None, "198.51.100.1")
        hub.listen(None, "198.51.100.2")
        greedy[0].close()
        hub.listen(None, "198.51.100.1")
    finally:
        hub.close()


def test_silence_is_pinged(hubs: Callable[..., Hub]) -> None:
    assert next(hubs().listen(None)) == b""


def test_closing_the_hub_ends_its_streams(hubs: Callable[..., Hub]) -> None:
    hub = hubs()
    events = hub.listen(None)
    hub.close()
    assert list(events) == []
