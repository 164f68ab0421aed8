"""When the operators are notified that the alert pipeline is in trouble, and when that it has recovered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from fleet.alerts.pipeline_health import FAULT_SHOWN, Part, Patience, RecentFaults, SignOfLife, Stuck, known, troubles
from speed_layer import dead_mans_switch
from speed_layer.dead_mans_switch import Switch, WatchConfig
from speed_layer.notifying.discord.webhook import Webhook

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
WELL = [SignOfLife("alerting", "a", NOW), SignOfLife("notifier", "alerts", NOW)]


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        (WELL, []),
        ([], ["alerting stopped", "notifier stopped"]),
        ([SignOfLife("alerting", "a", NOW - seconds(31)), WELL[1]], ["alerting stopped"]),
        ([SignOfLife("alerting", "old", NOW - seconds(9000)), *WELL], []),
        ([*WELL, SignOfLife("notifier", "severe", NOW - seconds(31))], ["notifier severe stopped"]),
        ([*WELL, SignOfLife("notifier", "severe", NOW - timedelta(days=1), dead="404")], []),  # configured no more
        ([WELL[0], SignOfLife("notifier", "alerts", NOW, dead="404", pending=3)], ["webhook alerts dead"]),
        ([WELL[0], SignOfLife("notifier", "alerts", NOW, pending=3, oldest=NOW - seconds(60))], []),
        (
            [WELL[0], SignOfLife("notifier", "alerts", NOW, pending=3, oldest=NOW - seconds(121))],
            ["webhook alerts late"],
        ),
        ([WELL[0], SignOfLife("notifier", "alerts", NOW, refused=1)], ["webhook alerts refused"]),
    ],
)
def test_troubles_are_recognised(said: list[SignOfLife], keys: list[str]) -> None:
    assert [key for key, _ in troubles(said, NOW, Patience(), NOW - timedelta(hours=1))] == keys


def test_nobody_is_missed_who_had_no_time_to_speak() -> None:
    assert not list(troubles([], NOW, Patience(), NOW - seconds(29)))
    assert not list(troubles([SignOfLife("notifier", "severe", NOW - timedelta(days=1))], NOW, Patience(), NOW))


@pytest.mark.parametrize(
    ("watch", "keys"),
    [
        ([], ["watch stopped"]),
        ([SignOfLife("watch", "w", NOW)], []),
        ([SignOfLife("watch", "w", NOW, troubles={"g stuck": "g stands still."})], ["g stuck"]),
        ([SignOfLife("watch", "w", NOW - seconds(31), troubles={"g stuck": "g stands still."})], ["watch stopped"]),
    ],
)
def test_one_look_knows_what_the_watch_found_and_misses_the_watch(watch: list[SignOfLife], keys: list[str]) -> None:
    assert list(known([*WELL, *watch], NOW, Patience(), NOW - seconds(120))) == keys


def test_a_consumer_that_has_work_and_does_not_move_is_stuck() -> None:
    stuck = Stuck()
    looks = [(0, (10, 5)), (50, (10, 5)), (70, (10, 9)), (71, (11, 8)), (120, (11, 0)), (300, (11, 0)), (330, (11, 1))]
    seen = [[key for key, _ in stuck.look({"g": {0: passed}}, NOW + seconds(at), Patience())] for at, passed in looks]
    assert seen == [[], [], ["g stuck"], [], [], [], []]


def test_operators_are_notified_once_when_it_begins_and_once_when_it_is_over() -> None:
    shown: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        [embed] = json.loads(request.content)["embeds"]
        shown.append(f"{embed['title']}: {embed['description']}")
        return httpx.Response(200 if len(shown) != 1 else 500, json={"id": "1"})

    client = httpx.Client(transport=httpx.MockTransport(handle))
    connect = lambda url: Webhook(url, httpx.Client(transport=httpx.MockTransport(handle)))  # noqa: E731
    switch = Switch(WatchConfig("kafka", lambda: "http://d/api/webhooks/1/x", connect=connect), NOW - seconds(31))
    client.close()
    for at in (0, 5, 10):  # the first call fails, the second is through, the third has nothing new
        switch.look({}, NOW + seconds(at))
    assert len(shown) == 2
    assert shown[1].startswith("Trouble in the alert pipeline: No alerting process has given a sign")
    switch.said = {"a": WELL[0], "n": WELL[1]}
    switch.look({}, NOW + seconds(15))
    switch.look({}, NOW + seconds(20))
    assert len(shown) == 3
    assert shown[2] == "Alert pipeline recovered: Over: alerting stopped.\nOver: notifier stopped."


def test_a_look_ends_where_the_broker_is_lost_amid_it() -> None:
    at = TopicPartition("alert-state", 0)

    class Broken:
        assignment = staticmethod(lambda: {at})
        offsets_for_times = staticmethod(dict.fromkeys)
        seek_to_end = staticmethod(lambda _at: None)
        end_offsets = staticmethod(lambda _asked: {at: 7})
        position = staticmethod(lambda _at: 6)

        def poll(self, timeout_ms: int) -> dict[TopicPartition, list[object]]:
            return {}

    with pytest.raises(KafkaTimeoutError):
        dead_mans_switch.signs_since(NOW, Broken(), seconds=0.0)


def test_a_partition_that_stands_still_is_not_hidden_by_those_that_move() -> None:
    stuck = Stuck()
    looks = [(at, {0: (7, 5), 1: (at, 1), 2: (9, 0)}) for at in (0, 30, 61, 90)] + [(95, {0: (12, 0), 1: (95, 1)})]
    seen = [dict(stuck.look({"g": passed}, NOW + seconds(at), Patience())) for at, passed in looks]
    assert [list(found) for found in seen] == [[], [], ["g stuck"], ["g stuck"], []]
    assert "5 messages to read in partition 0 and" in seen[2]["g stuck"]


def test_stalled_consumer_stays_stalled_while_kafka_does_not_answer() -> None:
    stuck = Stuck()
    for at in (0, 61):
        found = list(stuck.look({"g": {0: (7, 5)}}, NOW + seconds(at), Patience()))
    assert list(stuck.look(None, NOW + seconds(70), Patience())) == found != []


class Operators:
    """A webhook that answers by `statuses`, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.asked, self.shown = list(statuses), 0, []  # type: ignore[var-annotated]
        config = WatchConfig("kafka", lambda: "http://d/api/webhooks/1/x", connect=self.connect)
        self.switch = Switch(config, NOW - seconds(31))

    def connect(self, url: str) -> Webhook:
        return Webhook(url, httpx.Client(transport=httpx.MockTransport(self.handle)))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return httpx.Response(status, json={"code": 50035})
        [embed] = json.loads(request.content)["embeds"]
        self.shown.append((embed["title"], embed["description"]))
        return httpx.Response(200, json={"id": "1"})


def test_no_all_clear_while_something_is_wrong() -> None:
    operators = Operators()
    operators.switch.said = {"a": WELL[0], "n": WELL[1]}
    for at in (0, 61):
        operators.switch.look({"g": {0: (7, 5)}, "h": {0: (7, 5)}}, NOW + seconds(at * 0.4))
    for at in (61, 122):
        operators.switch.said = {
            key: msgspec.structs.replace(one, at=NOW + seconds(at)) for key, one in operators.switch.said.items()
        }
        operators.switch.look({"g": {0: (7, 5)}, "h": {0: (7, 5)}}, NOW + seconds(at))
    operators.switch.look({"g": {0: (7, 5)}, "h": {0: (12, 0)}}, NOW + seconds(125))
    operators.switch.look({"g": {0: (12, 0)}, "h": {0: (12, 0)}}, NOW + seconds(130))
    assert [title for title, _ in operators.shown] == [
        "Trouble in the alert pipeline",
        "Alert pipeline: not all trouble is over",
        "Alert pipeline recovered",
    ]
    assert operators.shown[1][1] == "Over: h stuck.\nStill so: g stuck."


def test_words_that_discord_refuses_are_left_out_and_not_retried() -> None:
    operators = Operators(400)
    operators.switch.look({}, NOW)
    assert operators.shown == [
        ("Trouble in the alert pipeline", "2 troubles. The log of peacewatch record names them.")
    ]
    operators = Operators(400, 400)
    for at in (0, 5, 10):
        operators.switch.look({}, NOW + seconds(at))
    assert operators.asked == 2


def test_operators_that_cannot_be_reached_are_tried_with_growing_pauses() -> None:
    operators = Operators(*[500] * 100)
    for at in range(0, 600, 5):
        operators.switch.look({}, NOW + seconds(at))
    assert operators.asked == 7  # after 0, 5, 15, 35, 75, 155, 315 s


def test_faults_are_shown_with_their_number_until_they_are_long_ago() -> None:
    faults = RecentFaults()
    for at in (0, 1):
        faults.add("conflicts", NOW + seconds(at), "the last one is x")
    [(key, says)] = faults.troubles("webhook alerts", NOW + seconds(1)).items()
    assert key == "webhook alerts conflicts"
    assert says.startswith("webhook alerts: 2 alerts had the id of another alert")
    assert faults.troubles("w", NOW + seconds(1) + FAULT_SHOWN - seconds(1))
    assert not faults.troubles("w", NOW + seconds(1) + FAULT_SHOWN)


@pytest.mark.parametrize("part", ["alerting", "notifier", "recorder"])
def test_troubles_that_a_process_reports_last_while_it_lives(part: Part) -> None:
    said = [*WELL, SignOfLife(part, "x", NOW, troubles={"x conflicts": "two"})]
    assert ("x conflicts", "two") in list(troubles(said, NOW, Patience(), NOW))
    assert ("x conflicts", "two") not in list(troubles(said, NOW + seconds(31), Patience(), NOW))
