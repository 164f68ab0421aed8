"""The intervals of an incident by the settings: the same for every process that follows incidents."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fleet.notifications.incident import Intervals

if TYPE_CHECKING:
    from infra.settings import Settings


def intervals(loaded: Settings) -> Intervals:
    return Intervals(
        update=timedelta(seconds=loaded.incident_update_seconds),
        quiet=timedelta(seconds=loaded.incident_quiet_seconds),
        resolve=timedelta(seconds=loaded.incident_resolve_seconds),
        repeat=timedelta(seconds=loaded.incident_repeat_seconds),
    )
