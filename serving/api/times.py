"""Moments in requests: RFC 3339 with an offset, so that nobody guesses whose clock is meant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime

from fleet.errors import BadInput

Moment = Annotated[AwareDatetime, "RFC 3339"]


def between(field: str, since: datetime | None, until: datetime | None) -> dict[str, Any]:
    """The MongoDB condition that `field` is at or after `since` and before `until`; empty when neither is given."""
    if since is not None and until is not None and until < since:
        raise BadInput("until", "the range ends before it starts")
    limits = {"$gte": since, "$lt": until}
    found = {operator: limit for operator, limit in limits.items() if limit is not None}
    return {field: found} if found else {}
