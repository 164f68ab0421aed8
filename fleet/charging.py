"""Where drones charge, how far it is and in which direction. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, atan2, cos, degrees, radians, sin, sqrt
from typing import Final

from fleet.places import EARTH_RADIUS_KM

_POINTS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


@dataclass(frozen=True)
class Station:
    """A charging station; degrees WGS 84."""

    name: str
    latitude: float
    longitude: float


def nearest_station(
    stations: Sequence[Station], latitude: float, longitude: float
) -> tuple[Station, float, float] | None:
    """The nearest, its distance in km and the bearing to it in degrees from north; None when there is none."""
    if not stations:
        return None
    station = min(stations, key=lambda one: distance_km(latitude, longitude, one.latitude, one.longitude))
    return (
        station,
        distance_km(latitude, longitude, station.latitude, station.longitude),
        bearing(latitude, longitude, station.latitude, station.longitude),
    )


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Great circle distance by the haversine formula (R. W. Sinnott, 1984)."""
    north = radians(other_latitude - latitude) / 2
    east = radians(other_longitude - longitude) / 2
    chord = sin(north) ** 2 + cos(radians(latitude)) * cos(radians(other_latitude)) * sin(east) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


def bearing(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The direction of the great circle at its start, 0 to 360 degrees clockwise from north."""
    here, there, east = radians(latitude), radians(other_latitude), radians(other_longitude - longitude)
    x = sin(east) * cos(there)
    y = cos(here) * sin(there) - sin(here) * cos(there) * cos(east)
    return degrees(atan2(x, y)) % 360


def compass(direction: float) -> str:
    """One of eight points of the compass."""
    return _POINTS[round(direction / 45) % 8]
