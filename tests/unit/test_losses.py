"""Of which days lost messages may have been, and how it is said."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from fleet import losses

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
        ({}, "up to 3 reports of partition 2 expired before they were landed; the broker took them between"),
        ({"messages": 1, "table": "alerts"}, "one of the alerts of partition 2 expired before they were landed; the"),
        ({"partition": None, "messages": None}, "the topic of reports was made anew between"),
    ],
)
def test_one_sentence_says_what_and_when(more: dict[str, Any], said: str) -> None:
    sentence = losses.sentence(loss(8, 9, **more))
    assert sentence.startswith(said)
    assert "2026-11-24 08:00 and 2026-11-24 09:00 UTC" in sentence


def test_what_nobody_knows_the_number_of_counts_nothing() -> None:
    lost = [loss(8, 9), loss(8, 9, messages=None), loss(8, 9, table="alerts")]
    assert (losses.messages(lost, "reports"), losses.messages(lost, "alerts")) == (3, 3)
