"""Known alerts: duplicates are recognized by id, conflicts by content. Pure."""

from __future__ import annotations

from typing import Final, Literal

from fleet.alerts.alert import UNKNOWN_CONTENT, is_conflict

Meeting = Literal["new", "duplicate", "conflict"]

REMEMBERED: Final = 300_000
"""At 90 alerts a second about an hour. 64-bit hashes: 30 MB when full."""


class KnownAlerts:
    """The last `most` alerts: 64-bit hashes of ids, 32-bit checksums of contents."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._contents: dict[int, int] = {}

    def meet(self, alert_id: str, content: int = UNKNOWN_CONTENT) -> Meeting:
        """Compares the alert with the known ones, and remembers a new one."""
        key = hash(alert_id)
        known = self._contents.get(key)
        if known is None:
            self._contents[key] = content
            if len(self._contents) > self._most:
                del self._contents[next(iter(self._contents))]
            return "new"
        return "conflict" if is_conflict(known, content) else "duplicate"
