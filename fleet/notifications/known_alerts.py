"""Which alerts are known: by their ids duplicates are found, by their content conflicts. Pure."""

from __future__ import annotations

import zlib
from typing import Final, Literal

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert

Meeting = Literal["new", "duplicate", "conflict"]

REMEMBERED: Final = 300_000
"""At 90 alerts a second about an hour. 64-bit hashes: 30 MB when full."""

UNKNOWN_CONTENT: Final = 0
"""Of an alert that an older notifier delivered, or that its rule made of what it remembered: no conflict is seen."""


class KnownAlerts:
    """The last REMEMBERED alerts: 64-bit hashes of ids, 32-bit checksums of contents."""

    def __init__(self) -> None:
        self._contents: dict[int, int] = {}

    def meet(self, alert_id: str, content: int = UNKNOWN_CONTENT) -> Meeting:
        """What the alert is to the known ones. A new one is known from now on."""
        key = hash(alert_id)
        known = self._contents.get(key)
        if known is None:
            self._contents[key] = content
            if len(self._contents) > REMEMBERED:
                del self._contents[next(iter(self._contents))]
            return "new"
        return "conflict" if known != content and UNKNOWN_CONTENT not in (known, content) else "duplicate"


def content_of(alert: Alert) -> int:
    """A checksum of what the drone said. Not of what alerting adds, which may be another after an upgrade or a second
    reading, nor of the broker's time, which each duplicate has of its own."""
    if alert.kind == "silent" or alert.clears:
        return UNKNOWN_CONTENT
    said = (alert.drone_id, alert.report_id, alert.reported_at.timestamp(), alert.message, alert.battery)
    place = (alert.latitude, alert.longitude, alert.country, alert.city)
    seen = [(citizen.name, citizen.peace_score) for citizen in alert.citizens]
    return zlib.crc32(msgspec.json.encode((said, place, seen))) or 1


def conflict_id(alert: Alert) -> str:
    """The id of an alert whose own id another alert has: the notifier and the recorder name it alike."""
    return f"{alert.alert_id}{identity.SEPARATOR}{identity.join('conflict', f'{content_of(alert):08x}')}"
