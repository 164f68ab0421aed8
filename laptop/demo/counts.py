"""The live summary's counts of a running stack, and which of its parts do not answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from laptop.demo.channel import Channel


class Readings(Protocol):
    """What can be read from a stack, as by `laptop.demo.watch.Watch`. A method raises when its part does not answer."""

    def landed(self) -> int: ...

    def rejected(self) -> int: ...

    def raised(self) -> Mapping[str, int]: ...

    def channel(self) -> Channel | None: ...

    def last_run(self) -> Mapping[str, Any] | None: ...


@dataclass
class StackCounts:
    """The latest counts; `away` names the parts that did not answer."""

    sent: int = 0
    landed: int = 0
    rejected: int = 0
    raised: int = 0
    delivered: int = 0
    messages: int = 0
    last_run: Mapping[str, Any] | None = None
    away: list[str] = field(default_factory=list)

    def look(self, sent: int, watch: Readings) -> None:
        """Updates the counts; a part that does not answer keeps its last one."""
        self.sent = sent
        self.away = []
        self._read("the lake", lambda: setattr(self, "landed", watch.landed()))
        self._read("Kafka", lambda: self._topics(watch))
        self._read("Discord", lambda: self._channel(watch))
        self._read("MongoDB", lambda: setattr(self, "last_run", watch.last_run()))

    def _topics(self, watch: Readings) -> None:
        self.rejected = watch.rejected()
        self.raised = sum(watch.raised().values())

    def _channel(self, watch: Readings) -> None:
        if channel := watch.channel():
            self.delivered, self.messages = channel.total, channel.messages

    def _read(self, what: str, read: Callable[[], None]) -> None:
        try:
            read()
        except Exception:  # noqa: BLE001 - each client has its own errors; the summary goes on without this part
            self.away.append(what)

    def rows(self) -> list[tuple[str, str]]:
        """(label, value) to display, in order."""
        return [
            ("reports sent", f"{self.sent:,}"),
            ("landed", f"{self.landed:,}"),
            ("rejected", f"{self.rejected:,}"),
            ("alerts raised", f"{self.raised:,}"),
            ("delivered", f"{self.delivered:,} in {self.messages:,} messages"),
            ("last batch run", _run(self.last_run)),
        ]

    def line(self) -> str:
        """The rows as one line of a log."""
        away = f"; {', '.join(self.away)} did not answer" if self.away else ""
        return "; ".join(f"{name} {value}" for name, value in self.rows()) + away


def _run(run: Mapping[str, Any] | None) -> str:
    if run is None:
        return "none yet"
    finished = run.get("finished_at")
    ago = f", {_ago(datetime.now(UTC) - finished)} ago" if finished else ""
    return f"version {run['version']} of the lake{ago}"


def _ago(passed: timedelta) -> str:
    seconds = int(passed.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
