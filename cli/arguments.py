"""Parses times, durations and rates that people type. It is strict: BadInput names the option."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from fleet.errors import BadInput
from infra.settings import MOST_DAYS

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SECONDS: Final = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def utc_time(option: str, text: str) -> datetime:
    """A time with its zone, RFC 3339: 2021-03-22T00:00:00Z."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(option, f"{text!r} is not a time such as 2021-03-22T00:00:00Z") from None
    if time.tzinfo is None:
        raise BadInput(option, f"{text!r} has no time zone; 2021-03-22T00:00:00Z has one")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise BadInput(option, f"{text!r} is before year 1 or after year 9999") from None


def duration(option: str, text: str) -> timedelta:
    """Seconds, or a number with s, m, h or d."""
    match = _DURATION.fullmatch(text.strip())
    try:
        length = timedelta(seconds=float(match[1]) * _SECONDS[match[2]]) if match else timedelta()
    except OverflowError:
        length = timedelta()
    if not timedelta() < length <= timedelta(days=MOST_DAYS):
        raise BadInput(option, f"{text!r} is not a duration such as 90, 90s, 5m or 2h")
    return length


def rate(option: str, value: float) -> float:
    """Reports a second: a finite number above 0."""
    if not (math.isfinite(value) and value > 0):
        raise BadInput(option, f"{value:g} is not a rate; give more than 0 reports a second")
    return value
