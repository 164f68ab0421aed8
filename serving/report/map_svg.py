"""The map of a report: country outlines and incidents as SVG (the projection is two multiplications)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

from serving.report.facts import IncidentOfDay

OUTLINES: Final = Path(__file__).parents[1] / "static" / "world" / "countries.json"
NORTH, SOUTH = 74.0, -55.0  # no drone flies beyond, and the poles would take half of the page
SCALE: Final = 3.0  # SVG units a degree
COLOURS: Final = {"critical": "#a50f15", "high": "#d55e00", "moderate": "#e69f00"}


def to_svg(incidents: Iterable[IncidentOfDay]) -> str:
    """A world map with one dot an incident, larger for more alerts, worst on top."""
    order = ("moderate", "high", "critical")
    placed = [i for i in incidents if i.latitude is not None and i.longitude is not None]
    placed.sort(key=lambda i: (order.index(i.severity) if i.severity in order else 0, i.alerts, i.incident_id))
    dots = "".join(_dot(incident) for incident in placed)
    height = (NORTH - SOUTH) * SCALE
    return (
        f'<svg role="img" aria-label="Map of the incidents" viewBox="0 0 {360 * SCALE:.0f} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg"><path d="{land()}" fill="#dfe5ea" stroke="#fff" stroke-width="0.7"/>'
        f"{dots}</svg>"
    )


@cache
def land() -> str:
    """The outlines of all countries as one SVG path."""
    features = json.loads(OUTLINES.read_text(encoding="utf-8"))["features"]
    return "".join(_ring(ring) for feature in features for ring in _rings(feature["geometry"]))


def _rings(geometry: dict[str, Any]) -> list[list[list[float]]]:
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [ring for polygon in polygons for ring in polygon]


def _ring(ring: list[list[float]]) -> str:
    if all(latitude < SOUTH for _, latitude in ring):
        return ""  # Antarctica
    points: list[str] = []
    for longitude, latitude in ring:
        x, y = _project(max(SOUTH, min(NORTH, latitude)), longitude)
        point = f"{x:.0f} {y:.0f}"
        if not points or points[-1] != point:
            points.append(point)
    return "M" + "L".join(points) + "Z" if len(points) > 2 else ""


def _project(latitude: float, longitude: float) -> tuple[float, float]:
    """Equirectangular: degrees to SVG units from the north-west corner."""
    return (longitude + 180) * SCALE, (NORTH - latitude) * SCALE


def _dot(incident: IncidentOfDay) -> str:
    x, y = _project(incident.latitude or 0.0, incident.longitude or 0.0)
    radius = min(5 + 2 * incident.alerts**0.5, 22)
    colour = COLOURS.get(incident.severity, COLOURS["moderate"])
    return (
        f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}" fill="{colour}" fill-opacity="0.75" '
        'stroke="#fff" stroke-width="1.5"/>'
    )
