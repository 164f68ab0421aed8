"""Rate limits of a webhook, and the ban of an address that keeps sending invalid requests.

Documented: the headers, the 429, and 10,000 invalid answers in 10 minutes
(https://docs.discord.com/developers/topics/rate-limits). Not documented, but what others observed: 5 requests in 2 s,
named by the headers, and 30 in a minute, named only by the 429. The windows here slide, so that no span of 2 s or of a
minute holds more: stricter than the fixed windows that some have observed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass

from laptop.discord_standin.answers import DiscordAnswer, banned, too_many


@dataclass(frozen=True)
class Limits:
    """How many requests are allowed in how many seconds; a test may change them. A count of 0 turns a limit off."""

    burst_requests: int = 5
    burst_seconds: float = 2.0
    minute_requests: int = 30
    minute_seconds: float = 60.0
    invalid_requests: int = 10_000
    invalid_seconds: float = 600.0


class Window:
    """A sliding window: it lets `most` requests pass in any `seconds`."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.times: deque[float] = deque()

    def used(self, now: float) -> int:
        while self.times and self.times[0] <= now - self.seconds:
            self.times.popleft()
        return len(self.times)

    def wait(self, now: float) -> float:
        """Seconds until another request is allowed; 0 if one is allowed now."""
        if not self.most or self.used(now) < self.most:
            return 0.0
        return self.times[len(self.times) - self.most] + self.seconds - now

    def whole_after(self, now: float) -> float:
        """Seconds until all `most` requests are allowed again."""
        return self.times[-1] + self.seconds - now if self.used(now) else 0.0

    def count(self, now: float) -> None:
        if self.most:
            self.used(now)
            self.times.append(now)


class Bucket:
    """One webhook's budget: posts and edits together."""

    def __init__(self, limits: Limits, name: str, *, minute: bool) -> None:
        self.name = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        self.burst = Window(limits.burst_requests, limits.burst_seconds)
        self.minute = Window(limits.minute_requests if minute else 0, limits.minute_seconds)

    def take(self, now: float) -> tuple[DiscordAnswer | None, dict[str, str]]:
        """(None or the 429, the rate headers of the answer). A request that is let through is counted."""
        waits = {window: window.wait(now) for window in (self.burst, self.minute)}
        longest = max(waits, key=lambda window: waits[window])
        if waits[longest] > 0:
            return too_many(waits[longest]), self._headers(longest, now, waits[longest])
        self.count(now)
        return None, self._headers(self.burst, now, self.burst.whole_after(now))

    def count(self, now: float) -> None:
        self.burst.count(now)
        self.minute.count(now)

    def _headers(self, window: Window, now: float, reset_after: float) -> dict[str, str]:
        if not window.most:
            return {}
        return {
            "X-RateLimit-Limit": str(window.most),
            "X-RateLimit-Remaining": str(max(0, window.most - window.used(now))),
            "X-RateLimit-Reset": f"{now + reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{reset_after:.3f}",
            "X-RateLimit-Bucket": self.name,
        }


class RateLimiter:
    """All budgets. `now` is seconds since 1970, given by the caller."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.reset()

    def reset(self, limits: Limits | None = None) -> None:
        """Resets all counts, and sets `limits` if given."""
        self.limits = limits or self.limits
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._invalid: defaultdict[str, Window] = defaultdict(
            lambda: Window(self.limits.invalid_requests, self.limits.invalid_seconds)
        )

    def bucket(self, webhook: str, method: str) -> Bucket:
        """The webhook's budget: one for posts and edits together, another for the rest, without a limit per minute."""
        route = "write" if method in {"POST", "PATCH"} else "other"
        key = (webhook, route)
        if key not in self._buckets:
            self._buckets[key] = Bucket(self.limits, f"webhook {route}", minute=route == "write")
        return self._buckets[key]

    def ban(self, address: str, now: float) -> DiscordAnswer | None:
        wait = self._invalid[address].wait(now) if address in self._invalid else 0.0
        return banned(wait) if wait > 0 else None

    def note(self, address: str, answer: DiscordAnswer, now: float) -> None:
        """Counts an address's invalid requests: 401, 403 and 429 (unless its scope is shared)."""
        if answer.status in {401, 403, 429} and answer.headers.get("X-RateLimit-Scope") != "shared":
            self._invalid[address].count(now)
