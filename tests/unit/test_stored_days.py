"""A day's stored roll-up: exact as cells come later, unpacked once, and kept where the hours behind it are dropped."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fleet.figures.cube import HOURS
from fleet.figures.roll_up import DAY_FORMS, roll_up
from infra.mongo.packed import pack
from serving.figures.days import Keep, StoredDay
from serving.figures.merge import Wanted, bounded
from serving.figures.served import Served
from tests.unit.test_statistics import DAY, cells

STORED = cells((DAY, "France", 5, 10, 2), (DAY + 1, "Chad", 3, 4, 1))
LATER = [cells((DAY + 1, "France", 5, 1, 1)), cells((DAY + 1, "Chad", 2, 7, 0), (DAY + 5, "Peru", 9, 1, 0))]
KEEPS: tuple[tuple[Keep, bool], ...] = (
    *(("event_hour", False), ("event_hour", True), ("country", False)),
    *(("worst_score", False), ("worst_score", True), ("", False)),
)


class Packed(dict[str, bytes]):
    """Packed forms, which count how often each is read."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reads: Counter[str] = Counter()

    def __getitem__(self, name: str) -> bytes:
        self.reads[name] += 1
        return super().__getitem__(name)


def packed() -> Packed:
    return Packed({name: pack(roll_up(STORED, keep)) for name, keep in DAY_FORMS.items()})


@pytest.mark.parametrize(("keep", "with_country"), KEEPS)
def test_day_stays_exact_as_cells_come_later(keep: Keep, with_country: bool) -> None:
    day, fresh = StoredDay(packed()), [STORED]
    for new in LATER:
        day.cells(keep, with_country=with_country)  # read at each version
        day = day.with_later(new)
        fresh.append(new)
    rebuilt = {name: pack(roll_up(HOURS.merge(fresh), form)) for name, form in DAY_FORMS.items()}
    assert day.cells(keep, with_country=with_country) == StoredDay(rebuilt).cells(keep, with_country=with_country)


def test_form_is_unpacked_once_for_all_versions() -> None:
    forms = packed()
    day = StoredDay(forms)
    for new in (None, *LATER):
        day = day if new is None else day.with_later(new)
        for keep, with_country in KEEPS:
            day.cells(keep, with_country=with_country)
    assert forms.reads == dict.fromkeys(DAY_FORMS, 1)


def test_stored_days_outlive_the_hours_that_are_dropped() -> None:
    first = DAY // 24
    hours = {first * 24 + hour: STORED for hour in range(48)}
    stored = {first: StoredDay(packed()), first + 1: StoredDay(packed())}
    served = Served(version=1, hours=hours, stored=stored)
    wanted = Wanted(frozenset([first * 24]), range(first, first + 1))
    assert bounded(served, wanted, most_hours=48, most_days=2) == served
    fewer = bounded(served, wanted, most_hours=47, most_days=2)
    assert (set(fewer.hours), set(fewer.stored)) == ({first * 24}, {first, first + 1})
    fewer = bounded(served, wanted, most_hours=48, most_days=1)
    assert (set(fewer.hours), set(fewer.stored)) == (set(hours), {first})
