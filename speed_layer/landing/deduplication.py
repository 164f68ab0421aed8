"""Duplicates: messages with the same drone, `report_id` and time are one report, and the first of them lands.

A message is a duplicate when a row of the same drone, id and `reported_at` (in ms) is at most `WINDOW` offsets before
it in its partition, and has the same content. With other content the two are in conflict: the first stays, the other is
rejected, never dropped. A drone that restarts its ids after a reboot has other times, and loses nothing. All of it
depends only on the lake and the topic, not on the process: the memory of a partition can be rebuilt from the rows
within that many offsets.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final

import numpy as np

WINDOW: Final = 100_000
"""Offsets. A minute of a partition's share of the mission's rate (1,500/s), 28 hours of a report a second."""

Identity = tuple[str, str, int]
"""drone_id, report_id, reported_at in ms."""


name_of: Final[Callable[[Identity], int]] = hash
"""The hash by which an identity is remembered."""


class Verdict(Enum):
    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


NEW: Final = Verdict.NEW

_GONE: Final = -1
"""The content of a row that has left the lake, which counts as equal. No hash is -1 in CPython."""


class RecentReports:
    """The reports of one partition that landed recently, as 64-bit hashes, each with its offset and a hash of its
    content. 11 MB when full. Python's hash of texts has another key in each process, so nobody can send ids that
    collide on purpose. One report in 10**14 collides by chance.
    """

    def __init__(
        self,
        contents: Callable[[int], Iterable[tuple[Identity, int, int]]] = lambda _offset: (),
        size: int = WINDOW,
    ) -> None:
        """`contents`: rows of the lake in one file with an offset: identity, offset, hash of what the report says."""
        self._ask, self._size = contents, size
        self._offsets: dict[int, int] = {}
        # By offset modulo their number, since a row is at one offset; 0: its content was not needed yet.
        self._contents = array("q", bytes(8 * (size + 1)))
        self._slots = np.frombuffer(self._contents, "int64")  # the same memory, for many at once
        self._sweep_at = 2 * size

    def __len__(self) -> int:
        return len(self._offsets)

    def look(self, identity: Identity, content: int, offset: int) -> Verdict:
        """Judges a message at `offset` whose content has the hash `content`. A new one is remembered as a row."""
        name = name_of(identity)
        before = self._offsets.get(name)
        if before is not None and offset - before <= self._size:
            return self._against(before, content, offset)
        self._offsets[name] = offset
        self._contents[offset % (self._size + 1)] = content or 1
        if len(self._offsets) >= self._sweep_at:
            self._forget(offset)
        return NEW

    def enter(self, names: Sequence[int], contents: Sequence[int], offsets: Sequence[int]) -> bool:
        """The same as `look` at each, in the order of offsets, if all are new: a third of the cost. `names`:
        `name_of` their identities. False if one may be known; then nothing has changed."""
        if len(set(names)) < len(names) or not self._offsets.keys().isdisjoint(names):
            return False
        self._offsets.update(zip(names, offsets, strict=True))
        said = np.array(contents, "int64")
        self._slots[np.array(offsets, "int64") % (self._size + 1)] = np.where(said == 0, 1, said)
        if len(self._offsets) >= self._sweep_at:
            self._forget(offsets[-1])
        return True

    def remember(self, rows: Iterable[tuple[Identity, int]]) -> None:
        """Enters rows of the lake, with their offsets. Their content is read when it is needed."""
        for identity, offset in rows:
            name = name_of(identity)
            self._offsets[name] = max(offset, self._offsets.get(name, offset))
            self._contents[offset % (self._size + 1)] = 0

    def _against(self, before: int, content: int, now: int) -> Verdict:
        slot = before % (self._size + 1)
        if not self._contents[slot]:
            for identity, offset, said in self._ask(before):
                if self._offsets.get(name_of(identity)) == offset and now - offset <= self._size:
                    self._contents[offset % (self._size + 1)] = said or 1
            if not self._contents[slot]:
                self._contents[slot] = _GONE
        return Verdict.DUPLICATE if self._contents[slot] in {_GONE, content or 1} else Verdict.CONFLICT

    def _forget(self, offset: int) -> None:
        self._offsets = {name: at for name, at in self._offsets.items() if offset - at <= self._size}
