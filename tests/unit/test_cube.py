"""The laws of the cube: the merge is the product, so it holds for any rows, cut in any way, in any order."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.figures.cube import HOURS, Cube, Measure
from fleet.reports.landed import SCHEMA

ROWS = pa.schema([SCHEMA.field(name) for name in HOURS.columns])
COUNTRIES = ["France", "Österreich", "日本", "unknown", ""]

row = st.fixed_dictionaries(
    {
        "event_hour": st.integers(0, 3),
        "country": st.sampled_from(COUNTRIES),
        "worst_score": st.integers(0, 2),
        "alert_count": st.integers(0, 1),
        "battery_millipercent": st.integers(0, 100_000),
        "low_battery_count": st.integers(0, 1),
        "citizen_count": st.integers(0, 2**31 - 1),
        "peace_score_sum": st.integers(0, 2**31 - 1),
    }
)
rows = st.lists(row, max_size=12)
parts = st.lists(rows, max_size=4)

EXTREMES = Cube(
    name="extremes",
    keys=(("country", pa.string()),),
    measures=(
        Measure("lowest", "min", "battery_millipercent"),
        Measure("highest", "max", "battery_millipercent"),
        Measure("reports", "count"),
    ),
)


def landed(found: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(found, schema=ROWS)


def by_hand(found: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, int]]:
    """The cells of HOURS, by plain Python."""
    cells: dict[tuple[Any, ...], dict[str, int]] = {}
    for each in found:
        key = (each["event_hour"], each["country"], each["worst_score"])
        cell = cells.setdefault(key, dict.fromkeys(HOURS.measure_names, 0))
        cell["reports"] += 1
        cell["alerts"] += each["alert_count"]
        cell["battery_sum"] += each["battery_millipercent"]
        cell["low_battery"] += each["low_battery_count"]
        cell["citizens"] += each["citizen_count"]
        cell["peace_score_sum"] += each["peace_score_sum"]
    return cells


@given(rows)
def test_fold_is_what_one_counts_by_hand(found: list[dict[str, Any]]) -> None:
    cells = HOURS.fold(landed(found))
    folded = {tuple(cell[key] for key in HOURS.key_names): cell for cell in cells.to_pylist()}
    assert {key: {name: cell[name] for name in HOURS.measure_names} for key, cell in folded.items()} == by_hand(found)


@pytest.mark.parametrize("cube", [HOURS, EXTREMES], ids=lambda cube: cube.name)
@given(found=parts)
def test_parts_merged_equal_the_whole(cube: Cube, found: list[list[dict[str, Any]]]) -> None:
    whole = cube.fold(landed([each for part in found for each in part]))
    assert cube.merge(cube.fold(landed(part)) for part in found).equals(whole)


@pytest.mark.parametrize("cube", [HOURS, EXTREMES], ids=lambda cube: cube.name)
@given(first=rows, second=rows, third=rows)
def test_merge_is_associative_and_commutative(cube: Cube, first: Any, second: Any, third: Any) -> None:
    a, b, c = (cube.fold(landed(part)) for part in (first, second, third))
    assert cube.merge([a, b]).equals(cube.merge([b, a]))
    assert cube.merge([cube.merge([a, b]), c]).equals(cube.merge([a, cube.merge([b, c])]))


@given(rows)
def test_empty_changes_nothing(found: list[dict[str, Any]]) -> None:
    cells = HOURS.fold(landed(found))
    assert HOURS.merge([HOURS.empty(), cells, HOURS.empty()]).equals(cells)
    assert HOURS.merge([cells]).equals(cells)


def test_nothing_merged_is_empty() -> None:
    assert HOURS.merge([]).equals(HOURS.empty())
    assert HOURS.fold(landed([])).equals(HOURS.empty())


@given(rows)
def test_a_document_keeps_the_cells(found: list[dict[str, Any]]) -> None:
    cells = HOURS.fold(landed(found))
    document = HOURS.to_document(cells)
    assert HOURS.from_document(document).equals(cells)
    assert list(document) == [*HOURS.key_names, *HOURS.measure_names]


@given(rows, st.randoms())
def test_a_document_does_not_depend_on_the_order_of_rows(found: list[dict[str, Any]], random: Any) -> None:
    shuffled = random.sample(found, len(found))
    assert HOURS.to_document(HOURS.fold(landed(shuffled))) == HOURS.to_document(HOURS.fold(landed(found)))


def test_cells_are_sorted_by_keys() -> None:
    keys = [(hour, country, 0) for hour in (2, 0, 1) for country in ("b", "a")]
    zeros = dict.fromkeys(HOURS.columns, 0)
    found = [{**zeros, "event_hour": hour, "country": country} for hour, country, _ in keys]
    cells = HOURS.fold(landed(found)).to_pylist()
    assert [(cell["event_hour"], cell["country"]) for cell in cells] == sorted((hour, name) for hour, name, _ in keys)


def test_sums_outgrow_the_landed_columns() -> None:
    most = dict.fromkeys(HOURS.columns, 2**31 - 1) | {"country": "France"}
    cells = HOURS.fold(landed([most] * 3))
    assert cells["citizens"].to_pylist() == [3 * (2**31 - 1)]


def test_every_column_is_landed() -> None:
    assert set(HOURS.columns) <= set(SCHEMA.names)
    for measure in HOURS.measures:
        assert measure.fold == "count" or pa.types.is_integer(SCHEMA.field(measure.column).type)
