"""Which days are complete, from the batch layer's documents; cached for a few seconds, since every answer needs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from datetime import date
from typing import Any, Final

from pymongo.database import Database

MAX_AGE: Final = 5.0
"""Seconds; the batch layer updates the documents about once an hour."""


class DayCompleteness:
    """The cached documents, for many threads: one of them reads."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self._complete: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def incomplete(self, days: Iterable[date]) -> list[str]:
        """Those of the UTC `days` that are not known to be complete."""
        with self._lock:
            if time.monotonic() - self._read_at >= MAX_AGE:
                documents = self._database.completeness.find({"complete": True}, {"_id": True})
                self._complete = frozenset(document["_id"] for document in documents)
                self._read_at = time.monotonic()
        return [name for day in days if (name := day.isoformat()) not in self._complete]
