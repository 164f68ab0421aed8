"""`reports` to `alerts`: every report is judged, whatever else happens to it. Depends on Kafka alone.

The order that swallows no alert, for each batch of a partition (`AlertingConfig.at_step` names the steps to tests):

1. Judge each report; send its alerts.
2. Wait until the broker has all of them.
3. Write the rules' memory with the offset it is true at to `alert-state`, and wait until the broker has it.
4. Commit the group's offset. It is a hint for lag; nobody resumes there.

A process that takes a partition over reads its memory and resumes at the memory's offset. What was judged after that is
judged again with the same memory, and raises the same alerts with the same ids, which the notifier knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, RebalanceInProgressError
from structlog import get_logger

from fleet import alert as wire
from fleet import report as reports
from fleet import topics
from fleet.alert import Alert
from fleet.errors import RejectedReport
from fleet.health import Health
from fleet.rules import Nearest, Rules, Sighting, Unrest, judge
from fleet.salvage import says_alert, unverified
from speed_layer import forever, kafka_clients
from speed_layer.alert_state import AlertState, Partition
from speed_layer.health import Pulse, process_name

log = get_logger()

CHECKPOINT_SECONDS: Final = 1.0
"""How much is judged again after a crash; each checkpoint costs two round trips to the broker."""


@dataclass(frozen=True)
class AlertingConfig:
    bootstrap: str
    rules: Rules = field(default_factory=lambda: Rules(unrest=Unrest()))
    nearest: Nearest = lambda _latitude, _longitude: None
    group: str = "peacewatch-alerting"
    reports: str = topics.REPORTS
    alerts: str = topics.ALERTS
    state: str = topics.ALERT_STATE
    at_step: Callable[[str], None] = lambda _step: None


def run(config: AlertingConfig, stop: Event) -> None:
    """Until `stop` is set. Kafka may come and go."""

    def session() -> None:
        with closing(Session(config)) as active:
            active.run(stop)

    forever.run(session, stop, "alerting")


class Session:
    """One membership in the group, until Kafka fails."""

    def __init__(self, config: AlertingConfig) -> None:
        self._config = config
        servers = config.bootstrap.split(",")
        self._producer = KafkaProducer(bootstrap_servers=servers, linger_ms=0, acks="all", compression_type="lz4")
        self._state = AlertState(config.bootstrap, config.state, config.reports, self._producer)
        self._consumer = kafka_clients.consumer(
            bootstrap_servers=servers,
            group_id=config.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_min_bytes=1,
            max_poll_records=5000,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            session_timeout_ms=10_000,
        )
        self._pulse = Pulse(config.bootstrap, config.state)
        self._partitions: dict[TopicPartition, Partition] = {}
        self._new: set[TopicPartition] = set()
        self._saved_at = self._swept_at = time.monotonic()
        self._sent: list[Any] = []
        self._consumer.subscribe([config.reports], listener=_Listener(self))

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            for partition, records in self._consumer.poll(timeout_ms=500).items():
                self._judge(partition, records)
            if self._new:
                self._take_over()
            self._sweep()
            self._pulse.beat(self._health)
            if time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
                self.checkpoint()
        self.checkpoint()

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=3000)
        self._producer.close(timeout=5)
        self._pulse.close()

    def checkpoint(self) -> None:
        """Steps 2 to 4. Raises KafkaError; the session then ends, and nothing is lost."""
        self._saved_at = time.monotonic()
        changed = {p: state for p, state in self._partitions.items() if state.is_changed}
        if not changed and not self._sent:
            return
        self._config.at_step("1")
        for sent in self._sent:
            sent.get(timeout=60)
        self._sent.clear()
        self._config.at_step("2")
        self._state.save({p.partition: state for p, state in changed.items()})
        self._config.at_step("3")
        try:
            self._consumer.commit(
                {p: OffsetAndMetadata(state.offset, "", -1) for p, state in changed.items()}, timeout_ms=5000
            )
        except (CommitFailedError, RebalanceInProgressError) as error:
            log.info("the group's offset is not committed, a hint only", reason=error)
        self._config.at_step("4")

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Called amid a rebalance, where nothing may block: their memory is read before the next batch."""
        self._new.update(partitions)
        self._consumer.pause(*partitions)

    def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """What was judged since the last checkpoint, the next process judges again."""
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._new.discard(partition)

    def _take_over(self) -> None:
        """The memory of new partitions, and the offset it is true at."""
        found = self._state.load([partition.partition for partition in self._new])
        for partition in self._new:
            state = self._partitions[partition] = found[partition.partition]
            if state.offset > 0:
                self._consumer.seek(partition, state.offset)
            else:
                self._consumer.seek_to_beginning(partition)
            self._consumer.resume(partition)
        log.info("judges", partitions={p.partition: self._partitions[p].offset for p in self._new})
        self._new.clear()

    def _judge(self, partition: TopicPartition, records: list[Any]) -> None:
        state = self._partitions[partition]
        for record in records:
            self._send(self._alerts(state, record))
        state.advance(records[-1].offset + 1)

    def _send(self, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            future = self._producer.send(self._config.alerts, wire.encode(alert), key=alert.incident_key.encode())
            self._sent.append(future)

    def _health(self) -> Health:
        return Health("alerting", process_name(), datetime.now(UTC))

    def _sweep(self) -> None:
        """Looks for silent drones. Where reports wait to be judged, their own time counts, not the clock's."""
        rule = self._config.rules.silent
        if rule is None or time.monotonic() - self._swept_at < rule.interval / 4:
            return
        self._swept_at = time.monotonic()
        for partition, state in self._partitions.items():
            end = self._consumer.highwater(partition)
            caught_up = end is not None and state.offset >= end
            now = datetime.now(UTC) if caught_up else state.memory.silence.heard_at
            if now is not None:
                alerts = state.memory.silence.sweep(rule, now)
                self._send(alerts)
                state.is_changed = state.is_changed or bool(alerts)

    def _alerts(self, state: Partition, record: Any) -> list[Alert]:
        received_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        try:
            report = reports.decode(record.value, received_at)
        except RejectedReport:
            if not says_alert(record.value):
                return []
            return [unverified(record.value, f"{record.topic}-{record.partition}-{record.offset}", received_at)]
        return judge(self._config.rules, state.memory, Sighting(report, received_at, self._config.nearest))


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, session: Session) -> None:
        self._session = session

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._session.assigned(assigned)

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._session.revoked(revoked)

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._session.revoked(lost)
