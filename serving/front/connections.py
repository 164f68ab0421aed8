"""All open connections by client, and which of them is closed when there are too many.

A connection is waiting (no request yet, half of one, or kept alive after one) or working (a whole request came). When
`most` are open, a waiting one is closed: the oldest of the client that has the most. So a client that opens
thousands loses its own, and others can always connect.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol


class OpenConnection(Protocol):
    """What this module needs of a connection."""

    client_key: str

    def give_way(self) -> None:
        """Closes at once."""


class Connections:
    """Not thread-safe: only the event loop uses it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[str, dict[OpenConnection, None]] = {}  # by client, the oldest first
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    @property
    def waiting(self) -> int:
        return sum(len(each) for each in self._waiting.values())

    def opened(self, connection: OpenConnection) -> bool:
        """Adds a new connection, which is waiting; False if all others are working, so none can be closed."""
        if len(self) >= self._most and not self._make_room():
            return False
        self._open[connection.client_key] += 1
        self.waits(connection)
        return True

    def waits(self, connection: OpenConnection) -> None:
        self._waiting.setdefault(connection.client_key, {})[connection] = None

    def works(self, connection: OpenConnection) -> None:
        """A whole request has come; the connection is not closed before it is answered."""
        held = self._waiting.get(connection.client_key)
        if held is not None and held.pop(connection, self) is None and not held:
            del self._waiting[connection.client_key]

    def closed(self, connection: OpenConnection) -> None:
        self.works(connection)
        self._open[connection.client_key] -= 1
        if self._open[connection.client_key] <= 0:
            del self._open[connection.client_key]

    def _make_room(self) -> bool:
        if not self._waiting:
            return False
        greediest = max(self._waiting.values(), key=len)
        oldest = next(iter(greediest))
        self.closed(oldest)
        oldest.give_way()
        return True
