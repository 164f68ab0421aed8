"""A day's stored roll-up: exact as cells come later, one form alone, and kept where the hours behind it are dropped."""

from __future__ import annotations

import pytest

from fleet.figures.cube import HOURS
from fleet.figures.day_form import (
    BLOCKS,
    BY_COUNTRY,
    BY_SCORE,
    COUNTRIES_BY_HOUR,
    COUNTRIES_BY_SCORE,
    DAY_FORMS,
    DayForm,
    part_of,
)
from fleet.figures.roll_up import in_form, roll_up
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
    return StoredForm(form, in_form(STORED, form))


@pytest.mark.parametrize("form", DAY_FORMS, ids=lambda form: form.path)
def test_day_stays_exact_as_cells_come_later(form: DayForm) -> None:
    day, whole = stored_form(form), [STORED]
    for new in LATER:
        assert day.cells == in_form(HOURS.merge(whole), form)  # read at each version
        day = day.with_later(new)
        whole.append(new)
    assert day.cells == in_form(HOURS.merge(whole), form)


@pytest.mark.parametrize(("keep", "with_country", "keys"), KEEPS)
def test_form_has_the_keys_that_a_reader_names(keep: Keep, with_country: bool, keys: set[str]) -> None:
    form = form_of(keep, "Chad" if with_country else None)
    assert keys <= set(form.keys)
    assert not with_country or form.has("Chad")


def test_each_country_is_in_one_part_of_a_divided_form() -> None:
    countries = [f"Country {number}" for number in range(200)]
    whole = HOURS.merge([cells((DAY, country, 5, 10, 2)) for country in countries])
    for forms in (COUNTRIES_BY_HOUR, COUNTRIES_BY_SCORE):
        parts = {form: in_form(whole, form)["country"].to_pylist() for form in forms}
        assert sorted(country for part in parts.values() for country in part) == sorted(countries)
        assert all(part_of(forms, country) == form for form, part in parts.items() for country in part)
        assert max(map(len, parts.values())) < 2 * len(countries) / BLOCKS


def test_figures_that_were_not_asked_for_are_no_zeros() -> None:
    """A form of a day that is held says nothing of its other forms."""
    day = DAY // 24
    served = Served(first_hour=DAY, last_hour=DAY + 5, stored={(day, BY_COUNTRY): stored_form(BY_COUNTRY)})
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
    wanted = Wanted([first * 24], range(first, first + 1), BY_SCORE)
    assert bounded(served, wanted, most_hours=48, most_forms=2 * len(DAY_FORMS)) == served
    fewer = bounded(served, wanted, most_hours=47, most_forms=2 * len(DAY_FORMS))
    assert (set(fewer.hours), set(fewer.stored)) == (set(range(first * 24, first * 24 + 24)), set(stored))
    fewer = bounded(served, Wanted([first * 24]), most_hours=47, most_forms=2 * len(DAY_FORMS))
    assert (set(fewer.hours), set(fewer.stored)) == ({first * 24}, set(stored))
    fewer = bounded(served, wanted, most_hours=48, most_forms=2 * len(DAY_FORMS) - 1)
    assert (set(fewer.hours), set(fewer.stored)) == (set(hours), {(first, BY_SCORE)})
