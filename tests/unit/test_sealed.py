"""The contract of sealed days, which the lander and the batch layer share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from fleet.reports import sealed


@pytest.mark.parametrize(
    ("configuration", "through"),
    [
        ({}, None),
        ({sealed.SEALED_THROUGH_KEY: None}, None),
        ({sealed.SEALED_THROUGH_KEY: ""}, None),
        ({sealed.SEALED_THROUGH_KEY: "2026-11-24", "delta.checkpointInterval": "100"}, date(2026, 11, 24)),
    ],
)
def test_the_tables_configuration_says_what_is_sealed(configuration: dict[str, str | None], through: date) -> None:
    assert sealed.sealed_through(configuration) == through


def test_a_report_of_the_last_moment_is_sealed_and_one_of_the_next_is_not() -> None:
    opens = sealed.opens_at(date(2026, 11, 24))
    assert opens == datetime(2026, 11, 25, tzinfo=UTC)
    assert datetime(2026, 11, 24, 23, 59, 59, 999_999, tzinfo=UTC) < opens
    assert datetime(1970, 1, 1, tzinfo=UTC) >= sealed.opens_at(None)


def test_today_and_so_many_whole_days_are_kept() -> None:
    now = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
    assert sealed.last_to_seal(now, 30) == date(2026, 10, 24)
    assert sealed.last_to_seal(now, 1) == date(2026, 11, 22)
    west = now.astimezone(timezone(-timedelta(hours=5)))
    assert sealed.last_to_seal(west, 1) == date(2026, 11, 22), "days are UTC days wherever it is asked"
