"""The time zones on whose clock figures can be shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from fleet.errors import BadInput

RULES_NOW: Final = (datetime(2037, 1, 1, tzinfo=UTC), datetime(2037, 7, 1, tzinfo=UTC))
"""A winter and a summer time at which today's rules of every zone apply."""

NO_PLACE: Final = frozenset({"localtime", "Factory"})
"""Files next to the zones: the clock of this machine, and a placeholder."""


def whole_hour_zone(field: str, name: str) -> tzinfo:
    """The IANA zone `name`. Raises BadInput for `field` if it is unknown, or is not whole hours from UTC today.

    If a zone once was not (Singapore until 1982), an event hour belongs to the local hour in which it starts.
    """
    if name == "UTC":
        return UTC
    # Not every file that ZoneInfo opens is a zone: those below `right/` count leap seconds, and are 27 s off.
    if name not in _names():
        raise BadInput(field, f"there is no time zone {name!r}; give an IANA name such as Europe/Paris")
    zone = ZoneInfo(name)
    for moment in RULES_NOW:
        ahead = moment.astimezone(zone).utcoffset() or timedelta()
        if ahead % timedelta(hours=1):
            raise BadInput(
                field, f"figures are kept by whole hours, and {name} is {ahead} from UTC; take a whole-hour zone"
            )
    return zone


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - NO_PLACE
