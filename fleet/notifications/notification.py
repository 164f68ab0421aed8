"""Pending alerts, messages on Discord, and a notification: one request to Discord. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from fleet.alerts.alert import Severity
from fleet.notifications.delivery import Digest, Method, Slot
from fleet.notifications.incident import Incident

Source = tuple[int, int]
"""Partition and offset in `alerts`."""


class PendingAlert(NamedTuple):
    """An alert that nobody was notified of yet. `content` separates duplicates from conflicts (known_alerts.py)."""

    alert_id: str
    severity: Severity
    received_at: datetime
    reported_at: datetime
    source: Source
    content: int
    drone_id: str
    newcomer: bool = False


@dataclass
class Message:
    """What a Discord message shows: one slot an embed. `needs_edit`: it is outdated."""

    message_id: str
    slots: list[Slot]
    edited_at: datetime
    needs_edit: bool = False


@dataclass(frozen=True)
class Notification:
    """One request to Discord: the slots or the digest that the message shows after it, and the alerts it notifies of.

    `shown` are the incidents of the slots, in the state in which they are shown; those in `plain` without text from
    drones, like a digest with `is_plain`.
    """

    method: Method
    message_id: str
    slots: list[Slot]
    alerts: Mapping[str, list[PendingAlert]]  # by incident
    digest: Digest | None = None
    shown: Mapping[str, Incident] = field(default_factory=dict)
    plain: frozenset[str] = frozenset()
    is_plain: bool = False

    @property
    def alert_count(self) -> int:
        return sum(len(pending) for pending in self.alerts.values())
