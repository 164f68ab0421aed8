"""Which of the values of `alert-state` is the newest."""

from __future__ import annotations

from types import SimpleNamespace

from speed_layer.alerting.alert_state import newest


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
