"""A day's figures by city, by place on the map and by delay (fleet.figures.views), from landed columns. Batch-only,
without live documents: a fleet's commit touches hundreds of cities and thousands of places, so a live document would be
twenty times as large; and the delay is not a landed column (it is derived here from two that are).
"""

from __future__ import annotations

from typing import Final

from fleet.figures.cube import Cube
from fleet.figures.views import CELL_DEGREES, CITIES, DELAY_BUCKETS, DELAYS, PLACES

__all__ = ["CELL_DEGREES", "CITIES", "DELAYS", "DELAY_BUCKETS", "VIEWS", "expressions", "landed_columns"]

VIEWS: Final = (CITIES, PLACES, DELAYS)

_MICROSECONDS: Final = "(unix_micros(received_at) - unix_micros(reported_at))"
DERIVED: Final = {
    "latitude_cell": (("latitude",), f"CAST(floor(latitude / {CELL_DEGREES}D) AS INT)"),
    "longitude_cell": (("longitude",), f"CAST(floor(longitude / {CELL_DEGREES}D) AS INT)"),
    "delay_bucket": (
        ("received_at", "reported_at"),
        "CASE "
        + " ".join(f"WHEN {_MICROSECONDS} < {end * 1_000_000}L THEN {at}" for at, end in enumerate(DELAY_BUCKETS))
        + f" ELSE {len(DELAY_BUCKETS)} END",
    ),
}
"""By key that is not a landed column: the landed columns it needs, and how it derives from them in Spark's SQL."""


def landed_columns(cube: Cube) -> list[str]:
    """The landed columns that the cube needs, each once."""
    needed = [name for column in cube.columns for name in DERIVED.get(column, ((column,), ""))[0]]
    return list(dict.fromkeys(needed))


def expressions(cube: Cube) -> list[str]:
    """The cube's own columns, in Spark's SQL over `landed_columns`."""
    return [f"{DERIVED[name][1]} AS {name}" if name in DERIVED else name for name in cube.columns]
