"""The ids of late, by which copies are known. Pure."""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 300_000
"""At 90 alerts a second about an hour. 64-bit hashes: 30 MB when full."""


class RecentIds:
    """The last REMEMBERED ids."""

    def __init__(self) -> None:
        self._hashes: dict[int, None] = {}

    def add(self, text: str) -> bool:
        """Whether it is new."""
        key = hash(text)
        if key in self._hashes:
            return False
        self._hashes[key] = None
        if len(self._hashes) > REMEMBERED:
            del self._hashes[next(iter(self._hashes))]
        return True
