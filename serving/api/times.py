"""Moments in requests: RFC 3339, always with an offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator

from fleet.errors import BadInput

_LOST_PLUS: Final = re.compile(r"^(.+T[\d:.]+) (\d\d:?\d\d)$")
"""`2026-11-24T09:00:00 01:00`: a `+` in an address is read as a space."""


_DAY: Final = r"\d{4}-\d\d-\d\d"
_IS_DAY: Final = re.compile(_DAY, re.ASCII)
_IS_MOMENT: Final = re.compile(rf"{_DAY}[Tt ].+", re.ASCII)
"""What pydantic takes, too, is a number of seconds since 1970: `?date=20261124` would be a day in August 1970."""


def _written_as_moment(value: Any) -> Any:
    value = _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value
    return value if isinstance(value, datetime) or _IS_MOMENT.fullmatch(str(value)) else ""


def _written_as_day(value: Any) -> Any:
    return value if isinstance(value, date) or _IS_DAY.fullmatch(str(value)) else ""


Moment = Annotated[AwareDatetime, BeforeValidator(_written_as_moment), "RFC 3339"]
Day = Annotated[date, BeforeValidator(_written_as_day), "as 2026-11-24"]


def between(field: str, since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """The MongoDB condition that `field` is at or after `since` and before `until`; empty when neither is given."""
    if since is not None and until is not None and until < since:
        raise BadInput("until", "the range ends before it starts")
    limits = {"$gte": ("since", since), "$lt": ("until", until)}
    condition = {operator: _utc(name, limit) for operator, (name, limit) in limits.items() if limit is not None}
    return {field: condition} if condition else {}


def _utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadInput(name, "in UTC this is outside the years 1 to 9999") from None
