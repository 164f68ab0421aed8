"""`alerts` to Discord: notifies people of every alert, in messages that they can read. Depends on Kafka only.

A session, in the order that loses no alert (tests stop it at `a` to `4` with `NotifierConfig.failpoint`):

1. Become the active notifier of this webhook (`lease`).
2. Rebuild the notification state: what people were notified of, from `deliveries`; what is pending, from `alerts`.
3. Take alerts in and send the next notification (`fleet.notifications.policy`), each time:
   a. check that this is still the active one;
   b. send;
   c. write the delivery, and wait until the broker has it.
4. Commit, at most once a second, how far people are notified. Never beyond an alert whose delivery is not written.

A crash between b and c repeats a message; none is ever missing. A message of `alerts` or `operator-actions` that cannot
be handled is skipped and counted, and operators are notified (`pipeline_health.RecentFaults`).

An alert of a newer version is not skipped, since nobody would be notified of it: its partition ends there. What came
before it and in other partitions is notified; then the session ends, so that a stand-by of that version takes over.
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
from kafka.errors import KafkaError
from msgspec import MsgspecError
from structlog import get_logger

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.alert import Alert
from fleet.alerts.pipeline_health import RecentFaults, SignOfLife
from fleet.errors import NewerLayout
from fleet.layout import found_at
from fleet.notifications import actions
from fleet.notifications.incident import RANK, Intervals
from fleet.notifications.policy import Policy, decide
from fleet.notifications.state import NotificationState
from infra import retry
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import sentence
from infra.kafka.partitions import of_topic, place_of, required
from infra.kafka.topics import missing
from infra.logs import named
from infra.operations import LOOPS
from speed_layer.dead_mans_switch import Pulse
from speed_layer.notifying import metrics
from speed_layer.notifying.delivery_log import DeliveryLog
from speed_layer.notifying.lease import Committed, Lease, LeaseLost
from speed_layer.notifying.left_alerts import MOST_NEWCOMERS, LeftAlerts
from speed_layer.notifying.sender import Sender

log = get_logger()

MOST_PENDING: Final = 100_000
"""Alerts held in memory; while so many are pending, the rest wait in Kafka."""

AWAY: Final = (retry.NotReady, KafkaError, NewerLayout, OSError)

BUSY_MS: Final = 50
IDLE_MS: Final = 500
"""How long one poll waits for alerts; it returns at once when there is one."""


@dataclass(frozen=True)
class NotifierConfig:
    """`webhook` names the channel in `deliveries`; `takes` says of which alerts it notifies."""

    bootstrap: Address
    intervals: Intervals
    webhook: str = "alerts"
    group: str = "peacewatch-notifier"
    alerts: str = topics.ALERTS
    deliveries: str = topics.DELIVERIES
    actions: str = topics.OPERATOR_ACTIONS
    state: str = topics.ALERT_STATE
    policy: Policy = field(default_factory=Policy)
    takes: Callable[[Alert], bool] = lambda _alert: True
    most_newcomers: int = MOST_NEWCOMERS
    look_seconds: float = 60.0  # how often the broker is asked for the partitions that `alerts` has
    failpoint: Callable[[str], None] = lambda _step: None


def run(config: NotifierConfig, new_sender: Callable[[], Sender], stop: Event) -> None:
    """Notifies until `stop` is set. Kafka may come and go."""
    faults = RecentFaults()

    def session() -> None:
        lease = Lease(config.bootstrap, f"{config.group}-{config.webhook}", config.deliveries)
        with closing(lease):
            if _become_active(lease, stop):
                with (
                    closing(new_sender()) as sender,
                    closing(NotifierSession(config, lease, sender, faults, stop)) as active,
                ):
                    _run(active)

    retry.run(session, stop, "notifier", away=AWAY)


def _run(active: NotifierSession) -> None:
    try:
        active.run()
    except LeaseLost as error:
        log.warning("the notifier steps down", reason=error)


def _become_active(lease: Lease, stop: Event) -> bool:
    is_logged = False
    while not stop.is_set():
        LOOPS.beat()
        if lease.join(timeout=1.0):
            return True
        if not is_logged:
            log.info("standing by: another notifier is active, or the broker has not decided yet")
            is_logged = True
    return False


class NotifierSession:
    """The active notifier, from the moment it becomes so."""

    def __init__(self, config: NotifierConfig, lease: Lease, sender: Sender, faults: RecentFaults, stop: Event) -> None:
        self._config, self._lease, self._sender, self._faults, self._stop = config, lease, sender, faults, stop
        self.state = NotificationState(config.webhook, config.intervals)
        self._newer: NewerLayout | None = None
        self._positions: dict[int, int] = {}
        self._left = LeftAlerts(config.bootstrap, config.alerts, config.most_newcomers)
        self._refreshed_at = float("-inf")
        with ExitStack() as opened:  # what fails on the way leaves no client behind
            self._delivery_log = DeliveryLog(config.bootstrap, config.deliveries, config.webhook)
            opened.callback(self._delivery_log.close)
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
            opened.callback(self._left.close)
            self._needed = self._recover()
            self.close = opened.pop_all().close

    def run(self) -> None:
        while not self._stop.is_set():
            LOOPS.beat()
            self._renew()
            self._take_in()
            while self._notify_once():
                self._renew()
            self._refresh()
            if self._newer is not None and not self.state.incidents.pending:
                break
        self._renew(now=True)
        if self._newer is not None:
            raise self._newer

    def _recover(self) -> dict[int, int]:
        partitions = self._partitions(self._config.deliveries)
        needed = {p.partition: place.offset if (place := self._lease.committed(p)) else None for p in partitions}
        replayed = self._delivery_log.replay(self.state, needed)
        sources = self._partitions(self._config.alerts)
        asked = self._partitions_of_actions()
        self._consumer.assign([*asked, *sources])
        self._consumer.seek_to_beginning(*asked)  # few, and each does the same again
        starts = self._consumer.beginning_offsets(sources)
        for source in sources:
            committed = self._lease.committed(source) or Committed(0)
            committed = committed._replace(offset=max(starts[source], committed.offset))
            self._positions[source.partition] = self._left.begin(source.partition, committed)
            self._consumer.seek(source, self._positions[source.partition])
        log.info("active", webhook=self._config.webhook, deliveries=replayed, open_messages=len(self.state.messages))
        return self._delivery_log.needed_from(self.state)

    def _take_in(self) -> None:
        is_busy = bool(self.state.incidents.pending) or any(
            message.needs_edit for message in self.state.messages.values()
        )
        if self.state.incidents.pending_alerts >= MOST_PENDING:
            time.sleep(BUSY_MS / 1000)
            return
        for partition, records in self._consumer.poll(timeout_ms=BUSY_MS if is_busy else IDLE_MS).items():
            end = self._take_known(partition, records)
            if partition.topic == self._config.alerts:
                self._positions[partition.partition] = end
        for record in self._left.read(self._positions, self.state.incidents.pending_newcomers):
            self._take(record, was_left=True)

    def _take_known(self, partition: TopicPartition, records: list[Any]) -> int:
        """Takes records up to the first of a newer version, where the partition then ends. Returns the next offset."""
        for record in records:
            try:
                self._take(record)
            except NewerLayout as error:
                self._newer = error
                self._consumer.pause(partition)
                return int(record.offset)
        return int(records[-1].offset) + 1

    def _take(self, record: Any, *, was_left: bool = False) -> None:
        """Skips a record that cannot be handled, whatever the error: it would come again after a restart. An action of
        a newer version is skipped, too: that version reads all actions again. Raises NewerLayout for an alert.
        """
        try:
            if record.topic == self._config.actions:
                self.state.apply(actions.decode(record.value or b""))
            else:
                alert, source = wire.decode(record.value or b""), (record.partition, record.offset)
                if self._is_for_now(alert, source, was_left=was_left):
                    self._add(alert, source)
        except (MsgspecError, NewerLayout) as error:
            place = place_of(record)
            if isinstance(error, NewerLayout) and record.topic != self._config.actions:
                self._faults.add("newer", datetime.now(UTC), f"the last one is {place}")
                raise found_at(place, error) from None
            log.warning("a message cannot be read", place=place, reason=error)
            self._faults.add("unreadable", datetime.now(UTC), f"the last one is {place}")
        except Exception:
            place = place_of(record)
            log.exception("a message cannot be handled", place=place)
            self._faults.add("unreadable", datetime.now(UTC), f"the last one is {place}")

    def _is_for_now(self, alert: Alert, source: tuple[int, int], *, was_left: bool) -> bool:
        """Whether this reader takes the alert: the first reader, or, if it `was_left`, the follower."""
        if was_left:
            return alert.newcomer or alert.clears
        if not alert.newcomer or not self._config.takes(alert):
            return True
        return not self._left.leaves(*source, self.state.incidents.pending_newcomers) or alert.clears

    def _add(self, alert: Alert, source: tuple[int, int]) -> None:
        if not (alert.clears or self._config.takes(alert)):
            return
        before = self.state.conflicts
        self.state.add(alert, source)
        if self.state.conflicts > before:
            log.error("an alert has the id of another one", alert_id=alert.alert_id)
            self._faults.add("conflicts", datetime.now(UTC), f"the last one is of an incident of the kind {alert.kind}")

    def _notify_once(self) -> bool:
        """Sends the next notification, if there is one now. Returns whether Discord accepted it."""
        now = datetime.now(UTC)
        decision = decide(self.state, self._config.policy, now, self._sender.allowance())
        if decision.notification is None:
            return False
        self._lease.check()
        self._config.failpoint("a")
        message_id = self._sender.send(decision.notification, self.state)
        if message_id is None:
            return False
        self._config.failpoint("b")
        delivery = self.state.record(decision.notification, message_id, datetime.now(UTC), self._sender.held)
        log.info(
            "notified",
            reason=decision.reason.value,
            message_id=message_id,
            **named("alert_ids", delivery.alert_ids),
        )
        metrics.NOTIFICATIONS.labels(self._config.webhook, delivery.method).inc()
        for milliseconds in delivery.broker_ms:
            metrics.LATENCY.labels(self._config.webhook).observe(max(0, milliseconds) / 1000)
        before = self._delivery_log.unwritten
        self._delivery_log.write(delivery, self._stop)
        if self._delivery_log.unwritten > before:
            self._faults.add("unwritten", datetime.now(UTC), f"the last one is of message {message_id}")
        self._config.failpoint("c")
        return True

    def _renew(self, now: bool = False) -> None:
        if self._lease.renew(self._offsets, now):
            self._config.failpoint("4")

    def _offsets(self) -> dict[TopicPartition, Committed]:
        of_alerts = self._left.committed(self.state.incidents, self._positions)
        offsets = {TopicPartition(self._config.alerts, partition): place for partition, place in of_alerts.items()}
        needed = {TopicPartition(self._config.deliveries, p): Committed(offset) for p, offset in self._needed.items()}
        return offsets | needed

    def _refresh(self) -> None:
        if time.monotonic() - self._refreshed_at >= 1.0:
            self._refreshed_at = time.monotonic()
            self.state.refresh(datetime.now(UTC))
            metrics.PENDING.labels(self._config.webhook).set(self.state.incidents.pending_alerts)
            self._pulse.beat(self._health)
            self._needed = self._delivery_log.needed_from(self.state)
            if len(self._partitions(self._config.alerts)) != len(self._positions):
                raise retry.NotReady(f"the partitions of the topic {self._config.alerts} have changed")

    def _health(self) -> SignOfLife:
        return SignOfLife(
            "notifier",
            self._config.webhook,
            datetime.now(UTC),
            dead=self._sender.dead,
            pending=self.state.incidents.pending_alerts,
            oldest=self.state.incidents.oldest_pending(RANK),
            refused=self.state.incidents.refused,
            troubles=self._faults.troubles(f"webhook {self._config.webhook}", datetime.now(UTC)),
        )

    def _partitions_of_actions(self) -> list[TopicPartition]:
        """Empty where the topic cannot be read: people are notified of alerts all the same."""
        partitions = of_topic(self._consumer, self._config.actions)
        if not partitions:
            reason: Exception
            try:
                reason = missing(self._config.bootstrap, self._config.actions)
            except KafkaError as error:
                reason = error
            log.warning("operators' actions are ignored", reason=sentence(reason))
        return partitions

    def _partitions(self, topic: str) -> list[TopicPartition]:
        return required(self._consumer, self._config.bootstrap, topic)
