"""A drone's track as GeoJSON: cut at the antimeridian (RFC 7946, 3.1.9), without what has no position."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.api.reports import antimeridian_cut, features

LONGITUDES = st.floats(-180, 180, allow_nan=False).map(lambda value: round(value, 5))
LATITUDES = st.floats(-90, 90, allow_nan=False).map(lambda value: round(value, 5))


def row(longitude: float, latitude: float) -> dict[str, Any]:
    names = ("report_id", "reported_at", "battery", "alert", "worst_score", "message")
    return {"longitude": longitude, "latitude": latitude, **dict.fromkeys(names, 0)}


def test_a_track_that_stays_on_one_side_is_one_line() -> None:
    line, *points = features([row(4, 45), row(5, 46), row(6, 45)])
    assert line["geometry"] == {"type": "LineString", "coordinates": [[4, 45], [5, 46], [6, 45]]}
    assert len(points) == 3


@pytest.mark.parametrize(
    ("first", "second", "crossing"),
    [([179, 10], [-179, 20], 15), ([-179, 10], [179, 20], 15), ([179, 10], [-178, 40], 20), ([180, 5], [-180, 5], 5)],
)
def test_a_line_over_the_antimeridian_is_cut_there(first: list[float], second: list[float], crossing: float) -> None:
    before, after = antimeridian_cut([first, second])
    side = 180.0 if first[0] > 0 else -180.0
    assert before == [first, [side, crossing]]
    assert after == [[-side, crossing], second]


def test_report_without_a_fix_is_a_point_without_a_place() -> None:
    line, *points = features([row(9, 1), row(0, 0), row(8, 1)])
    assert line["geometry"]["coordinates"] == [[9, 1], [8, 1]]
    assert [point["geometry"] is None for point in points] == [False, True, False]
    assert features([row(0, 0)])[0]["geometry"] is None
    assert features([]) == []


@given(st.lists(st.tuples(LONGITUDES, LATITUDES).map(list), min_size=2, max_size=20))
def test_no_part_goes_the_long_way_round(places: list[list[float]]) -> None:
    parts = antimeridian_cut(places)
    for part in parts:
        assert len(part) >= 2
        assert all(abs(east[0] - west[0]) <= 180 for west, east in pairwise(part))
    crossings = 2 * (len(parts) - 1)
    assert sum(len(part) for part in parts) == len(places) + crossings
