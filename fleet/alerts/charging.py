"""Where drones charge, how far it is and in which direction. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import asin, atan2, cos, degrees, radians, sin, sqrt
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from fleet.places import EARTH_RADIUS_KM

_POINTS: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")


class Station(msgspec.Struct, frozen=True):
    """A charging station; degrees WGS 84."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]


def nearest_station(
    stations: Sequence[Station], latitude: float, longitude: float
) -> tuple[Station, float, float] | None:
    """The nearest, its distance in km and the bearing to it in degrees from north; None without stations."""
    if not stations:
        return None
    station = min(stations, key=lambda station: distance_km(latitude, longitude, station.latitude, station.longitude))
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
