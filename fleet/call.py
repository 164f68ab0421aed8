"""What waits to be told, what a message shows, and one request that tells. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from fleet.alert import Severity
from fleet.delivery import Digest, Method, Slot

Source = tuple[int, int]
"""Partition and offset in `alerts`."""


class Waiting(NamedTuple):
    """An alert that nobody was told of yet."""

    alert_id: str
    severity: Severity
    received_at: datetime
    reported_at: datetime
    source: Source


@dataclass
class Message:
    """What a Discord message shows: one slot an embed."""

    message_id: str
    slots: list[Slot]
    edited_at: datetime


@dataclass(frozen=True)
class Call:
    """One request to Discord: the slots or the digest that the message shows after it, and the alerts newly told."""

    method: Method
    message_id: str
    slots: list[Slot]
    telling: dict[str, list[Waiting]]  # by incident
    digest: Digest | None = None

    @property
    def alerts(self) -> int:
        return sum(len(waiting) for waiting in self.telling.values())
