"""Cells of hours as the benches fill the views with them: 200 countries, 11 scores."""

from __future__ import annotations

from typing import Any, Final

import numpy.typing as npt

from fleet.figures.cube import HOURS

COUNTRIES: Final = 200
CELLS: Final = COUNTRIES * 11


def cells(hour: int, reports: npt.NDArray[Any]) -> dict[str, list[Any]]:
    """Cells of an hour, one of each country and score; `reports`: CELLS numbers, which the other measures follow."""
    columns = {
        "event_hour": [hour] * CELLS,
        "country": [f"Country {number:03}" for number in range(COUNTRIES) for _ in range(11)],
        "worst_score": list(range(11)) * COUNTRIES,
        "reports": reports.tolist(),
        "alerts": (reports // 100).tolist(),
        "battery_sum": (reports * 61_000).tolist(),
        "low_battery": (reports // 9).tolist(),
        "citizens": reports.tolist(),
        "peace_score_sum": (reports * 5).tolist(),
    }
    assert list(columns) == HOURS.schema.names
    return columns
