"""The steps on a report's path, and their table for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from rich.table import Table
from rich.text import Text

from fleet.text import escaped

Where = Literal["topic", "lake", "rejected", "duplicate", "alert", "message"]

TITLES: Final[dict[str, str]] = {
    "topic": "on the topic",
    "lake": "in the lake",
    "rejected": "rejected",
    "duplicate": "duplicate",
    "alert": "alert",
    "message": "Discord message",
}


@dataclass(frozen=True)
class Step:
    """`source` is the report's place, `reports/3/1042`, where the step has one; `facts` say the rest."""

    where: Where
    source: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """For programs: times as RFC 3339."""
        facts = {key: value.isoformat() if isinstance(value, datetime) else value for key, value in self.facts.items()}
        return {"where": self.where, "source": self.source, **facts}


def table(steps: Iterable[Step]) -> Table:
    """The steps for a terminal."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("step", "source", "what is stored"):
        shown.add_column(name, overflow="fold")
    for step in steps:
        facts = step.as_json()
        text = "\n".join(f"{name}: {facts[name]}" for name in step.facts if facts[name] not in (None, ""))
        shown.add_row(TITLES[step.where], step.source, Text(escaped(text)))  # no markup: the text comes from drones
    return shown
