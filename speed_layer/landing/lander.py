"""Lands `reports` in the lake, exactly once, and sends what is not a report to `reports.rejected` (docs/landing.md).

One thread polls and decodes; a worker makes Arrow tables and commits (the steps are in `speed_layer.landing.commit`); a
third writes MongoDB's live views, which landing never waits for. The table decides where to read: an assigned partition
is read from its `txn` entry on, and what was read but not committed is read again by its next owner.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from threading import Event
from typing import Any, Final

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from structlog import get_logger

from fleet import topics
from fleet.errors import PeacewatchError, ServiceUnavailable
from infra import retry
from infra.delta import Commit
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.assignment import Assignment
from infra.kafka.topics import require_id
from infra.operations import LOOPS
from speed_layer.landing import batch, expiry_watch
from speed_layer.landing.batch import Chunk, Source
from speed_layer.landing.commit import Failpoint, Lake, OffsetConflict
from speed_layer.landing.decoding import CHUNK
from speed_layer.landing.expiry_watch import Backlog
from speed_layer.landing.live_thread import Every, LiveThread
from speed_layer.landing.live_views import Pending
from speed_layer.landing.partition import LandingPartition, Names
from speed_layer.landing.rejected import RejectedProducer

log = get_logger()

POLL_MS: Final = 200
AWAY: Final = (retry.NotReady, KafkaError, ServiceUnavailable, OSError)


class TopicRecreated(PeacewatchError):
    """The topic was deleted, and perhaps created again: what was read last may be of either topic, and is not
    landed."""


@dataclass(frozen=True)
class LandingConfig:
    """`lake`: a folder or `s3://…`. A batch is committed when it has `most_rows` or `most_bytes`, when its first
    message waits for `seconds`, or nothing came for `idle_seconds`; where nothing comes at all, each `quiet_seconds`.
    Partitions of a process that is silent for `session_seconds` move.
    """

    bootstrap: Address
    lake: str
    mongo_uri: str
    names: Names = Names()  # noqa: RUF009 - frozen
    group: str = "peacewatch-landing"
    reports: str = topics.REPORTS
    rejected: str = topics.REJECTED
    seconds: float = 5.0
    idle_seconds: float = 1.0
    quiet_seconds: float = 60.0
    session_seconds: float = 10.0
    most_rows: int = 200_000
    most_bytes: int = 48 * 1024 * 1024
    failpoint: Failpoint = lambda _step: None


def run(config: LandingConfig, stop: Event) -> None:
    """Lands reports until `stop` is set. Kafka, the lake and MongoDB may come and go."""
    pending = Pending()

    def session() -> None:
        try:
            with closing(LandingSession(config, pending)) as active:
                active.run(stop)
        except (OffsetConflict, TopicRecreated) as error:
            log.warning("offset conflict: resuming from the table", reason=error)

    with closing(LiveThread(config.mongo_uri, config.lake, pending, config.failpoint)):
        retry.run(session, stop, "landing", away=AWAY)


class LandingSession:
    """One membership in the group, until something fails; the next one starts at the table's offsets."""

    def __init__(self, config: LandingConfig, pending: Pending) -> None:
        self._config, self._pending = config, pending
        self._partitions: dict[TopicPartition, LandingPartition] = {}
        self._commit: Future[list[Commit]] | None = None
        self._offsets: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._first_at: float | None = None
        self._last_at = self._committed_at = time.monotonic()
        self._watch = Every(expiry_watch.WATCH_SECONDS)
        self._lake = Lake(config.lake, config.failpoint)
        with ExitStack() as opened:
            self._admin = clients.admin(config.bootstrap, request_timeout_ms=10_000)
            opened.callback(self._admin.close)
            self._topic_id = self._ask_topic_id()
            self._retention_ms = expiry_watch.retention_ms(self._admin, config.reports)
            self._rejected = RejectedProducer(config.bootstrap, config.reports, self._topic_id, config.rejected)
            opened.callback(self._rejected.close)
            self._consumer = _consumer(config)
            opened.callback(self._consumer.close, autocommit=False, timeout_ms=3000)
            self._worker = ThreadPoolExecutor(1, "worker")
            opened.callback(self._worker.shutdown, wait=True, cancel_futures=True)
            self._assignment = Assignment(self._consumer)
            self._consumer.subscribe([config.reports], listener=self._assignment)
            self.close = opened.pop_all().close

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            LOOPS.beat()
            self._take(self._consumer.poll(timeout_ms=0 if self._is_behind() else POLL_MS))
            self._rebalance()
            self._decode()
            if self._commit is not None and self._commit.done():
                self._finish()
            if self._due():
                self._flush()
            if self._watch.due():
                self._warn()
        if self._first_at is not None:
            self._flush()
        self._finish()

    def _take(self, polled: dict[TopicPartition, list[Any]]) -> None:
        for at, records in polled.items():
            self._last_at = time.monotonic()
            if self._first_at is None:
                self._first_at = self._last_at
            self._partitions[at].add(records)

    def _decode(self) -> None:
        """Decodes a chunk of each partition that has messages, those with the least of the batch first. A partition
        with too much undecoded is paused, so that its messages wait in Kafka; the others are read on.
        """
        for state in sorted(self._partitions.values(), key=lambda one: one.size):
            if state.is_behind and not state.is_spread and not self._is_full():
                state.decode()
        behind = {at for at, state in self._partitions.items() if state.is_behind}
        self._consumer.pause(*behind - self._paused)
        self._consumer.resume(*self._paused - behind)
        self._paused = behind

    def _is_behind(self) -> bool:
        return any(state.is_behind for state in self._partitions.values())

    def _is_full(self) -> bool:
        states = self._partitions.values()
        return (
            sum(state.rows for state in states) >= self._config.most_rows
            or sum(state.size for state in states) >= self._config.most_bytes
        )

    def _rebalance(self) -> None:
        """Drops what was read of partitions that moved away; new ones start at the table's offsets."""
        void, new = self._assignment.take()
        for at in void:
            self._partitions.pop(at, None)
            self._offsets.pop(at, None)
            self._paused.discard(at)
        if new:
            self._finish()  # a running commit changes the entries
            self._take_over(new)

    def _take_over(self, new: set[TopicPartition]) -> None:
        self._lake.refresh()
        if self._ask_topic_id() != self._topic_id:
            raise TopicRecreated(f"topic {self._config.reports} was created again; landing begins with it")
        beginnings = self._consumer.beginning_offsets(list(new))
        ends = self._consumer.end_offsets(list(new))
        for at in new:
            source = Source(self._topic_id, at.partition)
            state = LandingPartition(source, self._lake.entry(source.key), self._lake, self._worker, self._config.names)
            state.begin(beginnings[at], ends[at])
            self._consumer.seek(at, state.next_offset)
            self._consumer.resume(at)
            self._partitions[at] = state
        log.info(
            "partitions assigned", partitions={at.partition: self._partitions[at].next_offset for at in sorted(new)}
        )

    def _due(self) -> bool:
        now = time.monotonic()
        if self._first_at is None:
            return now - self._committed_at >= self._config.quiet_seconds
        return (
            now - self._first_at >= self._config.seconds
            or (now - self._last_at >= self._config.idle_seconds and not self._is_behind())
            or any(state.is_spread for state in self._partitions.values())
            or self._is_full()
        )

    def _flush(self) -> None:
        """Hands the batch to the worker. One commit at a time: a faster feed waits here, in Kafka."""
        self._finish()
        through = self._caught_up()
        futures = [future for state in self._partitions.values() for future in state.close_batch()]
        self._committed_at = time.monotonic()
        self._first_at = self._committed_at if self._is_behind() else None
        if futures or through:
            self._offsets = {at: state.next_offset for at, state in self._partitions.items()}
            self._commit = self._worker.submit(self._make_commit, futures, through)

    def _caught_up(self) -> dict[str, int]:
        """By key, the broker's time in ms up to which partitions without anything more to land are landed."""
        asked_at = int(time.time() * 1000)
        idle = {at: state for at, state in self._partitions.items() if not state.rows and not state.is_behind}
        if not idle:
            return {}
        ends = self._consumer.end_offsets(list(idle))
        through = {}
        for at, state in idle.items():
            state.skip_to(self._consumer.position(at))
            if state.next_offset >= ends[at]:
                through[state.source.key] = asked_at - batch.CLOCKS_APART_MS
        return through

    def _warn(self) -> None:
        states = dict(self._partitions)
        beginnings, ends = self._consumer.beginning_offsets(list(states)), self._consumer.end_offsets(list(states))
        backlogs = {
            state.source.key: Backlog(beginnings[at], state.next_offset, ends[at], state.through)
            for at, state in states.items()
        }
        expiry_watch.warn(backlogs, self._retention_ms)

    def _make_commit(self, futures: list[Future[Chunk]], through: dict[str, int]) -> list[Commit]:
        chunks = [future.result() for future in futures]
        if self._ask_topic_id() != self._topic_id:
            raise TopicRecreated(f"topic {self._config.reports} was created again; what was read last is not landed")
        return batch.commit(chunks, through, self._lake, self._rejected, self._pending)

    def _finish(self) -> None:
        """Waits for the running commit, then commits the group's offsets (step 6). Raises what the commit raised."""
        if self._commit is None:
            return
        commit, self._commit = self._commit, None
        commit.result()
        offsets = {at: OffsetAndMetadata(offset, "", -1) for at, offset in self._offsets.items()}
        try:
            self._consumer.commit(offsets, timeout_ms=5000)
        except (CommitFailedError, RebalanceInProgressError) as error:
            log.info("the group's offset is not committed; it only shows lag", reason=error)
        self._config.failpoint("6")

    def _ask_topic_id(self) -> str:
        return require_id(self._admin, self._config.reports)


def _consumer(config: LandingConfig) -> KafkaConsumer:
    return clients.consumer(
        config.bootstrap,
        group_id=config.group,
        enable_auto_commit=False,
        auto_offset_reset="none",  # an offset that has expired must raise
        isolation_level="read_committed",
        max_poll_records=CHUNK,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        session_timeout_ms=int(config.session_seconds * 1000),
    )
