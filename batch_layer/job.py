"""What each run of the batch layer needs, and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from batch_layer.drone_register import Register
from batch_layer.engine import StartEngine
from infra.mongo.client import Documents

CHUNK: Final = 24
"""Hours computed at a time: memory stays that of a day, and progress moves by the day."""

LIVE_KEPT: Final = timedelta(minutes=10)
"""How long live documents stay after the run that covers them: far longer than any request."""

Progress = Callable[[int, int], None]
"""Called with (hours or days done, how many in all)."""


@dataclass(frozen=True)
class Outcome:
    """What a run did: `computed` hours or days at `version`, `written` documents replaced."""

    version: int
    computed: int
    written: int
    kind: str


@dataclass(frozen=True)
class Job:
    """MongoDB's database, the lake's address, the engine, a callback for progress, the clock.

    `register`: the drones expected; None: those seen lately. `live_kept`: see LIVE_KEPT.
    """

    database: Documents
    lake: str
    engine: StartEngine
    progress: Progress = lambda _done, _total: None
    live_kept: timedelta = LIVE_KEPT
    chunk: int = CHUNK
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    register: Register | None = None
