"""`--from` and `--to`."""

import pytest

from batch_layer import ranges
from fleet.errors import BadInput

DAY = 20781 * 24  # 2026-11-24T00
END = 2_932_897 * 24  # after 9999-12-31, the last day that there is


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (None, None, None),
        ("2026-11-24", None, range(DAY, DAY + 24)),
        (None, "2026-11-24", range(DAY, DAY + 24)),
        ("2026-11-24", "2026-11-25", range(DAY, DAY + 48)),
        ("2026-11-24T08", "2026-11-24T08", range(DAY + 8, DAY + 9)),
        ("2026-11-24T08", "2026-11-24", range(DAY + 8, DAY + 24)),
        ("2026-11-24", "2026-11-24T08", range(DAY, DAY + 9)),
        ("1970-01-01", None, range(24)),
        ("9999-12-31", None, range(END - 24, END)),
        ("9999-12-31T23", None, range(END - 1, END)),
        ("1970-01-01", "9999-12-31", range(END)),
    ],
)
def test_both_ends_are_inclusive(first: str | None, last: str | None, expected: range | None) -> None:
    assert ranges.hours(first, last) == expected


@pytest.mark.parametrize(
    ("first", "last", "option"),
    [
        ("2026-11-25", "2026-11-24", "--to"),
        ("2026-11-24T08", "2026-11-24T07", "--to"),
        ("yesterday", None, "--from"),
        ("2026-13-01", None, "--from"),
        ("2026-11-24", "2026-11-24T24", "--to"),
        ("2026-11-24T08:30", None, "--from"),
        ("", None, "--from"),
        ("1969-12-31", None, "--from"),
        ("20261124", None, "--from"),
        ("2026-W01-1", None, "--from"),
        ("2026-11-24T1", None, "--from"),
        ("0001-01-01", None, "--from"),
        ("0001-01-01T00", None, "--from"),
        ("0000-01-01", None, "--from"),
        ("2026-11-24", "10000-01-01", "--to"),
        ("２０２６-11-24", None, "--from"),
    ],
)
def test_a_wrong_range_names_its_option(first: str | None, last: str | None, option: str) -> None:
    with pytest.raises(BadInput) as error:
        ranges.hours(first, last)
    assert error.value.field == option


def test_a_day_has_its_hours() -> None:
    assert {str(ranges.day_of(hour)) for hour in ranges.hours_of_day(ranges.day_of(DAY + 5))} == {"2026-11-24"}
