"""What people type: read strictly, and a wrong one is named by its option."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.arguments import duration, rate, utc_time
from fleet.errors import BadInput


@pytest.mark.parametrize("text", ["2021-03-22T00:00:00Z", "2021-03-22T01:00:00+01:00", " 2021-03-21T19:00-05:00 "])
def test_times(text: str) -> None:
    assert utc_time("--start", text) == datetime(2021, 3, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("now", "not a time such as"),
        ("", "not a time such as"),
        ("2021-13-01T00:00:00Z", "not a time such as"),
        ("2021-03-22T00:00:00", "no time zone"),
        ("2021-03-22", "no time zone"),
        ("0001-01-01T00:00:00+10:00", "is before year 1"),
    ],
)
def test_wrong_times(text: str, why: str) -> None:
    with pytest.raises(BadInput, match=f"--start: .*{why}"):
        utc_time("--start", text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5s", 1.5), ("5m", 300), ("2 h", 7200), ("1d", 86400), ("36500d", 36500 * 86400)],
)
def test_durations(text: str, seconds: Any) -> None:
    assert duration("--duration", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0", "-1", "5 minutes", "1e3", "9" * 400, "9" * 30 + "d", "36501d", "999999999d"])
def test_wrong_durations(text: str) -> None:
    with pytest.raises(BadInput, match="not a duration"):
        duration("--duration", text)


def test_rates() -> None:
    assert rate("--rate", 0.5) == 0.5
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(BadInput, match="not a rate"):
            rate("--rate", wrong)
