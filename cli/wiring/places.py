"""The nearest city of a position, for the layers that must name a place."""

from __future__ import annotations

from infra.cities import places


def nearest(latitude: float, longitude: float) -> tuple[str, str] | None:
    """City and country of the nearest city on the shipped list, which is loaded when first needed."""
    city = places().nearest(latitude, longitude)
    return (city.name, city.country) if city else None
