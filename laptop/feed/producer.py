"""The producer of `reports`: sends messages of a file or of the simulator to Kafka and counts acknowledgements."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from fleet import topics
from fleet.errors import ServiceUnavailable
from infra.kafka import clients
from infra.kafka.address import Address, shown
from infra.kafka.failures import KafkaRefused

BATCH_BYTES: Final = 256 * 1024
"""Smaller batches cost a request each: kafka-python then sends a third as fast (docs/design.md, what it stands on)."""

LINGER_MS: Final = 10

IN_FLIGHT: Final = 20_000
"""Messages that may await their acknowledgement: the client bounds neither their number nor their memory."""

CONNECT_MS: Final = 20_000
GIVE_UP_MS: Final = 120_000
"""A restarting broker is back long before this. Messages that it has not acknowledged by then are sent again."""

PATIENCE: Final = GIVE_UP_MS / 1000 + 10
"""Seconds until a client that has not even given up its messages is taken for stuck."""

SECOND_TRIES: Final = 2
"""How often messages are sent again before they are reported as lost."""

CLOSE_SECONDS: Final = 5


class Feed:
    """Sends messages and counts acknowledgements. A context manager: leaving it without an error flushes.

    `sent` and `acknowledged` count messages. A message may reach the broker twice if its acknowledgement was lost;
    landing keeps one of the duplicates. Raises ServiceUnavailable when Kafka does not answer.
    """

    def __init__(
        self,
        bootstrap: Address,
        topic: str = topics.REPORTS,
        *,
        second_tries: int = SECOND_TRIES,
        connect_ms: int = CONNECT_MS,
        patience: float = PATIENCE,
    ) -> None:
        self.bootstrap, self.topic, self._second_tries = shown(bootstrap), topic, second_tries
        self._open, self._patience = partial(_producer, bootstrap, connect_ms), patience
        self.sent = self.acknowledged = 0
        self._waiting: deque[tuple[Any, bytes, bytes]] = deque()
        self._failed: list[tuple[bytes, bytes]] = []
        self._error: KafkaError | None = None
        self._is_stuck = False
        with ExitStack() as opened:
            opened.enter_context(_without_kafkas_warnings())
            self._producer = self._open()
            opened.callback(self._close_producer)
            self.close = opened.pop_all().close

    def send(self, key: bytes, value: bytes) -> None:
        """Hands a message to the client. Blocks while IN_FLIGHT messages await their acknowledgement."""
        self._hand_over(key, value)
        self.sent += 1
        if len(self._waiting) >= IN_FLIGHT:
            self._settle(IN_FLIGHT * 3 // 4)
        elif self.sent % 256 == 0:
            self._count()

    def flush(self) -> int:
        """Returns the number of messages once all are acknowledged, else raises ServiceUnavailable."""
        for _ in range(1 + self._second_tries):
            self._settle(0)
            if not self._failed:
                return self.acknowledged
            failed, self._failed = self._failed, []
            if self._is_stuck:
                self._close_producer()
                self._producer, self._is_stuck = self._open(), False
            for key, value in failed:
                self._hand_over(key, value)
        self._settle(0)
        if self._failed:
            raise ServiceUnavailable(
                f"Kafka at {self.bootstrap} acknowledged {self.acknowledged} of {self.sent} reports:"
                f" {type(self._error).__name__}: {self._error}"
            )
        return self.acknowledged

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            self.close()

    def _close_producer(self) -> None:
        self._producer.close(timeout=0 if self._is_stuck else CLOSE_SECONDS)

    def _hand_over(self, key: bytes, value: bytes) -> None:
        try:
            self._waiting.append((self._producer.send(self.topic, value, key), key, value))
        except KafkaError as failure:
            self._fail(failure, key, value)

    def _settle(self, leave: int) -> None:
        """Waits for the oldest messages until only `leave` are unacknowledged."""
        if self._waiting and not leave:
            try:
                self._producer.flush(timeout=self._patience)
            except KafkaTimeoutError:
                # After the death of a partition's leader the client may neither send a message nor give it up.
                self._is_stuck = True
        while len(self._waiting) > leave:
            future, key, value = self._waiting.popleft()
            try:
                if not future.succeeded():
                    future.get(timeout=0 if self._is_stuck else self._patience)
                self.acknowledged += 1
            except KafkaError as failure:
                self._fail(failure, key, value)

    def _count(self) -> None:
        while self._waiting and self._waiting[0][0].succeeded():
            self._waiting.popleft()
            self.acknowledged += 1

    def _fail(self, error: KafkaError, key: bytes, value: bytes) -> None:
        self._error = error
        self._failed.append((key, value))
        if len(self._failed) >= IN_FLIGHT:  # Kafka is away: reading on gains nothing
            self._settle(0)
            raise ServiceUnavailable(
                f"Kafka at {self.bootstrap} acknowledged {self.acknowledged} of {self.sent} reports, then no more:"
                f" {type(error).__name__}: {error}"
            )


@contextmanager
def _without_kafkas_warnings() -> Iterator[None]:
    """Silences the client: we retry what it warns of, and report it in our own words."""
    logger = logging.getLogger("kafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _producer(bootstrap: Address, connect_ms: int) -> KafkaProducer:
    try:
        return clients.producer(
            bootstrap,
            compression_type="lz4",
            batch_size=BATCH_BYTES,
            linger_ms=LINGER_MS,
            delivery_timeout_ms=GIVE_UP_MS,
            bootstrap_timeout_ms=connect_ms,
            allow_auto_create_topics=False,
            metrics_enabled=False,
            **clients.IDEMPOTENT,
        )
    except KafkaRefused as error:
        raise ServiceUnavailable(f"{error} ({shown(bootstrap)})") from None
    except (KafkaError, ValueError, OSError) as error:
        raise ServiceUnavailable(
            f"Kafka at {shown(bootstrap)} does not answer ({type(error).__name__}); is the stack up (peacewatch up)?"
        ) from None


def paced(
    messages: Iterable[tuple[bytes, bytes]],
    rate: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[tuple[bytes, bytes]]:
    """`messages`, at most `rate` a second (None: no limit). After a delay it catches up, so the mean rate holds."""
    begin = clock()
    for number, message in enumerate(messages):
        if rate is not None:
            early = begin + number / rate - clock()
            if early > 0.002:  # a shorter sleep takes longer than asked for
                sleep(early)
        yield message
