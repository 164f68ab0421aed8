"""The JSON of all answers: times in UTC as RFC 3339."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any


def default(value: Any) -> Any:
    """Encodes times, which JSON has no form for. Raises TypeError for other types."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def dumps(value: Any) -> str:
    """Compact, on one line."""
    return json.dumps(value, default=default, separators=(",", ":"), ensure_ascii=False)
