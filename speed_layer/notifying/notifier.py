"""`alerts` to Discord: tells every alert, in messages that people can read. Depends on Kafka alone.

A session, and the order that loses nothing (`NotifierConfig.at_step` names `a` to `4` to tests):

1. Become the active notifier of this webhook (`lease`).
2. Make the book again: what was told, from `deliveries`; then what was not, from `alerts`.
3. Take alerts in and make the next call (`fleet.notifications.policy`), each time:
   a. check that this is still the active one;
   b. send;
   c. write the delivery, and wait until the broker has it.
4. Commit, at most once a second, how far every alert is told. Never beyond an alert whose delivery is not written.

A crash between b and c repeats a message; nothing is ever missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

from kafka import TopicPartition
from msgspec import MsgspecError
from structlog import get_logger

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert
from fleet.alerts.pipeline_health import Health
from fleet.notifications import actions
from fleet.notifications.incident import RANK, Intervals
from fleet.notifications.policy import Policy, next_call
from fleet.notifications.state import Book
from infra import retry
from infra.kafka import clients
from infra.kafka.config import Address
from speed_layer.dead_mans_switch import Pulse
from speed_layer.notifying.delivery_log import Ledger
from speed_layer.notifying.lease import Lease, Lost
from speed_layer.notifying.sender import Sender

log = get_logger()

MOST_WAITING: Final = 100_000
"""Alerts held in memory; while so many wait, the rest wait in Kafka."""

BUSY_MS: Final = 50
IDLE_MS: Final = 500
"""How long one poll waits for alerts; it returns at once when there is one."""


@dataclass(frozen=True)
class NotifierConfig:
    """`webhook` names the channel in `deliveries`; `takes` says which alerts it tells."""

    bootstrap: Address
    webhook: str = "alerts"
    group: str = "peacewatch-notifier"
    alerts: str = topics.ALERTS
    deliveries: str = topics.DELIVERIES
    actions: str = topics.OPERATOR_ACTIONS
    state: str = topics.ALERT_STATE
    intervals: Intervals = field(default_factory=Intervals)
    policy: Policy = field(default_factory=Policy)
    takes: Callable[[Alert], bool] = lambda _alert: True
    look_seconds: float = 60.0  # how often the broker is asked for the partitions that `alerts` has
    at_step: Callable[[str], None] = lambda _step: None


def run(config: NotifierConfig, new_sender: Callable[[], Sender], stop: Event) -> None:
    """Until `stop` is set. Kafka may come and go."""

    def session() -> None:
        lease = Lease(config.bootstrap, f"{config.group}-{config.webhook}", config.deliveries)
        with closing(lease):
            if _become_active(lease, stop):
                with closing(new_sender()) as sender, closing(Session(config, lease, sender, stop)) as active:
                    _run(active)

    retry.run(session, stop, "notifier")


def _run(active: Session) -> None:
    try:
        active.run()
    except Lost as error:
        log.warning("the notifier gives way", reason=error)


def _become_active(lease: Lease, stop: Event) -> bool:
    told = False
    while not stop.is_set():
        if lease.join(timeout=1.0):
            return True
        if not told:
            log.info("standing by: another notifier is active, or the broker has not decided yet")
            told = True
    return False


class Session:
    """The active notifier, from the moment it becomes so."""

    def __init__(self, config: NotifierConfig, lease: Lease, sender: Sender, stop: Event) -> None:
        self._config, self._lease, self._sender, self._stop = config, lease, sender, stop
        self.book = Book(config.webhook, config.intervals)
        self._positions: dict[int, int] = {}
        self._refreshed_at = float("-inf")
        with ExitStack() as opened:  # what fails on the way leaves no client behind
            self._ledger = Ledger(config.bootstrap, config.deliveries, config.webhook)
            opened.callback(self._ledger.close)
            self._pulse = Pulse(config.bootstrap, config.state)
            opened.callback(self._pulse.close)
            self._consumer = clients.consumer(
                config.bootstrap,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_min_bytes=1,
                max_poll_records=1000,
                metadata_max_age_ms=int(config.look_seconds * 1000),
            )
            opened.callback(self._consumer.close, autocommit=False)
            self._needed = self._recover()
            self.close = opened.pop_all().close

    def run(self) -> None:
        while not self._stop.is_set():
            self._renew()
            self._take_in()
            while self._call_once():
                self._renew()
            self._refresh()
        self._renew(now=True)

    def _recover(self) -> dict[int, int]:
        partitions = self._partitions(self._config.deliveries)
        told = self._ledger.replay(self.book, {p.partition: self._lease.committed(p) for p in partitions})
        sources = self._partitions(self._config.alerts)
        asked = [
            TopicPartition(self._config.actions, p)
            for p in self._consumer.partitions_for_topic(self._config.actions) or ()
        ]
        self._consumer.assign([*asked, *sources])
        self._consumer.seek_to_beginning(*asked)  # few, and each does the same again
        starts = self._consumer.beginning_offsets(sources)
        for source in sources:
            self._positions[source.partition] = max(starts[source], self._lease.committed(source) or 0)
            self._consumer.seek(source, self._positions[source.partition])
        log.info("active", webhook=self._config.webhook, deliveries=told, open_messages=len(self.book.messages))
        return self._ledger.needed_from(self.book)

    def _take_in(self) -> None:
        busy = bool(self.book.waiting or self.book.dirty)
        if self.book.waiting.alerts >= MOST_WAITING:
            time.sleep(BUSY_MS / 1000)
            return
        for partition, records in self._consumer.poll(timeout_ms=BUSY_MS if busy else IDLE_MS).items():
            for record in records:
                try:
                    self._take(record)
                except MsgspecError as error:
                    log.warning("a message that cannot be read", place=f"{partition}, {record.offset}", reason=error)
            if partition.topic == self._config.alerts:
                self._positions[partition.partition] = records[-1].offset + 1

    def _take(self, record: Any) -> None:
        if record.topic == self._config.actions:
            self.book.act(actions.decode(record.value or b""))
            return
        alert = wire.decode(record.value or b"")
        if alert.clears or self._config.takes(alert):
            self.book.fold(alert, (record.partition, record.offset))

    def _call_once(self) -> bool:
        """Makes the next call, if there is one now; whether Discord took it."""
        now = datetime.now(UTC)
        call = next_call(self.book, self._config.policy, now, self._sender.allowance())
        if call is None:
            return False
        self._lease.check()
        self._config.at_step("a")
        message_id = self._sender.send(call, self.book)
        if message_id is None:
            return False
        self._config.at_step("b")
        told = self.book.told(call, message_id, datetime.now(UTC), self._sender.held)
        self._ledger.write(told, self._stop)
        self._config.at_step("c")
        return True

    def _renew(self, now: bool = False) -> None:
        offsets = {
            TopicPartition(self._config.alerts, partition): offset
            for partition, offset in self.book.waiting.done_through(self._positions).items()
        }
        offsets |= {TopicPartition(self._config.deliveries, p): offset for p, offset in self._needed.items()}
        if self._lease.renew(offsets, now):
            self._config.at_step("4")

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed_at >= 1.0:
            self._refreshed_at = time.monotonic()
            self.book.refresh(datetime.now(UTC))
            self._pulse.beat(self._health)
            self._needed = self._ledger.needed_from(self.book)
            if len(self._partitions(self._config.alerts)) != len(self._positions):
                raise retry.NotYet(f"the topic {self._config.alerts} has other partitions: all of them must be read")

    def _health(self) -> Health:
        return Health(
            "notifier",
            self._config.webhook,
            datetime.now(UTC),
            dead=self._sender.dead,
            untold=self.book.waiting.alerts,
            oldest=self.book.waiting.oldest(RANK),
            refused=len(self.book.unspeakable),
        )

    def _partitions(self, topic: str) -> list[TopicPartition]:
        found = self._consumer.partitions_for_topic(topic)
        if not found:
            raise retry.NotYet(f"the topic {topic} is not there yet")
        return [TopicPartition(topic, partition) for partition in sorted(found)]
