"""Of which days lost messages may have been, and how it is said."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from batch_layer.lake import losses as batch_losses
from fleet.reports import losses
from infra.delta import Commit

DAY = datetime(2026, 11, 24, tzinfo=UTC)


def loss(after: float | None, before: float, **more: Any) -> dict[str, Any]:
    """Between so many hours after the day's begin."""
    times = {"after": None if after is None else DAY + timedelta(hours=after), "before": DAY + timedelta(hours=before)}
    return {"table": "reports", "partition": 2, "messages": 3, **times, **more}


@pytest.mark.parametrize(
    ("after", "before", "wanted"),
    [
        (8, 9, [24]),
        (24.1, 30, [24, 25]),  # a report of 23:59 may come ten minutes later
        (24.2, 30, [25]),
        (-5, -0.1, [23, 24]),  # and a drone's clock may be ten minutes ahead
        (-5, -0.2, [23]),
        (-3, 50, [23, 24, 25, 26]),
        (None, 9, [24]),  # and of any day before
    ],
)
def test_the_days_it_may_have_been_of(after: float | None, before: float, wanted: list[int]) -> None:
    assert list(losses.days_of(loss(after, before))) == [date(2026, 11, day) for day in wanted]


def test_where_nothing_had_landed_before_it_is_of_any_day_until_then() -> None:
    lost = loss(None, 9)
    assert losses.of_day([lost], date(2019, 1, 1)) == [lost]
    assert losses.of_day([lost], date(2026, 11, 25)) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "up to 3 reports of partition 2 expired before they landed; the broker received them between"),
        ({"messages": 1, "table": "alerts"}, "one of the alerts of partition 2 expired before it landed; the"),
        ({"partition": None, "messages": None}, "the topic of reports was created again between"),
    ],
)
def test_one_sentence_says_what_and_when(more: dict[str, Any], said: str) -> None:
    sentence = losses.sentence(loss(8, 9, **more))
    assert sentence.startswith(said)
    assert "2026-11-24 08:00 and 2026-11-24 09:00 UTC" in sentence


def test_sum_is_unknown_if_one_number_is() -> None:
    lost = [loss(8, 9), loss(8, 9), loss(8, 9, table="alerts")]
    assert (losses.messages(lost, "reports"), losses.messages(lost, "alerts")) == (6, 3)
    lost += [loss(8, 9, messages=None)]
    assert (losses.messages(lost, "reports"), losses.messages(lost, "alerts")) == (None, 3)


def ms(hours: float) -> int:
    return round((DAY + timedelta(hours=hours)).timestamp() * 1000)


def commit(version: int, **facts: Any) -> Commit:
    said = {f"peacewatch.{name}": json.dumps(fact) for name, fact in facts.items()}
    return Commit(version, DAY + timedelta(hours=30), (), frozenset(), said)


def times(found: dict[str, Any]) -> tuple[datetime | None, datetime]:
    return found["after"], found["before"]


def test_commits_name_each_gap_once_between_what_was_landed_around_it() -> None:
    commits = [
        commit(1, landed_through={"a/0": ms(1), "a/1": ms(2)}, lost={"a/1": [0, 4]}, lost_before={"a/1": ms(1.5)}),
        commit(2, landed_through={"a/0": ms(9)}, lost={"a/0": [5, 9]}, lost_before={"a/0": ms(8)}),
        commit(3, landed_through={"a/0": ms(10)}),
        commit(4, lost={"a/0": [10, 11]}),
    ]
    known: dict[str, int] = {}
    found = list(batch_losses.found(commits, known))
    assert [(each["_id"], each["messages"]) for each in found] == [
        ("reports/a/1/0", 4),
        ("reports/a/0/5", 4),
        ("reports/a/0/10", 1),
    ]
    hour = {n: DAY + timedelta(hours=n) for n in (1, 1.5, 8, 10, 30)}
    assert [times(each) for each in found] == [(None, hour[1.5]), (hour[1], hour[8]), (hour[10], hour[30])]
    assert known == {"a/0": ms(10), "a/1": ms(2)}


@pytest.mark.parametrize("table", ["reports", "alerts"])
def test_a_topic_created_again_ends_the_one_before(table: str) -> None:
    """Each commit says how far each partition is landed, so what partition 0 held since then is gone."""
    known = {"a/0": ms(1), "a/1": ms(3)}
    gap = {"lost": {"b/1": [0, 2]}, "lost_before": {"b/1": ms(6)}}
    made, expired = batch_losses.found([commit(1, landed_through={"b/0": ms(8), "b/1": ms(7)}, **gap)], known, table)
    assert (made["_id"], made["partition"], made["messages"]) == (f"{table}/b", None, None)
    assert times(made) == (DAY + timedelta(hours=1), DAY + timedelta(hours=7, seconds=10))
    assert times(expired) == (DAY + timedelta(hours=1), DAY + timedelta(hours=6))
    last_word = commit(2, landed_through={"b/0": ms(9), "a/0": ms(4)})
    assert list(batch_losses.found([last_word], {"b/0": ms(8)}, table)) == [], "of a lander of the topic before"


@pytest.mark.parametrize("runs", [1, 2])
def test_a_partition_heard_of_after_its_topic_began_when_the_topic_did(runs: int) -> None:
    """Two landers of a recreated topic commit one after the other; a partition may be added at any time."""
    first = commit(1, landed_through={"b/0": ms(7)}, lost={"b/0": [0, 2]}, lost_before={"b/0": ms(6)})
    second = commit(2, landed_through={"b/1": ms(9)}, lost={"b/1": [0, 4]}, lost_before={"b/1": ms(8)})
    known = {"a/0": ms(1), "a/1": ms(3)}
    if runs == 1:
        found = list(batch_losses.found([first, second], known))
    else:
        found = list(batch_losses.found([first], known))
        found += batch_losses.found([second], {"b/0": ms(7)}, since={"b": ms(1)})  # what is kept between runs
    assert [(each["_id"], each["after"]) for each in found] == [
        (name, DAY + timedelta(hours=1)) for name in ("reports/b", "reports/b/0/0", "reports/b/1/0")
    ]


def test_a_partition_that_was_added_began_after_what_was_known_then() -> None:
    added = commit(1, landed_through={"a/2": ms(9)}, lost={"a/2": [0, 4]}, lost_before={"a/2": ms(8)})
    [expired] = batch_losses.found([added], {"a/0": ms(5), "a/1": ms(6)})
    assert times(expired) == (DAY + timedelta(hours=5), DAY + timedelta(hours=8))
    [expired] = batch_losses.found([added], {"a/0": ms(9), "a/1": ms(10)})
    assert expired["after"] is None, "it was there before"


def test_beginning_of_the_first_topics_losses_is_unknown() -> None:
    first = commit(1, landed_through={"a/0": ms(7)})
    second = commit(2, landed_through={"a/1": ms(9)}, lost={"a/1": [0, 4]}, lost_before={"a/1": ms(8)})
    [expired] = batch_losses.found([first, second], {})
    assert expired["after"] is None
