"""Moments in requests: RFC 3339 with an offset, so that nobody guesses whose clock is meant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime

from fleet.errors import BadInput

Moment = Annotated[AwareDatetime, "RFC 3339"]


def between(field: str, since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """The MongoDB condition that `field` is at or after `since` and before `until`; empty when neither is given."""
    if since is not None and until is not None and until < since:
        raise BadInput("until", "the range ends before it starts")
    limits = {"$gte": ("since", since), "$lt": ("until", until)}
    found = {operator: _utc(name, limit) for operator, (name, limit) in limits.items() if limit is not None}
    return {field: found} if found else {}


def _utc(name: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise BadInput(name, "in UTC this lies outside the years 1 to 9999") from None
