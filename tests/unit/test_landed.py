"""What derives from a report, and the packed last state."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fleet.reports.landed import BATTERY_BITS, PARTITION_BY, SCHEMA, hour_name, last_state, unpack_last_state
from fleet.reports.report import Report

# 1970 to the year 4199 in milliseconds: 46 bits; a later time is far ahead of any broker's
times = st.integers(0, 2**46 - 1)
batteries = st.integers(0, 100_000)


@given(times, batteries)
def test_last_state_keeps_both(time: int, battery: int) -> None:
    packed = last_state(time, battery)
    assert unpack_last_state(packed) == (time, battery)
    assert 0 <= packed < 2**63, "it is an int64 in the table"


@given(st.lists(st.tuples(times, batteries), min_size=1))
def test_the_largest_is_the_latest_and_of_two_at_once_the_higher_battery(states: list[tuple[int, int]]) -> None:
    assert unpack_last_state(max(last_state(*state) for state in states)) == max(states)


def test_a_full_battery_fits() -> None:
    assert 1 << BATTERY_BITS > 100_000


def test_an_hour_has_a_name() -> None:
    assert hour_name(0) == "1970-01-01T00"
    assert hour_name(498_704) == "2026-11-22T08"


@given(st.integers(0, 70_000_000))
def test_names_sort_as_hours_do(hour: int) -> None:
    assert hour_name(hour) < hour_name(hour + 1)


def test_the_table_holds_the_whole_report_and_no_null() -> None:
    """But for columns that came later: older files lack them."""
    assert set(Report.__struct_fields__) <= set(SCHEMA.names)
    assert [field.name for field in SCHEMA if field.nullable] == ["reported_country", "reported_city"]
    assert set(PARTITION_BY) <= set(SCHEMA.names)
    derived = SCHEMA.names[SCHEMA.names.index("event_hour") :]
    assert all(pa.types.is_integer(SCHEMA.field(name).type) for name in derived)
