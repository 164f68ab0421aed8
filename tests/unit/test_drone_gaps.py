"""A drone's silences, counted on bits, are those that a look at each minute finds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_layer.views.drone_days import gaps

MINUTES = 1440


def bits(minutes: set[int]) -> np.ndarray:
    """One drone's day as (1, 24) longs."""
    hours = np.zeros((1, 24), np.uint64)
    for minute in minutes:
        hours[0, minute // 60] |= np.uint64(1 << minute % 60)
    return hours


@given(st.sets(st.integers(0, MINUTES - 1)) | st.sets(st.sampled_from([0, 58, 59, 60, 61, 119, 120, 1438, 1439])))
def test_each_silence_between_two_reports_counts_once(minutes: set[int]) -> None:
    spoke = sorted(minutes)
    assert gaps(bits(minutes)).tolist() == [sum(b - a > 1 for a, b in pairwise(spoke))]


@pytest.mark.parametrize(("minutes", "silences"), [(set(), 0), ({59, 60}, 0), ({59, 61}, 1), (set(range(MINUTES)), 0)])
def test_hours_are_no_borders(minutes: set[int], silences: int) -> None:
    assert gaps(bits(minutes)).tolist() == [silences]
