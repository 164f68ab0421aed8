"""Newest wins, in any order and any grouping; blocks hold what they are given."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from infra.mongo.packed import pack, unpack
from speed_layer.landing.last_states import BUCKETS, STATE, bucket_of, newest, packed, within

drones = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "drone_id": st.sampled_from("abc") | drones,
            "last_state": st.integers(0, 2**62),
            "latitude": st.floats(-90, 90),
            "longitude": st.floats(-180, 180),
            "country": drones,
            "city": drones,
            "alert": st.booleans(),
            "worst_score": st.integers(0, 10),
        }
    ),
    unique_by=lambda row: row["last_state"],
    max_size=30,
)


def table(found: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(found, schema=STATE)


def by_drone(found: pa.Table) -> dict[str, Any]:
    listed = found.to_pylist()
    assert len({row["drone_id"] for row in listed}) == len(listed)
    return {row["drone_id"]: row for row in listed}


@given(rows, st.integers(0, 30))
def test_the_newest_of_each_drone_stays(found: list[dict[str, Any]], cut: int) -> None:
    wanted: dict[str, Any] = {}
    for row in sorted(found, key=lambda row: row["last_state"]):
        wanted[row["drone_id"]] = row
    assert by_drone(newest([table(found)])) == wanted
    assert by_drone(newest([table(found[:cut]), newest([table(found[cut:])])])) == wanted


@given(rows)
def test_a_block_holds_its_table(found: list[dict[str, Any]]) -> None:
    assert unpack(pack(table(found))).equals(table(found))


@given(rows, st.integers(0, 5))
def test_a_drone_stays_in_its_bucket(found: list[dict[str, Any]], start: int) -> None:
    part = table(found).slice(start)
    wanted = [row["drone_id"].encode()[-1] % BUCKETS for row in found[start:]]
    assert bucket_of(part["drone_id"]).tolist() == wanted


@given(rows, st.integers(1, 3000))
def test_a_bucket_is_divided_into_blocks_of_so_many_bytes(found: list[dict[str, Any]], most: int) -> None:
    blocks = packed(table(found), most)
    assert pa.concat_tables([unpack(block) for block, _ in blocks]).to_pylist() == found
    assert [unpack(block).num_rows for block, _ in blocks] == [drones for _, drones in blocks]
    assert all(len(block) <= most or drones == 1 for block, drones in blocks) or not found


@given(rows, st.integers(1, 4000))
def test_drones_longest_unseen_make_way(found: list[dict[str, Any]], most: int) -> None:
    whole = newest([table(found)])
    kept = within(whole, most)
    if whole.nbytes <= most:
        assert kept.equals(whole)
    elif found:
        times = sorted(whole["last_state"].to_pylist(), reverse=True)
        assert 1 <= kept.num_rows <= whole.num_rows
        assert sorted(kept["last_state"].to_pylist(), reverse=True) == times[: kept.num_rows]
