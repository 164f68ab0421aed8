"""Ranges of requests: days and hours of a zone, and the intervals of a series."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import BadInput
from fleet.figures.cube import HOURS
from fleet.figures.statistics import alerts_by_weekday
from serving.figures.intervals import MAX_HOURS, name, starts
from serving.figures.ranges import MAX_DAYS, Range, parse, zone_of

PARIS = ZoneInfo("Europe/Paris")


def hour(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) // 3600


NOVEMBER = (hour("2026-11-20T05:00"), hour("2026-11-24T08:00"))


@pytest.mark.parametrize(
    ("start", "end", "known", "names"),
    [
        ("2026-11-24", "2026-11-24", None, ("2026-11-24", "2026-11-24")),
        ("2026-11-24T08", "2026-11-24T08", None, ("2026-11-24T08", "2026-11-24T08")),
        ("2026-11-24T00", "2026-11-24T23", None, ("2026-11-24", "2026-11-24")),
        (None, None, NOVEMBER, ("2026-11-20", "2026-11-24")),
        ("2026-11-23", None, NOVEMBER, ("2026-11-23", "2026-11-24")),
        (None, "2026-11-21T03", NOVEMBER, ("2026-11-20", "2026-11-21T03")),
        ("2026-12-01", None, NOVEMBER, (None, None)),
        (None, "2026-11-01", NOVEMBER, (None, None)),
        (None, None, None, (None, None)),
        ("2026-11-23", None, None, (None, None)),
        (None, "2026-11-23", None, (None, None)),
    ],
)
def test_missing_bounds_are_the_known_range(
    start: str | None, end: str | None, known: tuple[int, int] | None, names: tuple[str | None, str | None]
) -> None:
    assert parse(start, end, UTC, known).names == names


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-11-24", "2026-11-24", 24),
        ("2026-10-25", "2026-10-25", 25),  # clocks go back
        ("2026-03-29", "2026-03-29", 23),  # clocks go forward
    ],
)
def test_a_day_has_the_hours_of_its_zone(start: str, end: str, hours: int) -> None:
    wanted = parse(start, end, PARIS, None)
    assert len(wanted.hours) == hours
    assert wanted.dates == [date.fromisoformat(start)]
    assert wanted.names == (start, end)


def test_days_of_a_zone_start_at_its_midnight() -> None:
    assert parse("2026-11-24", "2026-11-24", PARIS, None).first == hour("2026-11-23T23:00")


def test_a_range_without_from_is_never_too_long() -> None:
    wanted = parse(None, None, UTC, (hour("2001-01-01T00:00"), hour("2026-11-24T08:00")))
    assert len(wanted.dates) == MAX_DAYS
    assert wanted.names[1] == "2026-11-24"


@pytest.mark.parametrize(
    "name",
    [
        *("", "Nowhere/Town", "../etc/passwd", "Europe", "\x00", "europe/paris", "utc"),
        *("localtime", "posixrules", "Factory", "posix/Europe/Paris", "right/Europe/Paris"),
    ],
)
def test_a_zone_that_is_none_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput, match="tz: there is no time zone"):
        zone_of(name)


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Adelaide", "America/St_Johns"])
def test_a_zone_of_half_hours_is_bad_input(name: str) -> None:
    with pytest.raises(BadInput, match="tz: figures are kept by whole hours"):
        parse("2026-11-24", "2026-11-24", zone_of(name), None)


MONTHS = Range(hour("2026-10-28T00:00"), hour("2026-12-02T00:00"))


@pytest.mark.parametrize(
    ("group", "count", "first", "last"),
    [
        ("day", 35, "2026-10-28", "2026-12-01"),
        ("week", 6, "2026-10-26", "2026-11-30"),
        ("month", 3, "2026-10-01", "2026-12-01"),
    ],
)
def test_intervals_of_a_range(group: str, count: int, first: str, last: str) -> None:
    intervals = starts(MONTHS, group)  # type: ignore[arg-type]
    assert [name(start, group) for start in (intervals[0], intervals[-1])] == [first, last]  # type: ignore[arg-type]
    assert len(intervals) == count


def test_the_hour_that_comes_twice_is_one_interval() -> None:
    intervals = starts(parse("2026-10-25", "2026-10-25", PARIS, None), "hour")
    assert [name(start, "hour") for start in intervals[1:4]] == ["2026-10-25T01", "2026-10-25T02", "2026-10-25T03"]
    assert len(intervals) == 24


def test_hours_of_more_than_a_month_are_refused() -> None:
    with pytest.raises(BadInput, match="group: a series by hour has at most 744 hours"):
        starts(MONTHS, "hour")


@pytest.mark.parametrize("month", ["2026-10", "2026-08"])
def test_a_whole_month_by_hour_is_shown_also_where_clocks_go_back(month: str) -> None:
    wanted = parse(f"{month}-01", f"{month}-31", PARIS, None)
    assert len(starts(wanted, "hour")) == MAX_HOURS
    with pytest.raises(BadInput, match=f"at most {MAX_HOURS} hours"):
        starts(Range(wanted.first, wanted.end + 1, PARIS), "hour")


@pytest.mark.parametrize(
    ("zone", "before", "skipped", "after"),
    [
        ("Pacific/Apia", "2011-12-29", "2011-12-30", "2011-12-31"),
        ("Pacific/Kiritimati", "1994-12-30", "1994-12-31", "1995-01-01"),
    ],
)
def test_date_that_a_zone_skipped_is_not_a_day_there(zone: str, before: str, skipped: str, after: str) -> None:
    samoa = zone_of(zone)
    wanted = parse(before, after, samoa, None)
    assert [day.isoformat() for day in wanted.dates] == [before, after]
    assert [name(start, "day") for start in starts(wanted, "day")] == [before, after]
    assert parse(skipped, skipped, samoa, None).dates == []
    days = {row["weekday"]: row["days"] for row in alerts_by_weekday(HOURS.empty(), wanted.dates)["weekdays"]}
    assert sum(days.values()) == 2
    assert days[date.fromisoformat(skipped).isoweekday()] == 0


@given(
    st.dates(date(1971, 1, 1), date(2098, 1, 1)), st.integers(0, MAX_DAYS - 2), st.sampled_from(["UTC", "Europe/Paris"])
)
def test_range_is_named_as_it_was_requested(first: date, days: int, zone: str) -> None:
    last = first + timedelta(days=days)
    wanted = parse(first.isoformat(), last.isoformat(), zone_of(zone), None)
    assert wanted.names == (first.isoformat(), last.isoformat())
    assert (wanted.dates[0], wanted.dates[-1], len(wanted.dates)) == (first, last, days + 1)


@pytest.mark.parametrize(("day", "skipped_or_twice", "hours"), [("2026-10-25", 2, 25), ("2026-03-29", 2, 23)])
def test_hours_of_a_day_of_25_or_23_add_up_to_it(day: str, skipped_or_twice: int, hours: int) -> None:
    def length(first: int, last: int) -> int:
        return len(parse(f"{day}T{first:02}", f"{day}T{last:02}", PARIS, None).hours)

    assert len(parse(day, day, PARIS, None).hours) == hours
    assert [length(0, cut) + length(cut + 1, 23) for cut in range(23)] == [hours] * 23
    assert length(skipped_or_twice, skipped_or_twice) == hours - 23, (
        "both where it comes twice, none where it is skipped"
    )
    assert [length(hour, hour) for hour in range(24) if hour != skipped_or_twice] == [1] * 23


@pytest.mark.parametrize("year", [1970, 1980])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Singapore", "Africa/Monrovia", "Europe/Amsterdam"])
def test_offsets_of_the_past_work(zone: str, year: int) -> None:
    first, last = hour(f"{year}-01-01T00:00"), hour(f"{year}-01-03T12:00")
    wanted = parse(None, None, zone_of(zone), (first, last))
    assert wanted.first <= first <= last < wanted.end
    local = [wanted.local(each) for each in wanted.hours]
    assert local == sorted(local)
    assert (local[0] % 24, local[-1] % 24) == (0, 23), "whole days of the zone"


@pytest.mark.parametrize("text", ["2026-11-24T25", "24.11.2026", "2026-11-24 08"])
def test_a_wrong_hour_is_answered_by_a_sentence(text: str) -> None:
    with pytest.raises(
        BadInput, match=r"from: give a day \(2026-11-24\) or an hour \(2026-11-24T08\) from 1970 to 2099"
    ):
        parse(text, None, UTC, None)


@given(st.integers(0, 100), st.integers(0, 100))
def test_hours_outside_days_and_the_days_are_the_range(first: int, length: int) -> None:
    wanted = Range(first, first + length)
    of_days = [hour for day in wanted.days for hour in range(day * 24, day * 24 + 24)]
    assert sorted([*wanted.hours_outside_days, *of_days]) == list(wanted.hours)
