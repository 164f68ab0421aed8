"""A drone's day folded from any portions of its hours is that folded from all of them at once."""

from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.ranges import hours_of_day
from batch_layer.views.drone_days import ROWS, Fold, merge

DAY = date(2026, 11, 24)
START = hours_of_day(DAY).start
MINUTE = 60_000


def _order(report: dict[str, Any]) -> tuple[Any, ...]:
    """What decides which report of a drone is the last: no two are equal in all of it."""
    return report["drone_id"], report["ms"], report["battery"], report["offset"] % 2**19


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
    unique_by=_order,
)


def answer(rows: list[dict[str, Any]], hours: list[int]) -> pa.Table:
    """What Spark says of the reports of some hours, by loops: fold_expressions in plain Python."""
    columns: dict[str, list[Any]] = {}
    for drone in sorted({row["drone_id"] for row in rows}):
        mine = [row for row in rows if row["drone_id"] == drone]
        measures = {
            "drone_id": drone,
            "reports": len(mine),
            "alerts": sum(row["alert"] for row in mine),
            "lowest_battery": min(row["battery"] for row in mine),
            "first_place": min(map(place, mine)),
            "last_place": max(map(place, mine)),
        }
        for hour in hours:
            minutes = {row["ms"] % 3_600_000 // MINUTE for row in mine if hour_of(row) == hour}
            measures[f"spoke_{hour % 24}"] = sum(1 << minute for minute in minutes)
        for name, value in measures.items():
            columns.setdefault(name, []).append(value)
    return pa.table(columns)


def positions(rows: list[dict[str, Any]], wanted: pa.Table) -> pa.Table:
    """What Spark says of the wanted places, by loops."""
    pairs = {(each["drone_id"], each["place"]) for each in wanted.to_pylist()}
    assert len(pairs) == wanted.num_rows
    found = [row for row in rows if (row["drone_id"], place(row)) in pairs]
    return pa.Table.from_pylist([{"drone_id": row["drone_id"], "place": place(row), **where(row)} for row in found])


def where(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "latitude": float(row["offset"] % 90),
        "longitude": float(row["offset"] % 180),
        "country": f"Country {row['city'] % 2}",
        "city": f"City {row['city']}",
    }


def hour_of(row: dict[str, Any]) -> int:
    return int(row["ms"] // 3_600_000 + START)


def place(row: dict[str, Any]) -> int:
    """A report's place in its drone's day."""
    return int(row["ms"] << 36 | row["battery"] << 19 | row["offset"] % 2**19)


def folded(rows: list[dict[str, Any]], portions: list[list[int]]) -> pa.Table:
    """The day out of these portions of its hours, in both passes."""
    day = Fold(DAY)
    for hours in portions:
        inside = [row for row in rows if hour_of(row) in hours]
        if inside:
            day.add(hours, answer(inside, hours))
    again = day.position_hours()
    assert set(again) <= {hour_of(row) for row in rows}
    for hours in portions:
        if chosen := [hour for hour in hours if hour in again]:
            inside = [row for row in rows if hour_of(row) in chosen]
            day.add_positions(positions(inside, day.wanted(chosen)))
    return day.table()


def by_loop(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """First and last reports of each drone, by a plain loop."""
    found = []
    for drone in sorted({row["drone_id"] for row in rows}):
        mine = sorted((row for row in rows if row["drone_id"] == drone), key=place)
        first, last = where(mine[0]), where(mine[-1])
        found.append(
            {
                "drone_id": drone,
                "reports": len(mine),
                "minutes": len({row["ms"] // MINUTE for row in mine}),
                "first_at": START * 3_600_000 + mine[0]["ms"],
                "last_at": START * 3_600_000 + mine[-1]["ms"],
                "last_battery": mine[-1]["battery"],
                **{f"first_{name}": first[name] for name in ("latitude", "longitude")},
                **{f"last_{name}": last[name] for name in ("latitude", "longitude")},
                **{name: last[name] for name in ("country", "city")},
            }
        )
    return found


@given(reports, st.lists(st.integers(0, 5), min_size=24, max_size=24), st.randoms(use_true_random=False))
def test_any_portions_of_the_hours_give_the_same_day(rows: list[dict[str, Any]], of: list[int], random: Any) -> None:
    hours = range(START, START + 24)
    portions = [[hour for hour, group in zip(hours, of, strict=True) if group == each] for each in set(of)]
    random.shuffle(portions)
    whole = folded(rows, [list(hours)])
    assert folded(rows, portions).equals(whole)
    assert whole.schema.equals(ROWS)
    assert whole["drone_id"].to_pylist() == sorted({row["drone_id"] for row in rows})
    expected = by_loop(rows)
    assert whole.select(list(expected[0]) if expected else []).to_pylist() == expected


@given(reports, st.lists(st.integers(0, 2), min_size=30, max_size=30))
def test_days_of_any_parts_of_the_reports_merge_to_the_day_of_all(rows: list[dict[str, Any]], part: list[int]) -> None:
    """Late reports of an hour, too: the parts share hours and drones."""
    hours = [*range(START, START + 24)]
    parts = [[row for row, of in zip(rows, part, strict=False) if of == each] for each in range(3)]
    assert merge(DAY, [folded(each, [hours]) for each in parts]).equals(folded(rows, [hours]))


@pytest.mark.parametrize("order", [1, -1])
def test_same_report_of_two_at_one_place_is_taken_in_any_part(order: int) -> None:
    rows = [REPORT, {**REPORT, "city": 2, "offset": 1 + 2**19}]
    parts = [folded([row], [[START]]) for row in rows[::order]]
    assert merge(DAY, parts).equals(folded(rows, [[START]]))


def test_fold_of_nothing_has_no_drones() -> None:
    assert merge(DAY, []).equals(ROWS.empty_table())
    assert merge(DAY, [ROWS.empty_table()]).equals(ROWS.empty_table())


REPORT = {"drone_id": "a", "ms": 5_000, "battery": 50_000, "offset": 1, "alert": False, "city": 3}


def test_two_drones_that_share_a_place_keep_their_own_position() -> None:
    rows = [REPORT, {**REPORT, "drone_id": "b", "city": 2, "offset": 1 + 2**19}]
    assert place(rows[0]) == place(rows[1])
    found = folded(rows, [[START]]).to_pylist()
    assert [(row["drone_id"], row["city"], row["last_latitude"]) for row in found] == [
        ("a", "City 3", 1.0),
        ("b", "City 2", float((1 + 2**19) % 90)),
    ]


def test_one_report_of_two_at_one_place_is_taken_whole_in_any_order() -> None:
    """A drone that reported twice in a millisecond, 2**19 messages apart: no pair of a row's and another's columns."""
    rows = [REPORT, {**REPORT, "city": 2, "offset": 1 + 2**19}]
    found = [folded(each, [[START]]) for each in (rows, rows[::-1])]
    assert found[0].equals(found[1])
    (row,) = found[0].to_pylist()
    assert (row["reports"], row["first_latitude"], row["country"], row["city"]) == (2, 1.0, "Country 1", "City 3")


def test_only_hours_with_a_first_or_last_report_are_read_again() -> None:
    rows = [{**REPORT, "ms": hour * 3_600_000} for hour in (2, 3, 5, 7)]
    day = Fold(DAY)
    day.add([START + hour for hour in (2, 3, 5, 7)], answer(rows, [START + hour for hour in (2, 3, 5, 7)]))
    assert day.position_hours() == [START + 2, START + 7]
    assert day.wanted([START + 2]).to_pylist() == [{"drone_id": "a", "place": place(rows[0])}]
    assert day.wanted([START + 3]).num_rows == 0


def test_a_first_or_last_report_in_every_hour() -> None:
    rows = [{**REPORT, "drone_id": f"d{hour}", "ms": hour * 3_600_000 + n} for hour in range(24) for n in range(3)]
    hours = [*range(START, START + 24)]
    day = Fold(DAY)
    day.add(hours, answer(rows, hours))
    assert day.position_hours() == hours
    found = folded(rows, [[hour] for hour in hours])
    assert found.equals(folded(rows, [hours]))
    assert found.num_rows == 24


def test_a_position_that_was_not_found_is_no_row_of_nothing() -> None:
    day = Fold(DAY)
    day.add([START], answer([REPORT], [START]))
    with pytest.raises(ValueError, match=r"^1 drones have no position$"):
        day.table()
