"""The answers from cells: by hand, as a table, and against plain Python over random reports."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.figures import statistics
from fleet.figures.cube import HOURS
from fleet.figures.day_form import DAY_FORMS, DayForm
from fleet.figures.roll_up import roll_up
from serving.figures.days import Day, Hour

DAY = 20_000 * 24  # 2024-10-04T00, a Friday
EMPTY = HOURS.empty()


def cells(*rows: tuple[int, str, int, int, int]) -> pa.Table:
    """Cells of (hour, country, worst score, reports, alerts), one citizen a report, battery 50 %, half of them low."""
    columns: dict[str, list[Any]] = {name: [] for name in HOURS.schema.names}
    for hour, country, score, reports, alerts in rows:
        values = (hour, country, score, reports, alerts, reports * 50_000, reports // 2, reports, reports * score)
        for name, value in zip(HOURS.schema.names, values, strict=True):
            columns[name].append(value)
    return HOURS.from_document(columns)


def test_parts_of_the_day_hold_six_hours_each() -> None:
    table = cells(*((DAY + hour, "France", 5, 10, hour + 1) for hour in range(24)))
    answer = statistics.alerts_by_part_of_day(table)
    assert answer["hours"] == list(range(1, 25))
    assert answer["parts"] == {"night": 21, "morning": 57, "afternoon": 93, "evening": 129}
    assert answer["total"] == 300


def test_a_clock_elsewhere_moves_the_parts() -> None:
    table = cells((DAY + 23, "France", 5, 10, 4))
    assert statistics.alerts_by_part_of_day(table, lambda hour: hour + 2)["hours"][1] == 4


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1, ["Chile"]), (3, ["Chile", "Ghana", "Åland"]), (9, ["Chile", "Ghana", "Åland", "Fiji"])],
)
def test_countries_with_most_alerts_come_first_and_ties_by_name(limit: int, expected: list[str]) -> None:
    table = cells((DAY, "Åland", 5, 9, 2), (DAY, "Ghana", 5, 9, 2), (DAY, "Chile", 1, 9, 3), (DAY, "Fiji", 5, 9, 0))
    found = statistics.alerts_by_country(table, limit)["countries"]
    assert [row["country"] for row in found] == expected
    assert found[0] == {"country": "Chile", "alerts": 3, "reports": 9}


def test_averages_are_over_reports_and_over_citizens() -> None:
    table = cells((DAY, "France", 4, 3, 0), (DAY + 1, "Chile", 8, 1, 0))
    assert statistics.averages(table) == {"reports": 4, "battery": 50.0, "peace_score": 5.0}


def test_weekdays_count_every_day_of_the_range() -> None:
    table = cells((DAY, "France", 5, 10, 6), (DAY + 24, "France", 5, 10, 4))
    answer = statistics.alerts_by_weekday(table, statistics.dates_between(date(2024, 10, 4), date(2024, 10, 12)))
    assert answer["weekdays"][4] == {"weekday": 5, "alerts": 6, "days": 2}
    assert answer["weekdays"][6] == {"weekday": 7, "alerts": 0, "days": 1}
    assert answer["working_days"] == {"alerts": 6, "days": 6, "alerts_per_day": 1.0}
    assert answer["weekend"] == {"alerts": 4, "days": 3, "alerts_per_day": 4 / 3}


def test_low_battery_has_shares() -> None:
    answer = statistics.low_battery(cells((DAY, "France", 5, 10, 0)), 1, 4)
    assert answer["reports"] == {"low": 5, "total": 10, "share": 0.5}
    assert answer["drones"] == {"low": 1, "total": 4, "share": 0.25}


def test_a_report_that_saw_nobody_has_no_score() -> None:
    answer = statistics.alerts_by_peace_score(cells((DAY, "France", 0, 10, 3), (DAY, "France", 2, 5, 1)))
    assert [row["peace_score"] for row in answer["scores"]] == list(range(1, 11))
    assert [row["reports"] for row in answer["scores"]] == [0, 5, *[0] * 8]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (statistics.alerts_by_part_of_day(EMPTY)["total"], 0),
        (statistics.alerts_by_country(EMPTY)["countries"], []),
        (statistics.averages(EMPTY), {"reports": 0, "battery": None, "peace_score": None}),
        (statistics.alerts_by_weekday(EMPTY, [])["weekend"], {"alerts": 0, "days": 0, "alerts_per_day": None}),
        (statistics.low_battery(EMPTY, 0, 0)["drones"], {"low": 0, "total": 0, "share": None}),
        (sum(row["reports"] for row in statistics.alerts_by_peace_score(EMPTY)["scores"]), 0),
        (statistics.series(EMPTY, [DAY])[0]["battery"], None),
        (statistics.series(EMPTY, []), []),
    ],
)
def test_nothing_is_zero_or_null(answer: object, expected: object) -> None:
    assert answer == expected


def test_a_series_puts_each_hour_into_its_interval() -> None:
    table = cells((DAY, "France", 5, 1, 1), (DAY + 23, "France", 5, 2, 0), (DAY + 48, "France", 5, 4, 2))
    rows = statistics.series(table, [DAY, DAY + 24, DAY + 48])
    assert [row["reports"] for row in rows] == [3, 0, 4]
    assert [row["alerts"] for row in rows] == [1, 0, 2]


DRONES = [
    {"_id": f"2024-10-{day:02}", "cells": {"next_day": next_day, "country": country, "drones": drones, "low": low}}
    for day, next_day, country, drones, low in [
        (4, ["2024-10-05", ""], ["A", "A"], [5, 2], [1, 1]),
        (5, ["2024-10-09", ""], ["A", "B"], [3, 4], [0, 2]),
    ]
]


@pytest.mark.parametrize(
    ("first", "last", "country", "expected"),
    [
        (4, 4, None, (2, 7)),
        (4, 5, None, (3, 9)),
        (4, 9, None, (3, 6)),
        (5, 8, "A", (0, 3)),
        (5, 8, "B", (2, 4)),
        (6, 8, None, (0, 0)),
    ],
)
def test_a_drone_counts_once_by_its_last_report(
    first: int, last: int, country: str | None, expected: tuple[int, int]
) -> None:
    assert statistics.drones_of_range(DRONES, date(2024, 10, first), date(2024, 10, last), country) == expected


rows = st.lists(
    st.tuples(
        st.integers(DAY, DAY + 24 * 9),
        st.sampled_from(["Chile", "Fiji", "Åland"]),
        st.integers(0, 10),
        st.integers(0, 50),
        st.integers(0, 50),
    ),
    max_size=60,
)


@given(rows)
def test_the_answers_are_those_of_plain_counting(found: list[tuple[int, str, int, int, int]]) -> None:
    table = HOURS.merge([cells(row) for row in found])
    hours, countries, scores, weekdays = Counter[int](), Counter[str](), Counter[int](), Counter[int]()
    for hour, country, score, _, alerts in found:
        hours[hour % 24] += alerts
        countries[country] += alerts
        scores[score] += alerts
        weekdays[(hour // 24 + 3) % 7 + 1] += alerts  # 1970-01-01 was a Thursday
    assert statistics.alerts_by_part_of_day(table)["hours"] == [hours[hour] for hour in range(24)]
    answer = statistics.alerts_by_country(table, None)["countries"]
    assert {row["country"]: row["alerts"] for row in answer} == dict(countries)
    assert answer == sorted(answer, key=lambda row: (-row["alerts"], row["country"]))
    assert [row["alerts"] for row in statistics.alerts_by_peace_score(table)["scores"]] == [
        scores[score] for score in range(1, 11)
    ]
    assert [row["alerts"] for row in statistics.alerts_by_weekday(table, [])["weekdays"]] == [
        weekdays[day] for day in range(1, 8)
    ]


@given(rows)
def test_rolled_up_cells_answer_as_all_cells_do(found: list[tuple[int, str, int, int, int]]) -> None:
    whole = HOURS.merge([cells(row) for row in found])
    day = Day([Hour(whole)])
    for form in DAY_FORMS:
        rolled_up = day.cells(form)
        countries = [name for name in set(whole["country"].to_pylist()) if form.has(name)]
        table = whole.filter(pc.is_in(whole["country"], pa.array(countries, pa.string())))
        assert statistics.averages(rolled_up) == statistics.averages(table)
        if "event_hour" in form.keys:
            assert statistics.alerts_by_part_of_day(rolled_up) == statistics.alerts_by_part_of_day(table)
        if "worst_score" in form.keys:
            assert statistics.alerts_by_peace_score(rolled_up) == statistics.alerts_by_peace_score(table)
        if "country" in form.keys:
            assert statistics.alerts_by_country(rolled_up) == statistics.alerts_by_country(table)
    assert roll_up(whole, ["event_hour", "country", "worst_score"]) == whole


@pytest.mark.parametrize("form", DAY_FORMS, ids=lambda form: form.path)
def test_hours_without_reports_are_not_grouped(form: DayForm) -> None:
    """A range of years may have few others: grouping nothing took as long as grouping an hour, a minute in all."""
    empty = HOURS.empty()
    assert HOURS.merge([empty, empty]) is empty, "the one empty table, not one that grouping made"
    assert Hour(empty).cells(form) is empty
    assert Day([Hour(empty)]).cells(form) == empty
