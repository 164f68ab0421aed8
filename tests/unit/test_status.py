"""Percentiles of the way to Discord, by nearest rank."""

from __future__ import annotations

import pytest

from serving.status import rank


@pytest.mark.parametrize(
    ("count", "part", "expected"),
    [(0, 0.5, None), (1, 0.5, 1), (1, 0.99, 1), (2, 0.5, 1), (3, 0.5, 2), (100, 0.99, 99), (101, 0.99, 100), (4, 1, 4)],
)
def test_rank(count: int, part: float, expected: int | None) -> None:
    assert rank(range(1, count + 1), part) == expected
