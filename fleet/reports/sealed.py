"""Sealed days: their raw reports leave the lake, their figures stay, and a later report of such a day is rejected.

A property of the table `reports`, SEALED_THROUGH_KEY, says so. Setting it changes the table's metadata, so Delta
refuses every commit that was begun before ("Metadata changed since last commit"): a lander that has decoded reports of
such a day with an older table cannot land them. It reads them again and rejects them, and needs only the lake for that.
The property never goes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

SEALED_THROUGH_KEY: Final = "peacewatch.sealed_through"
"""In the table's configuration (`DeltaTable.metadata().configuration`): the last sealed UTC day, 2026-11-24."""


def sealed_through(configuration: Mapping[str, str | None]) -> date | None:
    """The last sealed UTC day: it and all days before it are. None if nothing is sealed."""
    day = configuration.get(SEALED_THROUGH_KEY)
    return date.fromisoformat(day) if day else None


def opens_at(through: date | None) -> datetime:
    """The first moment after the sealed days; earlier reports are rejected."""
    if through is None:
        return datetime.min.replace(tzinfo=UTC)
    return datetime(through.year, through.month, through.day, tzinfo=UTC) + timedelta(days=1)


def last_to_seal(now: datetime, keep_days: int) -> date:
    """The last UTC day to seal where today and `keep_days` whole days before it are kept."""
    return now.astimezone(UTC).date() - timedelta(days=keep_days + 1)
