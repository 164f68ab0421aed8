"""A drone's day folded from any portions of its hours is that folded from all of them at once."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.ranges import hours_of_day
from batch_layer.views.drone_days import SCHEMA, Fold

DAY = date(2026, 11, 24)
START = hours_of_day(DAY).start
MINUTE = 60_000

reports = st.lists(
    st.fixed_dictionaries(
        {
            "drone_id": st.sampled_from(["a", "b", "Ж", ""]),
            "ms": st.integers(0, 86_400_000 - 1) | st.sampled_from([0, 3_599_999, 3_600_000, 86_399_999]),
            "battery": st.integers(0, 100_000),
            "offset": st.integers(0, 2**40),
            "alert": st.booleans(),
            "city": st.integers(0, 3),
        }
    ),
    max_size=30,
    unique_by=lambda each: (each["drone_id"], each["ms"], each["battery"], each["offset"] % 2**19),
)


def answer(rows: list[dict[str, Any]], hours: list[int]) -> pa.Table:
    """What Spark says of the reports of some hours, by loops: fold_expressions in plain Python."""
    columns: dict[str, list[Any]] = {}
    for drone in sorted({row["drone_id"] for row in rows}):
        mine = sorted((row for row in rows if row["drone_id"] == drone), key=place)
        first, last = mine[0], mine[-1]
        measures = {
            "drone_id": drone,
            "reports": len(mine),
            "alerts": sum(row["alert"] for row in mine),
            "lowest_battery": min(row["battery"] for row in mine),
            "first_place": place(first),
            "last_place": place(last),
            "where": last["city"],
            **{f"{which}_latitude": float(row["offset"] % 90) for which, row in (("first", first), ("last", last))},
            **{f"{which}_longitude": float(row["offset"] % 180) for which, row in (("first", first), ("last", last))},
        }
        for hour in hours:
            minutes = {row["ms"] % 3_600_000 // MINUTE for row in mine if row["ms"] // 3_600_000 == hour - START}
            measures[f"spoke_{hour % 24}"] = sum(1 << minute for minute in minutes)
        for name, value in measures.items():
            columns.setdefault(name, []).append(value)
    return pa.table(columns)


def place(row: dict[str, Any]) -> int:
    """A report's place in its drone's day."""
    return int(row["ms"] << 36 | row["battery"] << 19 | row["offset"] % 2**19)


def folded(rows: list[dict[str, Any]], portions: list[list[int]]) -> pa.Table:
    """The day out of these portions of its hours; each says only the names that occur in it."""
    day = Fold(DAY)
    for hours in portions:
        inside = [row for row in rows if row["ms"] // 3_600_000 + START in hours]
        if inside:
            names = {row["city"]: (f"Country {row['city'] % 2}", f"City {row['city']}") for row in inside}
            day.add(hours, answer(inside, hours), lambda names=names: names)
    return day.table()


@given(reports, st.lists(st.integers(0, 5), min_size=24, max_size=24), st.randoms(use_true_random=False))
def test_any_portions_of_the_hours_give_the_same_day(rows: list[dict[str, Any]], of: list[int], random: Any) -> None:
    hours = range(START, START + 24)
    portions = [[hour for hour, group in zip(hours, of, strict=True) if group == each] for each in set(of)]
    random.shuffle(portions)
    whole = folded(rows, [list(hours)])
    assert folded(rows, portions).equals(whole)
    assert whole.schema.equals(SCHEMA)
    assert whole["drone_id"].to_pylist() == sorted({row["drone_id"] for row in rows})
    assert sum(whole["reports"].to_pylist()) == len(rows)


def test_a_name_is_asked_for_once() -> None:
    row = {"drone_id": "a", "ms": 0, "battery": 50_000, "offset": 1, "alert": False, "city": 3}
    day, asked = Fold(DAY), list[int]()
    for hour in (START, START + 1):
        there = {**row, "ms": (hour - START) * 3_600_000}

        def names(hour: int = hour) -> dict[int, tuple[str, str]]:
            asked.append(hour)
            return {3: ("Chad", "Abéché")}

        day.add([hour], answer([there], [hour]), names)
    assert asked == [START]
    found = day.table().to_pylist()[0]
    assert (found["reports"], found["country"], found["city"]) == (2, "Chad", "Abéché")
