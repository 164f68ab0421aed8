"""`reports` to `alerts`: judges every report, even one that landing rejects. Depends on Kafka only.

The steps for each batch of a partition, in the order that loses no alert (`AlertingConfig.failpoint` is called after
each):

1. Judge each report; send its alerts.
2. Wait until the broker has all of them.
3. Write the rules' memory with the offset it is true at to `alert-state`, and wait until the broker has it.
4. Commit the group's offset. It only shows lag; no process resumes there.

A process that takes a partition over reads its memory and resumes at the memory's offset. What was judged after that is
judged again with the same memory, and raises the same alerts with the same ids, which the notifier knows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import Any, Final

import msgspec
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from structlog import get_logger

from fleet import topics
from fleet.alerts import alert as wire
from fleet.alerts.absence import Absence
from fleet.alerts.absent_drone import AbsenceRule
from fleet.alerts.alert import Alert
from fleet.alerts.pipeline_health import RecentFaults, SignOfLife
from fleet.alerts.rules import Nearest, Rules, judge, mark_newcomers, sighting
from fleet.alerts.salvage import salvaged
from fleet.errors import NewerLayout, RejectedReport
from fleet.reports import report as reports
from infra import retry
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.assignment import Assignment
from infra.kafka.failures import PERMANENT
from infra.kafka.partitions import behind
from infra.kafka.record_reading import NOT_READ
from infra.operations import LOOPS
from speed_layer.alerting import metrics
from speed_layer.alerting.alert_state import AlertState, JudgedPartition
from speed_layer.alerting.exchange import Exchange
from speed_layer.dead_mans_switch import Pulse, process_name

log = get_logger()

AWAY: Final = (retry.NotReady, KafkaError, NewerLayout, OSError)
"""Where a newer version has judged, this one waits: in a rolling upgrade the newer ones take its partitions over."""

CHECKPOINT_SECONDS: Final = 1.0
"""How much is judged again after a crash; each checkpoint costs two round trips to the broker."""


NEWS_SECONDS: Final = 1.0
"""Seconds at least between looks that are brought forward by another process's news of absent drones."""

PRODUCER: Final = {"linger_ms": 0, "compression_type": "lz4"}


@dataclass(frozen=True)
class AlertingConfig:
    bootstrap: Address
    rules: Rules
    nearest: Nearest = lambda _latitude, _longitude: None
    group: str = "peacewatch-alerting"
    reports: str = topics.REPORTS
    alerts: str = topics.ALERTS
    state: str = topics.ALERT_STATE
    failpoint: Callable[[str], None] = lambda _step: None


def run(config: AlertingConfig, stop: Event) -> None:
    """Judges reports until `stop` is set. Kafka may come and go."""
    switched = {name: getattr(config.rules, name) is not None for name in config.rules.__struct_fields__}
    log.info("rules", on=[name for name in switched if switched[name]], off=[n for n in switched if not switched[n]])

    def session() -> None:
        with closing(AlertingSession(config)) as active:
            active.run(stop)

    retry.run(session, stop, "alerting", away=AWAY)


class AlertingSession:
    """One membership in the group, until Kafka fails."""

    def __init__(self, config: AlertingConfig) -> None:
        self._config = config
        self._partitions: dict[TopicPartition, JudgedPartition] = {}
        self._saved_at = self._swept_at = time.monotonic()
        self._has_news = False  # of other alerting processes: look for absent drones soon
        self._faults = RecentFaults()
        self._misplaced = 0
        self._sent: list[tuple[Alert, Any]] = []
        self._absence = Absence()
        self._troubles: dict[str, str] = {}
        with ExitStack() as opened:  # a failure leaves no client open
            self._producer = clients.producer(config.bootstrap, **PRODUCER)
            opened.callback(self._producer.close, timeout=5)
            self._state = AlertState(config.bootstrap, config.state, config.reports, self._producer)
            self._others = Exchange(config.bootstrap, config.state, self._state.source_id, self._producer)
            opened.callback(self._others.close)
            self._pulse = Pulse(config.bootstrap, config.state)
            opened.callback(self._pulse.close)
            self._consumer = clients.consumer(
                config.bootstrap,
                group_id=config.group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                fetch_min_bytes=1,
                max_poll_records=5000,
                max_partition_fetch_bytes=4 * 1024 * 1024,
                session_timeout_ms=10_000,
            )
            opened.callback(self._consumer.close, autocommit=False, timeout_ms=3000)
            self._assignment = Assignment(self._consumer)
            self._consumer.subscribe([config.reports], listener=self._assignment)
            self.close = opened.pop_all().close

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            LOOPS.beat()
            for partition, records in self._consumer.poll(timeout_ms=500).items():
                self._judge(partition, records)
            self._rebalance()
            self._hear_others()
            self._sweep()
            self._pulse.beat(self._health)
            if time.monotonic() - self._saved_at >= CHECKPOINT_SECONDS:
                self.checkpoint()
        self.checkpoint()

    def checkpoint(self) -> None:
        """Steps 2 to 4. Raises KafkaError; the session then ends, and nothing is lost."""
        self._saved_at = time.monotonic()
        changed = {p: state for p, state in self._partitions.items() if state.is_changed}
        if not changed and not self._sent:
            return
        began = self._saved_at
        self._config.failpoint("1")
        for alert, sent in self._sent:
            try:
                sent.get(timeout=60)
            except PERMANENT as error:
                log.error("an alert is refused for good", alert_id=alert.alert_id, reason=error)  # noqa: TRY400
                says = f"Kafka refuses an alert in every attempt ({type(error).__name__}). The log names it."
                self._report("alerting refused", says)  # no word of a drone: operators read it in Discord
        self._sent.clear()
        self._config.failpoint("2")
        crowd = self._absence.crowd.size, self._absence.crowd.name
        refused = self._state.save({p.partition: state for p, state in changed.items()}, crowd)
        self._contain(changed, refused)
        self._config.failpoint("3")
        offsets = {p: OffsetAndMetadata(s.offset, "", -1) for p, s in changed.items() if p.partition not in refused}
        try:
            self._consumer.commit(offsets, timeout_ms=5000)
        except (CommitFailedError, RebalanceInProgressError) as error:
            log.info("the group's offset is not committed; it only shows lag", reason=error)
        self._config.failpoint("4")
        metrics.CHECKPOINT_SECONDS.observe(time.monotonic() - began)
        metrics.UNJUDGED.set(sum(behind(self._consumer, at, state.offset) for at, state in self._partitions.items()))

    def _contain(self, changed: Iterable[TopicPartition], refused: Mapping[int, KafkaError]) -> None:
        """A partition whose memory Kafka refuses still raises alerts; its offset stays, and operators are notified."""
        for partition in changed:
            key = f"alerting partition {partition.partition}"
            if partition.partition in refused:
                says = "cannot be saved, its alerts come again after a restart"
                self._report(key, f"Partition {partition.partition} {says}: {refused[partition.partition]}")
            else:
                self._troubles.pop(key, None)

    def _report(self, key: str, sentence: str) -> None:
        """Notifies operators of it, until it is over or the process ends."""
        if self._troubles.get(key) != sentence:
            log.error(sentence)
        self._troubles[key] = sentence

    def _rebalance(self) -> None:
        """Drops partitions that moved away: the next process judges again what came after their last checkpoint."""
        void, new = self._assignment.take()
        for partition in void:
            self._partitions.pop(partition, None)
            self._absence.leave(partition.partition)
            self._troubles.pop(f"alerting partition {partition.partition}", None)
        if new:
            self._take_over(new)

    def _take_over(self, new: set[TopicPartition]) -> None:
        """The memory of new partitions, and the offset it is true at."""
        loaded = self._state.load([partition.partition for partition in new], self._absence)
        for partition in new:
            state = self._partitions[partition] = loaded[partition.partition]
            if state.offset > 0:
                self._consumer.seek(partition, state.offset)
            else:
                self._consumer.seek_to_beginning(partition)
            self._consumer.resume(partition)
        log.info("judging", partitions={p.partition: self._partitions[p].offset for p in new})

    def _judge(self, partition: TopicPartition, records: list[Any]) -> None:
        state = self._partitions[partition]
        for record in records:
            try:
                self._send(self._alerts(state, record), f"{record.topic}/{record.partition}/{record.offset}")
            except KafkaError:
                raise
            except Exception as error:  # a message on which a rule fails must not end the process again and again
                log.exception("message not judged", partition=record.partition, offset=record.offset)
                at = f"{record.topic}, partition {record.partition}, offset {record.offset}"
                self._report("alerting not judged", f"A message could not be judged ({at}): {type(error).__name__}")
        state.advance(records[-1].offset + 1)
        metrics.JUDGED.inc(len(records))

    def _send(self, alerts: Iterable[Alert], source: str = "") -> None:
        for raised in alerts:
            alert = msgspec.structs.replace(raised, source=source) if source else raised
            log.info("alert raised", source=source, alert_id=alert.alert_id, kind=alert.kind, clears=alert.clears)
            future = self._producer.send(self._config.alerts, wire.encode(alert), key=alert.incident_key.encode())
            self._sent.append((alert, future))
            metrics.RAISED.labels(alert.kind).inc()
            metrics.LATENCY.observe(max(0.0, (datetime.now(UTC) - alert.received_at).total_seconds()))

    def _health(self) -> SignOfLife:
        now = datetime.now(UTC)
        found = self._faults.troubles("alerting", now)
        return SignOfLife("alerting", process_name(), now, troubles={**self._troubles, **found})

    def _hear_others(self) -> None:
        """Reads other processes' shares of absent drones, if they judge some of the partitions."""
        own = {partition.partition for partition in self._partitions}
        everything = self._consumer.partitions_for_topic(self._config.reports) or set()
        if self._config.rules.silent is None or not own or own >= everything:
            self._others.close()
        elif self._others.read(self._absence.elsewhere, own, datetime.now(UTC)):
            self._has_news = True

    def _sweep(self) -> None:
        """Looks for absent drones. While reports wait to be judged, their own time counts, not the clock's."""
        rule = self._config.rules.silent or AbsenceRule()
        since = time.monotonic() - self._swept_at
        is_due = since >= rule.look_every.total_seconds() or (self._has_news and since >= NEWS_SECONDS)
        if not is_due and not self._absence.is_behind:
            return
        self._swept_at, self._has_news = time.monotonic(), False
        times: dict[int, datetime] = {}
        for partition, state in self._partitions.items():
            end = self._consumer.highwater(partition)
            caught_up = end is not None and state.offset >= end
            now = datetime.now(UTC) if caught_up else state.memory.presence.heard_at
            if now is not None:
                times[partition.partition] = now
        if self._config.rules.silent is None:
            self._absence.forget_old(times)
            return
        alerts = self._absence.sweep(rule, times, self._config.nearest)
        self._send(alert for _, alert in alerts)
        if self._others.is_open:
            now = datetime.now(UTC)
            self._others.say(self._absence.share(rule, number, now) for number in self._absence.partitions)
        if self._absence.misplaced > self._misplaced:
            self._faults.add("misplaced", datetime.now(UTC), f"{self._absence.misplaced} since this process began")
            self._misplaced = self._absence.misplaced
        for state in self._partitions.values():
            presence = state.memory.presence
            state.is_changed = state.is_changed or bool(alerts or presence.changed_drones)
            if presence.dropped:
                self._report(
                    "alerting room", f"Too many drones: {presence.dropped} drones that reported once were forgotten."
                )

    def _alerts(self, state: JudgedPartition, record: Any) -> list[Alert]:
        received_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        try:
            report = reports.parse(record.value)
        except RejectedReport:
            if (record.value or b"").startswith(NOT_READ):
                at = f"partition {record.partition}, offset {record.offset}"
                self._faults.add("unreadable", datetime.now(UTC), f"the last one is at {at}")
            place = (self._state.source_id, record.partition, record.offset)
            alerts = salvaged(record.value, place, received_at, self._config.nearest)
            return mark_newcomers(state.memory, alerts, received_at)
        return judge(self._config.rules, state.memory, sighting(report, received_at, self._config.nearest))
