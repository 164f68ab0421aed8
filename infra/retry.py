"""Retries: a long-running process does not die because a service is away. It retries with growing pauses, and logs it.

Pauses grow in one way, over tenacity's: `run` for sessions that block, `Backoff` for a caller with its own clock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any, Final

from kafka.errors import KafkaError
from structlog import get_logger
from tenacity import RetryCallState, Retrying, retry_if_exception_type, sleep_using_event, stop_when_event_set
from tenacity.wait import wait_exponential

from infra import metrics
from infra.kafka.failures import sentence
from infra.operations import LOOPS

log = get_logger()

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 15.0
HEALTHY_SECONDS: Final = 60.0
"""A session that lasted this long was healthy: the next pause is the first again."""


class NotReady(Exception):
    """Something that another process creates does not exist yet."""


@dataclass
class Backoff:
    """Pauses in seconds: each twice as long as the one before, from `first` to `longest`.

    `jitter` is the share by which each is longer or shorter by chance, so that many clients do not come back at once.
    """

    first: float = FIRST_PAUSE
    longest: float = LONGEST_PAUSE
    jitter: float = 0.0
    failures: int = 0

    def fail(self) -> float:
        """The pause after one more failure."""
        self.failures += 1
        state = RetryCallState(_RETRYING, None, (), {})
        state.attempt_number = self.failures
        pause = wait_exponential(multiplier=self.first, max=self.longest)(state)
        return pause * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - not a secret

    def succeed(self) -> None:
        """The next pause is the first again."""
        self.failures = 0


def run(
    session: Callable[[], None],
    stop: Event,
    name: str,
    away: tuple[type[Exception], ...] = (NotReady, KafkaError, OSError),
    failed: Callable[[Exception], None] = lambda _error: None,
) -> None:
    """Runs sessions until `stop` is set. One that ends in an `away` error is followed by another after a pause.

    One that returns is followed by another at once. `failed` is given each `away` error; every other error is raised.
    The process' operations port knows of the loop by `name`; a session has begun to work at its first
    `LOOPS.beat()`, and gives signs of life by more of them.
    """
    backoff = Backoff(FIRST_PAUSE)
    began = time.monotonic()

    def attempt() -> None:
        nonlocal began
        while not stop.is_set():
            began = time.monotonic()
            LOOPS.starting(name)
            session()

    def pause(state: RetryCallState) -> float:
        if time.monotonic() - began > HEALTHY_SECONDS:
            backoff.succeed()
        seconds = backoff.fail()
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, Exception):
            failed(error)
            _report(name, error, seconds)
        return seconds

    try:
        _retrying(stop, away, pause)(attempt)
    finally:
        LOOPS.ended(name)


def _retrying(stop: Event, away: tuple[type[Exception], ...], pause: Callable[[RetryCallState], float]) -> Any:
    return Retrying(
        retry=retry_if_exception_type(away),
        wait=pause,
        sleep=sleep_using_event(stop),
        stop=stop_when_event_set(stop),
        retry_error_callback=lambda _state: None,  # stopped: the last error was said already
    )


def _report(name: str, error: Exception, seconds: float) -> None:
    """To the metrics, the operations port and the log."""
    reason = f"{type(error).__name__}: {_said(error)}"
    metrics.RETRIES.labels(name).inc()
    LOOPS.waiting(name, reason)
    log.warning(f"{name} waits for a service", reason=reason, seconds=seconds)


def _said(error: Exception) -> str:
    """pymongo's own text has the documents that it was to write, and what citizens say in them."""
    if type(error).__module__.partition(".")[0] not in {"pymongo", "bson"}:
        return sentence(error)
    from infra.mongo.client import reason  # noqa: PLC0415 - alerting and notifying never need pymongo

    return reason(error)


_RETRYING: Final = Retrying()
