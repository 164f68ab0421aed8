"""One range and one rounding for each number that a drone sends, for reports, salvage, rules, views and pages. Pure."""

from __future__ import annotations

from typing import Final

LATITUDE: Final = (-90.0, 90.0)
LONGITUDE: Final = (-180.0, 180.0)
"""Degrees, WGS 84."""

BATTERY: Final = (0.0, 100.0)
"""Percent, kept in thousandths of one."""

PEACE_SCORE: Final = (1, 10)
"""From unrest to peace."""

LOW_BATTERY: Final = 20
"""Percent; a drone is low below this."""

LOW_MILLIPERCENT: Final = LOW_BATTERY * 1000

_RANGES: Final = {"latitude": LATITUDE, "longitude": LONGITUDE, "battery": BATTERY}


def number(name: str, value: float) -> float | None:
    """The `latitude`, `longitude` or `battery` that a drone sent; None if it is beyond its range or no number."""
    low, high = _RANGES[name]
    if not low <= value <= high:
        return None
    return rounded_battery(value) if name == "battery" else value + 0.0  # -0.0 is 0.0


def millipercent(battery: float) -> int:
    """A battery's percent in thousandths, rounded half to even: 19.9997 is 20,000, which is not low."""
    return round(battery * 1000)


def rounded_battery(battery: float) -> float:
    """Percent in whole thousandths, and 0.0 for -0.0."""
    return round(battery * 1000) / 1000


def is_low(battery: float) -> bool:
    """Whether a battery, in percent, is low by its rounded value: the same for rules, figures and pages."""
    return millipercent(battery) < LOW_MILLIPERCENT


def battery_text(battery: float) -> str:
    """Whole percent for people, rounded down, so that a low battery of 19.96 is never shown as the limit: `19 %`."""
    return f"{millipercent(battery) // 1000} %"
