"""Moments in requests: RFC 3339, always with an offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, BeforeValidator

from fleet.errors import BadInput

_LOST_PLUS: Final = re.compile(r"^(.+T[\d:.]+) (\d\d:?\d\d)$")
"""`2026-11-24T09:00:00 01:00`: a `+` in an address is read as a space."""


def _with_plus(value: Any) -> Any:
    return _LOST_PLUS.sub(r"\1+\2", value) if isinstance(value, str) else value


Moment = Annotated[AwareDatetime, BeforeValidator(_with_plus), "RFC 3339"]


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
