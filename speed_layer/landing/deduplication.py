"""Copies: messages with the same drone and `report_id` are one report, and the first of them lands.

A report is a copy when a row of the same drone and id lies at most `WINDOW` offsets before it in its partition. So what
is a copy depends on the lake and the topic alone, not on which process looks, nor since when: the memory of a partition
can be built again from the rows within that many offsets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

WINDOW: Final = 100_000
"""Offsets. A minute of a partition's share of the mission's rate (1,500/s), 28 hours of a report a second."""


class Window:
    """The reports of one partition that landed lately, as 64-bit hashes, each with its offset; 10 MB when it is full.

    Python's hash of texts is keyed anew in each process, so nobody can send an id that collides on purpose. By chance
    one report in 10**14 does, and is dropped.
    """

    def __init__(self, size: int = WINDOW) -> None:
        self._size = size
        self._offsets: dict[int, int] = {}
        self._sweep_at = 2 * size

    def __len__(self) -> int:
        return len(self._offsets)

    def is_duplicate(self, drone_id: str, report_id: str, offset: int) -> bool:
        """Whether it is a copy; if it is none, it is remembered as a row at `offset`."""
        name = hash((drone_id, report_id))
        before = self._offsets.get(name)
        if before is not None and offset - before <= self._size:
            return True
        self._offsets[name] = offset
        if len(self._offsets) >= self._sweep_at:
            self._forget(offset)
        return False

    def remember(self, rows: Iterable[tuple[str, str, int]]) -> None:
        """Rows of the lake: drone_id, report_id, kafka_offset."""
        for drone_id, report_id, offset in rows:
            name = hash((drone_id, report_id))
            self._offsets[name] = max(offset, self._offsets.get(name, offset))

    def _forget(self, offset: int) -> None:
        self._offsets = {name: at for name, at in self._offsets.items() if offset - at <= self._size}
