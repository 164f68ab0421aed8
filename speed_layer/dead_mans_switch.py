"""Signs of life on `alert-state`, and the dead-man's switch, which notifies operators when they are missing.

The switch runs in a separate process, so that it outlives what it watches. It uses the operators' webhook, the log
and the metrics; none of it is part of the alert pipeline. It judges each partition of a consumer by itself, and reports
a recovery only when nothing is wrong any more.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import KafkaError, KafkaTimeoutError
from msgspec import MsgspecError
from prometheus_client import Gauge
from structlog import get_logger

from fleet import topics
from fleet.alerts import pipeline_health as signs
from fleet.alerts.pipeline_health import Passed, Patience, SignOfLife, Stuck
from fleet.errors import NewerLayout
from fleet.notifications.message import Embed
from infra import retry
from infra.discord import DiscordError, DiscordRefused
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import sentence
from infra.kafka.partitions import of_topic, required
from infra.operations import LOOPS
from speed_layer.notifying.discord.webhook import Webhook

log = get_logger()

EVERY_SECONDS: Final = 5.0
LOOK_BACK: Final = timedelta(minutes=2)
"""How far a single look reads back. The rules' memory is in the same topic: 50 MB in that time at 540,000 drones."""

LONGEST_PAUSE: Final = 300.0
"""Seconds between attempts to reach the operators: invalid answers count towards Discord's ban."""

LOOK_SECONDS: Final = 30.0
"""Seconds after which a single look ends: a client that has lost its broker reads nothing and raises nothing."""

PREFIX: Final = b"health/"

TROUBLES = Gauge("peacewatch_alert_path_troubles", "Problems of the alert pipeline, 1 for each", ["trouble"])
PENDING = Gauge("peacewatch_alerts_untold", "Alerts that nobody was notified of yet", ["webhook"])
OLDEST = Gauge(
    "peacewatch_alerts_oldest_untold_seconds", "Age of the oldest alert that nobody was notified of", ["webhook"]
)
DEAD = Gauge("peacewatch_webhook_dead", "1 while Discord accepts nothing from a webhook", ["webhook"])
LAG = Gauge("peacewatch_consumer_lag", "Messages that a consumer group has not read", ["group"])


def process_name() -> str:
    """One name for each process of a part."""
    return f"{socket.gethostname()}-{os.getpid()}"


class Pulse:
    """Sends a sign of life every EVERY_SECONDS, with a producer of its own: where the topic is missing, nothing
    waits."""

    def __init__(self, bootstrap: Address, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic, self._clock = topic, clock
        self._producer = clients.producer(bootstrap, max_block_ms=100)
        self._said_at = float("-inf")
        self._last: Any = None

    def beat(self, health: Callable[[], SignOfLife]) -> None:
        """Call often. Never raises."""
        if self._clock() - self._said_at < EVERY_SECONDS:
            return
        self._said_at = self._clock()
        now = health()
        key = PREFIX + f"{now.part}/{now.name}".encode()
        if self._last is not None and self._last.failed():
            log.warning("no sign of life could be given", reason=sentence(self._last.exception))
        try:
            self._last = self._producer.send(self._topic, signs.encode(now), key=key)
        except KafkaError as error:
            log.warning("no sign of life could be given", reason=sentence(error))

    def close(self) -> None:
        self._producer.close(timeout=1)


@dataclass(frozen=True)
class WatchConfig:
    """`operators` gives the URL of the operators' webhook, None if there is none."""

    bootstrap: Address
    operators: Callable[[], str | None] = lambda: None
    state: str = topics.ALERT_STATE
    groups: dict[str, str] = field(
        default_factory=lambda: {
            "peacewatch-alerting": topics.REPORTS,
            "peacewatch-notifier-alerts": topics.ALERTS,
            "peacewatch-notifier-severe": topics.ALERTS,
        }
    )
    optional: frozenset[str] = frozenset({"peacewatch-notifier-severe"})  # groups that need not exist
    patience: Patience = field(default_factory=Patience)
    connect: Callable[[str], Webhook] = Webhook


class Switch:
    """What is wrong now, and what operators were notified of."""

    def __init__(self, config: WatchConfig, since: datetime) -> None:
        self._config, self._since = config, since
        self._notified: dict[str, str] = {}
        self._stuck = Stuck()
        self._backoff = retry.Backoff(EVERY_SECONDS, LONGEST_PAUSE)
        self._not_before = since
        self.said: dict[str, SignOfLife] = {}
        self.troubles: dict[str, str] = {}

    def look(self, passed: Passed | None, now: datetime) -> None:
        """Notifies the operators of what has changed since the last look. `passed` is None if Kafka does not say."""
        self.said = {key: one for key, one in self.said.items() if now - one.at < self._config.patience.forgotten}
        troubles = dict(signs.troubles(self.said.values(), now, self._config.patience, self._since))
        troubles |= dict(self._stuck.look(passed, now, self._config.patience))
        for key in troubles.keys() - self.troubles.keys():
            log.error("trouble in the alert pipeline", trouble=key, says=troubles[key])
        for key in self.troubles.keys() - troubles.keys():
            log.info("trouble in the alert pipeline is over", trouble=key)
        self.troubles = troubles
        self._measure(troubles, passed or {}, now)
        if troubles.keys() != self._notified.keys() and now >= self._not_before:
            self._notify(troubles, now)

    def _notify(self, troubles: dict[str, str], now: datetime) -> None:
        url = self._config.operators()
        if url is not None:
            try:
                with closing(self._config.connect(url)) as webhook:
                    self._post(webhook, troubles, now)
            except DiscordError as error:
                self._not_before = now + timedelta(seconds=max(self._backoff.fail(), error.retry_after or 0.0))
                log.warning("the operators cannot be notified yet", reason=error)
                return
        self._backoff.succeed()
        self._notified = troubles

    def _post(self, webhook: Webhook, troubles: dict[str, str], now: datetime) -> None:
        """Posts the sentences; where Discord refuses them, the keys only; where it refuses these, the log has them."""
        begun = [text for key, text in troubles.items() if key not in self._notified]
        over = [f"Over: {key}." for key in self._notified if key not in troubles]
        lasting = [f"Still so: {key}." for key in troubles if key in self._notified]
        try:
            webhook.post([_embed([*begun, *over, *lasting], now, begun=bool(begun), lasts=bool(troubles))])
        except DiscordRefused as error:
            log.warning("Discord refuses a message for the operators", reason=error)
            keys = [f"{len(troubles)} troubles. The log of peacewatch record names them."]
            try:
                webhook.post([_embed(keys, now, begun=bool(begun), lasts=bool(troubles))])
            except DiscordRefused as again:
                log.warning("Discord refuses every message for the operators", reason=again)

    def _measure(self, troubles: dict[str, str], passed: Passed, now: datetime) -> None:
        TROUBLES.clear()
        for key in troubles:
            TROUBLES.labels(key).set(1)
        for one in self.said.values():
            if one.part == "notifier":
                PENDING.labels(one.name).set(one.pending)
                OLDEST.labels(one.name).set((now - one.oldest).total_seconds() if one.oldest else 0)
                DEAD.labels(one.name).set(bool(one.dead))
        for group, partitions in passed.items():
            LAG.labels(group).set(sum(lag for _, lag in partitions.values()))


def _embed(lines: list[str], now: datetime, *, begun: bool, lasts: bool) -> Embed:
    title = "Trouble in the alert pipeline" if begun else "Alert pipeline recovered"
    title = "Alert pipeline: not all trouble is over" if lasts and not begun else title
    return Embed(title, "\n".join(lines)[:2000], 0xD92D20 if lasts else 0x12B76A, now)


def watch(config: WatchConfig, stop: Event) -> None:
    """The dead-man's switch, until `stop` is set.

    A Kafka that is away, or has no topic of the signs yet, is a trouble, too: then no sign comes.
    """
    switch = Switch(config, datetime.now(UTC))

    def session() -> None:
        pulse = Pulse(config.bootstrap, config.state)
        admin = clients.admin(config.bootstrap)
        with closing(pulse), closing(_consumer(config.bootstrap, config.state)) as consumer, closing(admin):
            consumer.seek_to_beginning(*required(consumer, config.bootstrap, config.state))
            while not stop.is_set():
                LOOPS.beat()
                switch.said |= dict(_read(consumer))
                switch.look(_passed(config, consumer, admin), datetime.now(UTC))
                pulse.beat(lambda: SignOfLife("watch", process_name(), datetime.now(UTC), troubles=switch.troubles))
                stop.wait(EVERY_SECONDS)

    def away(error: Exception) -> None:
        log.warning("the dead-man's switch reads no signs of life", reason=error)
        switch.look(None, datetime.now(UTC))

    retry.run(session, stop, "the dead-man's switch", failed=away)


def known(bootstrap: Address, state: str = topics.ALERT_STATE, patience: Patience | None = None) -> dict[str, str]:
    """What is wrong with the alert pipeline now, a sentence by its key, by the signs of the last LOOK_BACK.

    Raises KafkaError if Kafka does not answer.
    """
    since = datetime.now(UTC) - LOOK_BACK
    with closing(_consumer(bootstrap, state)) as consumer:
        latest = signs_since(since, consumer)
    return signs.known(latest.values(), datetime.now(UTC), patience or Patience(), since)


def signs_since(since: datetime, consumer: KafkaConsumer, seconds: float = LOOK_SECONDS) -> dict[str, SignOfLife]:
    """The latest sign of each process, by its key. Raises KafkaTimeoutError when it takes longer than `seconds`."""
    asked = dict.fromkeys(consumer.assignment(), int(since.timestamp() * 1000))
    for partition, first in consumer.offsets_for_times(asked).items():
        if first:
            consumer.seek(partition, first.offset)
        else:
            consumer.seek_to_end(partition)
    ends = consumer.end_offsets(list(asked))
    latest: dict[str, SignOfLife] = {}
    until = time.monotonic() + seconds
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        if time.monotonic() > until:
            raise KafkaTimeoutError("the signs of life cannot be read to their end")
        latest |= dict(_read(consumer))
    return latest


def _consumer(bootstrap: Address, topic: str) -> KafkaConsumer:
    consumer = clients.consumer(bootstrap, enable_auto_commit=False)
    consumer.assign(of_topic(consumer, topic))
    return consumer


def _read(consumer: KafkaConsumer) -> Iterator[tuple[str, SignOfLife]]:
    while True:
        batches = consumer.poll(timeout_ms=200)
        if not batches:
            return
        for record in (record for records in batches.values() for record in records):
            if (record.key or b"").startswith(PREFIX) and record.value:
                try:
                    yield record.key.decode(), signs.decode(record.value)
                except (MsgspecError, NewerLayout, UnicodeDecodeError) as error:
                    log.warning("a sign of life that cannot be read", reason=error)


def _passed(config: WatchConfig, consumer: KafkaConsumer, admin: KafkaAdminClient) -> Passed:
    """For a partition without a committed offset, the group reads from its beginning."""
    passed = {}
    for group, topic in config.groups.items():
        committed = admin.list_group_offsets(group)[group]
        offsets = {at: position.offset for at, position in committed.items() if at.topic == topic}
        if not offsets and group in config.optional:
            continue
        partitions = of_topic(consumer, topic)
        if partitions:
            starts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
            next_ = {at: max(starts[at], offsets.get(at, 0)) for at in partitions}
            passed[group] = {at.partition: (next_[at], max(0, ends[at] - next_[at])) for at in partitions}
    return passed
