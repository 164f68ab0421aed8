"""A long-running process does not die because a service is away: it tries again, with growing pauses, and says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Final

from kafka.errors import KafkaError
from structlog import get_logger

log = get_logger()

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
HEALTHY_SECONDS: Final = 60.0
"""A session that held so long was well: the next pause is the first again."""


class NotYet(Exception):
    """Something that others make is not there yet."""


def run(
    session: Callable[[], None],
    stop: Event,
    name: str,
    away: tuple[type[Exception], ...] = (NotYet, KafkaError, OSError),
    failed: Callable[[Exception], None] = lambda _error: None,
) -> None:
    """Runs sessions until `stop` is set. One that ends in an `away` error is followed by another after a pause.

    One that returns is followed by another at once. `failed` is called with each `away` error.
    """
    pause = FIRST_PAUSE
    while not stop.is_set():
        began = time.monotonic()
        try:
            session()
        except away as error:
            if time.monotonic() - began > HEALTHY_SECONDS:
                pause = FIRST_PAUSE
            failed(error)
            log.warning(f"{name} waits for a service", reason=error, seconds=pause)
            pause = min(2 * pause, LONGEST_PAUSE) if not stop.wait(pause) else pause
