"""Drones in a part of the map: single ones if there are few, else clusters: a larger fleet needs no larger answer."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from serving.figures.drones import Fleet, shown

MAX_SINGLE: Final = 1500
"""Points that a browser draws fast, also on a phone."""

CELL_PIXELS: Final = 56
"""Side of a cluster's cell on the screen."""

TILE_PIXELS: Final = 256
MAX_CELLS: Final = 4096
"""Cells of a view: as many as the largest screens have. A larger part of the world gets larger cells."""

Box = tuple[float, float, float, float]


def inside(fleet: Fleet, box: Box) -> Any:
    """A mask of the drones within west, south, east, north; if west is east of east, across the antimeridian.

    180 and -180 degrees are one meridian.
    """
    west, south, east, north = box
    longitude, latitude = fleet.places
    within = (latitude >= south) & (latitude <= north)
    if east - west >= 360:
        return within
    west, east, longitude = ((each + 180) % 360 - 180 for each in (west, east, longitude))
    if west > east:
        return within & ((longitude >= west) | (longitude <= east))
    return within & (longitude >= west) & (longitude <= east)


def features(fleet: Fleet, mask: Any, zoom: int) -> list[dict[str, Any]]:
    """GeoJSON points of the drones of `mask`: {count, low}, and of a single drone also its row."""
    chosen = np.flatnonzero(mask)
    if len(chosen) <= MAX_SINGLE:
        return [_single(row) for row in shown(fleet.rows.take(pa.array(chosen)))]
    part = slice(None) if len(chosen) == len(mask) else chosen  # for the whole world, no copy
    group, groups = _groups(fleet.mercator[:, part], zoom)
    weights = (*fleet.places[:, part], fleet.low[part])
    sums = [np.bincount(group, weights=values, minlength=groups) for values in weights]
    counts = np.bincount(group, minlength=groups)
    filled = np.flatnonzero(counts)
    rows = zip(*(column[filled].tolist() for column in (*sums, counts)), strict=True)
    return [_point(x / n, y / n, {"count": n, "low": int(low)}) for x, y, low, n in rows]


def _groups(places: Any, zoom: int) -> tuple[Any, int]:
    """The number of the cell of each place at `zoom`, from 0, and how many numbers there are; at most MAX_CELLS."""
    low = places.min(axis=1, keepdims=True)
    most = places.max(axis=1) - low[:, 0]
    while True:
        side = CELL_PIXELS / (TILE_PIXELS * 2**zoom)
        across, down = (int(span / side) + 2 for span in most)
        if across * down <= MAX_CELLS:
            break
        zoom -= 1
    edges = np.floor(low / side)  # cells of the map, not of the view: they stay where they are while it is dragged
    cells = (places / side - edges).astype(np.int32)
    return cells[0] * down + cells[1], across * down


def _single(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in ("drone_id", "battery", "reported_at", "country", "city", "alert")}
    return _point(row["longitude"], row["latitude"], {"count": 1, "low": int(row["low"]), **known})


def _point(longitude: float, latitude: float, properties: dict[str, Any]) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [round(float(longitude), 5), round(float(latitude), 5)]}
    return {"type": "Feature", "geometry": place, "properties": properties}
