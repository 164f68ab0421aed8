"""The results of one round, as JSON for checks; `laptop.demo.tables` shows them to people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fleet.errors import BadInput

STATISTICS: Final = (
    "alerts-by-part-of-day",
    "alerts-by-country",
    "averages",
    "alerts-by-weekday",
    "low-battery",
    "alerts-by-peace-score",
)
"""Names of the API's statistics, and keys of `statistics`."""


@dataclass
class Summary:
    """The counts of a round, the API's answers by name, and the seconds that each step took."""

    sent: int = 0
    landed: int = 0
    rejected: int = 0
    raised: Mapping[str, int] = field(default_factory=dict)
    delivered: Mapping[str, int] = field(default_factory=dict)
    messages: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The layout that checks read."""
        return {
            "reports": {"sent": self.sent, "landed": self.landed, "rejected": self.rejected},
            "alerts": {
                "raised": dict(self.raised),
                "delivered": dict(self.delivered),
                "messages": self.messages,
            },
            "statistics": self.statistics,
            "seconds": {step: round(seconds, 1) for step, seconds in self.seconds.items()},
        }

    def write(self, path: Path) -> None:
        """Raises BadInput when the file cannot be written."""
        text = json.dumps(self.as_json(), ensure_ascii=False, indent=2) + "\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput("--summary", f"{path} cannot be written: {error.strerror}") from None
