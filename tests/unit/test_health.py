"""When the operators are told that the alerts' own way is in trouble, and when that it is over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from fleet.alerts.pipeline_health import Health, Patience, Stuck, known, troubles
from speed_layer import dead_mans_switch
from speed_layer.dead_mans_switch import Switch, WatchConfig
from speed_layer.notifying.discord.webhook import Webhook

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
WELL = [Health("alerting", "a", NOW), Health("notifier", "alerts", NOW)]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        (WELL, []),
        ([], ["alerting stopped", "notifier stopped"]),
        ([Health("alerting", "a", NOW - seconds(31)), WELL[1]], ["alerting stopped"]),
        ([Health("alerting", "old", NOW - seconds(9000)), *WELL], []),
        ([*WELL, Health("notifier", "severe", NOW - seconds(31))], ["notifier severe stopped"]),
        ([*WELL, Health("notifier", "severe", NOW - timedelta(days=1), dead="404")], []),  # configured no more
        ([WELL[0], Health("notifier", "alerts", NOW, dead="404", untold=3)], ["webhook alerts dead"]),
        ([WELL[0], Health("notifier", "alerts", NOW, untold=3, oldest=NOW - seconds(60))], []),
        ([WELL[0], Health("notifier", "alerts", NOW, untold=3, oldest=NOW - seconds(121))], ["webhook alerts late"]),
    ],
)
def test_what_is_trouble(said: list[Health], keys: list[str]) -> None:
    assert [key for key, _ in troubles(said, NOW, Patience(), NOW - timedelta(hours=1))] == keys


def test_nobody_is_missed_who_had_no_time_to_speak() -> None:
    assert not list(troubles([], NOW, Patience(), NOW - seconds(29)))
    assert not list(troubles([Health("notifier", "severe", NOW - timedelta(days=1))], NOW, Patience(), NOW))


@pytest.mark.parametrize(
    ("watch", "keys"),
    [
        ([], ["watch stopped"]),
        ([Health("watch", "w", NOW)], []),
        ([Health("watch", "w", NOW, troubles={"g stuck": "g stands still."})], ["g stuck"]),
        ([Health("watch", "w", NOW - seconds(31), troubles={"g stuck": "g stands still."})], ["watch stopped"]),
    ],
)
def test_one_look_knows_what_the_watch_found_and_misses_the_watch(watch: list[Health], keys: list[str]) -> None:
    assert list(known([*WELL, *watch], NOW, Patience(), NOW - seconds(120))) == keys


def test_a_consumer_that_has_work_and_does_not_move_is_stuck() -> None:
    stuck = Stuck()
    looks = [(0, (10, 5)), (50, (10, 5)), (70, (10, 9)), (71, (11, 8)), (120, (11, 0)), (300, (11, 0)), (330, (11, 1))]
    seen = [[key for key, _ in stuck.look({"g": passed}, NOW + seconds(at), Patience())] for at, passed in looks]
    assert seen == [[], [], ["g stuck"], [], [], [], []]


def test_operators_are_told_once_when_it_begins_and_once_when_it_is_over() -> None:
    told: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        [embed] = json.loads(request.content)["embeds"]
        told.append(f"{embed['title']}: {embed['description']}")
        return httpx.Response(200 if len(told) != 1 else 500, json={"id": "1"})

    client = httpx.Client(transport=httpx.MockTransport(handle))
    connect = lambda url: Webhook(url, httpx.Client(transport=httpx.MockTransport(handle)))  # noqa: E731
    switch = Switch(WatchConfig("kafka", lambda: "http://d/api/webhooks/1/x", connect=connect), NOW - seconds(31))
    client.close()
    for at in (0, 5, 10):  # the first call fails, the second is through, the third has nothing new
        switch.look({}, NOW + seconds(at))
    assert len(told) == 2
    assert told[1].startswith("Trouble on the alerts' way: No alerting process has given a sign")
    switch.said = {"a": WELL[0], "n": WELL[1]}
    switch.look({}, NOW + seconds(15))
    switch.look({}, NOW + seconds(20))
    assert len(told) == 3
    assert told[2] == "The alerts' way is well again: Over: alerting stopped.\nOver: notifier stopped."


def test_a_look_ends_where_the_broker_is_lost_amid_it(monkeypatch: pytest.MonkeyPatch) -> None:
    at = TopicPartition("alert-state", 0)

    class Lost:
        assignment = staticmethod(lambda: {at})
        offsets_for_times = staticmethod(dict.fromkeys)
        seek_to_end = staticmethod(lambda _at: None)
        end_offsets = staticmethod(lambda _asked: {at: 7})
        position = staticmethod(lambda _at: 6)
        close = staticmethod(lambda: None)

        def poll(self, timeout_ms: int) -> dict[TopicPartition, list[object]]:
            return {}

    monkeypatch.setattr(dead_mans_switch, "_consumer", lambda *_asked: Lost())
    monkeypatch.setattr(dead_mans_switch, "LOOK_SECONDS", 0.0)
    with pytest.raises(KafkaTimeoutError):
        dead_mans_switch.known("kafka")
