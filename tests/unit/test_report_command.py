"""A day that no report can be of is refused in a sentence, before anything is asked or built."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cli.main import app
from fleet.errors import BadInput
from serving.figures.served import Served
from serving.report.build import OfficersDay
from serving.report.figures_of_day import DayFigures

TOMORROW = f"{datetime.now(UTC) + timedelta(days=1, hours=15):%F}"
"""Also where clocks are fourteen hours ahead of UTC."""


@pytest.mark.parametrize("command", ["wait", "build", "publish"])
@pytest.mark.parametrize(
    ("day", "says"),
    [
        (TOMORROW, "is in the future; today is"),
        ("9999-12-31", "is in the future"),
        ("0001-01-01", "is before 1970-01-01"),
        ("1969-12-31", "is before 1970-01-01"),
        ("yesterday", "is not a date"),
        ("2026-02-30", "is not a date"),
        ("2026-11-24T08", "is not a date"),
    ],
)
def test_a_day_that_cannot_be_is_named(
    command: str, day: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEACEWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("PEACEWATCH_TIMEZONE", "Pacific/Auckland")
    with pytest.raises(BadInput, match=rf"^--day: .*{says}"):
        app(["report", command, "--day", day], standalone_mode=False)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_first_days_that_can_be_are_compared_with_days_without_reports(zone: str) -> None:
    """A drone whose clock begins in 1970 has reports of them; the four weeks before have none."""
    first = OfficersDay(date(1970, 1, 1), zone)
    assert len(first.hours.hours) == 24
    for day in (first.day_before, *first.same_weekdays):
        hours = first.on(day)
        assert not hours.hours
        assert DayFigures.of(Served(version=1, base=1, as_of=None), hours).reports == 0
