"""Drones of a view of the map: each by itself where they are few, else clusters: a larger fleet is no larger answer."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from serving.drones import Fleet, shown

MAX_SINGLE: Final = 1500
"""Points that a browser draws without trouble, phones too."""

CELL_PIXELS: Final = 56
"""Side of a cluster's cell on the screen."""

TILE_PIXELS: Final = 256
LATITUDE_LIMIT: Final = 85.05
"""Web Mercator ends here."""

Box = tuple[float, float, float, float]


def inside(fleet: Fleet, box: Box) -> Fleet:
    """The drones within west, south, east, north; where west is east of east, across the antimeridian."""
    west, south, east, north = box
    latitude, longitude = fleet.rows["latitude"].to_numpy(), fleet.rows["longitude"].to_numpy()
    if east - west >= 360:
        across = np.ones(len(longitude), bool)
    else:
        west, east = (west + 180) % 360 - 180, (east + 180) % 360 - 180
        across = (longitude >= west) & (longitude <= east)
        if west > east:
            across = (longitude >= west) | (longitude <= east)
    return fleet.where(across & (latitude >= south) & (latitude <= north))


def features(fleet: Fleet, zoom: int) -> list[dict[str, Any]]:
    """GeoJSON points: {count, low} and, of a single drone, what is known of it."""
    if fleet.rows.num_rows <= MAX_SINGLE:
        return [_single(row) for row in shown(fleet.rows)]
    latitude, longitude, low = fleet.rows["latitude"].to_numpy(), fleet.rows["longitude"].to_numpy(), fleet.low
    cells = _cells(latitude, longitude, zoom)
    _, group, count = np.unique(cells, return_inverse=True, return_counts=True)
    sums = [np.bincount(group, weights=values) for values in (longitude, latitude, low)]
    return [
        _point(x / n, y / n, {"count": int(n), "low": int(down)}) for x, y, down, n in zip(*sums, count, strict=True)
    ]


def _cells(latitude: Any, longitude: Any, zoom: int) -> Any:
    """The number of the cell of each point, in Web Mercator at `zoom`."""
    side = CELL_PIXELS / (TILE_PIXELS * 2**zoom)
    bounded = np.radians(np.clip(latitude, -LATITUDE_LIMIT, LATITUDE_LIMIT))
    across = ((longitude + 180) / 360 / side).astype(np.int64)
    down = ((1 - np.arcsinh(np.tan(bounded)) / np.pi) / 2 / side).astype(np.int64)
    return across << 32 | down


def _single(row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in ("drone_id", "battery", "reported_at", "country", "city", "alert")}
    return _point(row["longitude"], row["latitude"], {"count": 1, "low": int(row["low"]), **known})


def _point(longitude: float, latitude: float, properties: dict[str, Any]) -> dict[str, Any]:
    place = {"type": "Point", "coordinates": [round(float(longitude), 5), round(float(latitude), 5)]}
    return {"type": "Feature", "geometry": place, "properties": properties}
