"""How many requests a webhook accepts, and the wait after a 429: our own count, corrected by Discord's answers.

The limiters of libraries (limits, pyrate-limiter) cannot reserve a share, adopt a server's own count, or use a given
clock; an adapter to one would be longer than this. Times are in seconds, by any clock that never goes back.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class RequestWindow:
    """At most `requests` in any `seconds`; `reserved` of them are for first posts."""

    requests: int
    seconds: float
    reserved: int


WINDOWS: Final = (RequestWindow(5, 2.0, 2), RequestWindow(30, 60.0, 18))
"""Discord documents no numbers for a webhook. Its community measured these: 5 in 2 s, 30 a minute.

Of the thirty, eighteen are reserved for first posts and digests: six new messages, and a digest every five seconds.
"""

MARGIN: Final = 0.05
"""Seconds added to a window, because the server counts by its own clock."""


class Budget:
    """Requests to one webhook, posts and edits together."""

    def __init__(self, windows: tuple[RequestWindow, ...] = WINDOWS) -> None:
        self._windows = windows
        self._answered: deque[float] = deque(maxlen=max(window.requests for window in windows))
        self._not_before = 0.0

    def wait(self, now: float, keep: float = 0.0) -> float:
        """Seconds until a request may go that leaves `keep` (0 to 1) of the reserved share untouched."""
        waits = [self._not_before - now]
        for window in self._windows:
            allowed = window.requests - int(window.reserved * keep)
            if len(self._answered) >= allowed:
                waits.append(self._answered[-allowed] + window.seconds + MARGIN - now)
        return max(0.0, *waits)

    def spend(self, now: float) -> None:
        """Counts a request. Call it when the request was answered or given up: the server has counted it by then."""
        self._answered.append(now)

    def learn(self, remaining: int | None, reset_after: float | None, now: float) -> None:
        """Corrects the count by the rate headers of an answer."""
        if remaining == 0 and reset_after is not None:
            self.hold(reset_after, now)

    def hold(self, seconds: float, now: float) -> None:
        """Allows no request for `seconds`: after a 429, the `retry_after` that it names; else our own pause."""
        self._not_before = max(self._not_before, now + seconds)
