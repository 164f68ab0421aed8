"""Which of the values of `alert-state` is the newest."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from fleet import wire
from fleet.alerts.newcomer import Newcomer
from fleet.alerts.presence import BUCKETS
from fleet.errors import NewerLayout
from speed_layer.alerting.alert_state import (
    LAYOUT,
    PART,
    Saved,
    SavedBucket,
    newest,
    next_bucket,
    parts,
)
from tests.support.examples import examples

START = datetime(2026, 11, 24, 8, tzinfo=UTC)


def record(partition: int, timestamp: int, key: bytes, value: bytes) -> SimpleNamespace:
    return SimpleNamespace(partition=partition, timestamp=timestamp, key=key, value=value)


def test_a_clock_that_went_back_does_not_make_an_older_value_win() -> None:
    assert newest([record(0, 2000, b"a", b"older"), record(0, 1000, b"a", b"newer")]) == {b"a": b"newer"}


def test_between_partitions_the_later_value_wins() -> None:
    """The topic was given a second partition, and the key has moved there."""
    records = [
        record(1, 3000, b"a", b"newer"),
        *(record(0, 1000, b"a", b"oldest"), record(0, 2000, b"a", b"older"), record(0, 9000, b"b", b"other")),
    ]
    assert newest(records) == newest([*records[1:], records[0]]) == {b"a": b"newer", b"b": b"other"}


SPEAKS = [f"drone-{number}" for number in range(3000)]
HARD = [("\x01" * 195 + f"{number:05}") for number in range(1000)]


@pytest.mark.parametrize(
    ("value", "known"),
    [
        (b'{"offset": 5}', True),
        (msgspec.json.encode(Saved(5, layout=LAYOUT)), True),
        (msgspec.json.encode(Saved(5, layout=LAYOUT + 1)), False),
        (b'{"offset": {"of": "another form"}, "layout": 2}', False),
    ],
)
def test_a_newer_layout_is_refused_whatever_its_form(value: bytes, known: bool) -> None:
    if known:
        wire.require_known(value, "alert-state of partition 3", LAYOUT)
        return
    with pytest.raises(
        NewerLayout, match=r"^alert-state of partition 3 has layout 2 and this version of Peacewatch knows 1"
    ):
        wire.require_known(value, "alert-state of partition 3", LAYOUT)


def test_a_layout_that_is_raised_is_written() -> None:
    assert msgspec.json.decode(msgspec.json.encode(Saved(5, layout=2)))["layout"] == 2


@pytest.mark.parametrize("drones", [[], SPEAKS, HARD], ids=["none", "usual", "control characters"])
def test_no_value_is_larger_than_a_part(drones: list[str]) -> None:
    """Counted as encoded: a control character takes six bytes."""
    precise = START.replace(microsecond=999_999)  # as long as a time can be
    values = list(
        parts(
            dict.fromkeys(drones, precise),
            dict.fromkeys(drones, (precise, precise)),
            dict.fromkeys(drones, Newcomer(precise, 1_000_000)),
        )
    )
    assert max(map(len, values)) <= PART
    assert len(values) <= 1 + sum(3 * len(msgspec.json.encode(drone)) + 200 for drone in drones) // (PART - 3_900)
    read = [msgspec.json.decode(value, type=SavedBucket) for value in values]
    assert [drone for part in read for drone in part.spoke_at] == drones
    assert [drone for part in read for drone in part.clocks] == drones
    assert [drone for part in read for drone in part.newcomers] == drones


def test_a_bucket_of_the_layout_before_has_no_clocks_and_no_newcomers() -> None:
    bucket = msgspec.json.decode(b'{"spoke_at":{"d1":"2026-11-24T08:00:00Z"}}', type=SavedBucket)
    assert (bucket.clocks, bucket.newcomers) == ({}, {})


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sets(st.integers(0, BUCKETS - 1), max_size=BUCKETS), min_size=1, max_size=200))
def test_changed_bucket_is_saved_within_as_many_checkpoints_as_there_are_buckets(checkpoints: list[set[int]]) -> None:
    """Whichever others change meanwhile."""
    waits: dict[int, int] = {}
    turn = 0
    for changed in checkpoints:
        for bucket in changed:
            waits.setdefault(bucket, 0)
        saved = next_bucket(waits, turn)
        if saved is not None:
            del waits[saved]
            turn = saved + 1
        waits = {bucket: waited + 1 for bucket, waited in waits.items()}
        assert max(waits.values(), default=0) < BUCKETS
    assert next_bucket(set(), turn) is None
