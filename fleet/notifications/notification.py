"""What waits to be told, what a message shows, and one request that tells. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from fleet.alerts.alert import Severity
from fleet.notifications.delivery import Digest, Method, Slot

Source = tuple[int, int]
"""Partition and offset in `alerts`."""


class Waiting(NamedTuple):
    """An alert that nobody was told of yet."""

    alert_id: str
    severity: Severity
    received_at: datetime
    reported_at: datetime
    source: Source


class Untold(dict[str, list[Waiting]]):
    """By incident the alerts that wait, in the order in which they came; an incident without any is not in it."""

    def tell(self, told: Mapping[str, Sequence[Waiting]]) -> None:
        """These, the first of their incidents, wait no more."""
        for incident_id, alerts in told.items():
            left = self[incident_id][len(alerts) :]
            if left:
                self[incident_id] = left
            else:
                del self[incident_id]

    @property
    def alerts(self) -> int:
        return sum(len(waiting) for waiting in self.values())

    def oldest(self, severities: Iterable[Severity]) -> datetime | None:
        """The broker's time of the oldest one of these severities."""
        wanted = set(severities)
        times = [one.received_at for waiting in self.values() for one in waiting if one.severity in wanted]
        return min(times, default=None)

    def done_through(self, positions: Mapping[int, int]) -> dict[int, int]:
        """By partition of `alerts` the offset below which every alert is told; `positions` are the next to read."""
        through = dict(positions)
        for waiting in self.values():
            for one in waiting:
                partition, offset = one.source
                through[partition] = min(through.get(partition, offset), offset)
        return through


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
