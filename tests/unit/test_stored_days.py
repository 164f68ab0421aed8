"""A day's stored roll-up: exact as cells come later, one form alone, and kept where the hours behind it are dropped."""

from __future__ import annotations

import pytest

from fleet.figures.cube import HOURS
from fleet.figures.roll_up import DAY_FORMS, DayForm, roll_up
from serving.figures.days import Keep, StoredForm, form_of
from serving.figures.merge import bounded
from serving.figures.served import Served, Wanted
from tests.unit.test_statistics import DAY, cells

STORED = cells((DAY, "France", 5, 10, 2), (DAY + 1, "Chad", 3, 4, 1))
LATER = [cells((DAY + 1, "France", 5, 1, 1)), cells((DAY + 1, "Chad", 2, 7, 0), (DAY + 5, "Peru", 9, 1, 0))]
KEEPS: tuple[tuple[Keep, bool, set[str]], ...] = (
    *(("event_hour", False, {"event_hour"}), ("event_hour", True, {"event_hour", "country"})),
    *(("country", False, {"country"}), ("country", True, {"country"})),
    *(("worst_score", False, {"worst_score"}), ("worst_score", True, {"worst_score", "country"})),
    *(("", False, set[str]()), ("", True, {"country"})),
)


def stored_form(form: DayForm) -> StoredForm:
    return StoredForm(form, roll_up(STORED, DAY_FORMS[form]))


@pytest.mark.parametrize("form", DAY_FORMS)
def test_day_stays_exact_as_cells_come_later(form: DayForm) -> None:
    day, whole = stored_form(form), [STORED]
    for new in LATER:
        assert day.cells == roll_up(HOURS.merge(whole), DAY_FORMS[form])  # read at each version
        day = day.with_later(new)
        whole.append(new)
    assert day.cells == roll_up(HOURS.merge(whole), DAY_FORMS[form])


@pytest.mark.parametrize(("keep", "with_country", "keys"), KEEPS)
def test_form_has_the_keys_that_a_reader_names(keep: Keep, with_country: bool, keys: set[str]) -> None:
    assert keys <= set(DAY_FORMS[form_of(keep, with_country=with_country)])


def test_figures_that_were_not_asked_for_are_no_zeros() -> None:
    """A form of a day that is held says nothing of its other forms."""
    day = DAY // 24
    served = Served(first_hour=DAY, last_hour=DAY + 5, stored={(day, "by_country"): stored_form("by_country")})
    assert served.cells(day * 24, day * 24 + 24, "country") == roll_up(STORED, ["country"])
    with pytest.raises(LookupError):
        served.cells(day * 24, day * 24 + 24, "event_hour")
    with pytest.raises(LookupError):
        served.cells(DAY, DAY + 1, "country")


def test_stored_days_outlive_the_hours_that_are_dropped() -> None:
    first = DAY // 24
    hours = {first * 24 + hour: STORED for hour in range(48)}
    stored = {(day, form): stored_form(form) for day in (first, first + 1) for form in DAY_FORMS}
    served = Served(version=1, hours=hours, stored=stored)
    wanted = Wanted([first * 24], range(first, first + 1), "by_score")
    assert bounded(served, wanted, most_hours=48, most_forms=10) == served
    fewer = bounded(served, wanted, most_hours=47, most_forms=10)
    assert (set(fewer.hours), set(fewer.stored)) == (set(range(first * 24, first * 24 + 24)), set(stored))
    fewer = bounded(served, Wanted([first * 24]), most_hours=47, most_forms=10)
    assert (set(fewer.hours), set(fewer.stored)) == ({first * 24}, set(stored))
    fewer = bounded(served, wanted, most_hours=48, most_forms=9)
    assert (set(fewer.hours), set(fewer.stored)) == (set(hours), {(first, "by_score")})
