"""A watch over a consumer's membership in its group, for a defect of kafka-python 3.0.12.

On a starved machine its search for the group's coordinator may not end: polls then return nothing and say nothing. Only
a new consumer helps, so the session ends. A poll that never returns is not noticed here (design decision 26).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from speed_layer.forever import NotYet

LOST_SECONDS: Final = 15.0
"""Half as long again as a session's time-out: a coordinator that moves is found sooner."""


class GroupWatch:
    """Call `check` after each poll."""

    def __init__(self, consumer: Any, now: Callable[[], float] = time.monotonic) -> None:
        self._coordinator, self._now = consumer._coordinator, now
        self._known_at = now()

    def check(self) -> None:
        """Raises NotYet when the consumer has known no coordinator for LOST_SECONDS."""
        if self._coordinator.coordinator_id is not None:
            self._known_at = self._now()
        elif self._now() - self._known_at > LOST_SECONDS:
            raise NotYet(f"no coordinator of the group is found for {LOST_SECONDS:.0f} s; it is sought anew")
