"""Numbers, times and changes as text. Pure; thin spaces group thousands (ISO 80000-1)."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

THIN: Final = "\u202f"  # narrow no-break space: a number never breaks over a line
MINUS: Final = "\u2212"
NOTHING: Final = "\u2013"


def count(value: float | None) -> str:
    """1234567 -> '1 234 567' with thin spaces; numbers of five digits and more are grouped."""
    if value is None:
        return NOTHING
    text = str(abs(round(value)))
    if len(text) > 4:
        text = f"{abs(round(value)):,}".replace(",", THIN)
    return (MINUS if round(value) < 0 else "") + text


def decimal(value: float | None, digits: int = 1) -> str:
    if value is None:
        return NOTHING
    return f"{value:.{digits}f}".replace("-", MINUS)


def percent(part: float | None, whole: float | None) -> str:
    """The share of `part` in `whole`; '–' where `whole` is none or 0."""
    if part is None or not whole:
        return NOTHING
    share = 100 * part / whole
    near_an_end = 0 < share < 1 or 99 < share < 100  # '100 %' must mean all, and '0 %' none
    return f"{share:.1f}{THIN}%" if near_an_end else f"{share:.0f}{THIN}%"


def change(value: float | None, against: float | None, digits: int = 0) -> str:
    """'+12 %' for counts (digits 0), '+0.3' for means; '–' where one is unknown, '±0' for no change."""
    if value is None or against is None:
        return NOTHING
    if digits:
        moved = round(value - against, digits)
        return "\u00b10" if moved == 0 else f"{moved:+.{digits}f}".replace("-", MINUS)
    if against == 0:
        return "\u00b10" if value == 0 else NOTHING
    moved = 100 * (value - against) / against
    if round(moved) == 0:
        return "\u00b10"
    return f"{moved:+,.0f}".replace(",", THIN).replace("-", MINUS) + f"{THIN}%"


def duration(seconds: float | None) -> str:
    """'45 s', '12 min', '3 h 05', '2 d 4 h'."""
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    if whole < 60:
        return f"{whole}{THIN}s"
    if whole < 3600:
        return f"{whole // 60}{THIN}min"
    if whole < 86400:
        return f"{whole // 3600}{THIN}h{THIN}{whole % 3600 // 60:02d}"
    return f"{whole // 86400}{THIN}d{THIN}{whole % 86400 // 3600}{THIN}h"


def wait(seconds: float | None) -> str:
    """'1 min 11 s', where `duration` would round to minutes; from an hour on as `duration`."""
    if seconds is None or not 60 <= seconds < 3600:
        return duration(seconds)
    return f"{int(seconds) // 60}{THIN}min{THIN}{int(seconds) % 60:02d}{THIN}s"


def milliseconds(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:.0f}{THIN}ms" if value < 1000 else f"{value / 1000:.1f}{THIN}s"


def clock(moment: datetime, zone: str) -> str:
    """'08:05' on the officers' clock."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%H:%M")


def stamp(moment: datetime | None, zone: str) -> str:
    """'24 November 2026, 08:05'."""
    if moment is None:
        return NOTHING
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local.day}{THIN}{local:%B} {local.year}, {local:%H:%M}"


def long_day(day: date) -> str:
    """'Tuesday, 24 November 2026'."""
    return f"{day:%A}, {day.day} {day:%B} {day.year}"
