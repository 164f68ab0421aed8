"""Who may send: one notifier a webhook, chosen by a Kafka consumer group.

The members of the group subscribe to a topic; the one that has its partition 0 is active. Committing with the group's
generation proves it: the broker refuses a member that it has removed. A proof holds for less than the broker's session
time-out, so a frozen process that wakes finds its proof too old, asks, and learns that another has taken over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from kafka import ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError

from infra.kafka import clients
from infra.kafka.address import Address

SESSION_MS: Final = 6000
"""The least that a broker allows by default (group.min.session.timeout.ms). A standby waits this long for a killed
one."""

PROOF_SECONDS: Final = 4.0
"""How long a proof is trusted; with the longest request time-out of a commit still less than SESSION_MS."""

RENEW_SECONDS: Final = 1.0


class LeaseLost(Exception):
    """Another notifier is active, or this one cannot know."""


class Committed(NamedTuple):
    """An offset, and what its committer noted next to it."""

    offset: int
    note: str = ""


class Lease:
    """The membership in the group. Each proof commits how far people are notified and where a successor begins to
    read."""

    def __init__(self, bootstrap: Address, group: str, topic: str) -> None:
        self._partition = TopicPartition(topic, 0)
        self._proved_at = float("-inf")
        self._removed = False
        self._consumer = clients.consumer(
            bootstrap,
            group_id=group,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=1000,
            max_poll_interval_ms=30_000,
            enable_auto_commit=False,
            partition_assignment_strategy=[StickyPartitionAssignor],
        )
        self._consumer.subscribe([topic], listener=_Listener(self))

    def join(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds to become the active one."""
        self._consumer.poll(timeout_ms=int(timeout * 1000))
        self._removed = False
        return self._holds()

    def renew(self, offsets: Callable[[], Mapping[TopicPartition, Committed]], now: bool = False) -> bool:
        """Proves that this is still the active one, when the last proof is a second old or `now`. Returns whether it
        did.

        Raises LeaseLost.
        """
        if not now and time.monotonic() - self._proved_at < RENEW_SECONDS:
            return False
        self._consumer.poll(timeout_ms=0)  # keeps the membership; its partition is paused
        self._prove(offsets())
        return True

    def check(self) -> None:
        """Call before each send. Raises LeaseLost when the last proof is too old."""
        if not self._holds() or time.monotonic() - self._proved_at > PROOF_SECONDS:
            raise LeaseLost("the proof of being the active notifier is too old")

    def committed(self, partition: TopicPartition) -> Committed | None:
        """What this or an earlier active notifier committed."""
        found: OffsetAndMetadata | None = self._consumer.committed(partition, metadata=True)
        return Committed(found.offset, found.metadata or "") if found is not None else None

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=2000)

    def _prove(self, offsets: Mapping[TopicPartition, Committed]) -> None:
        asked_at = time.monotonic()
        committed = {partition: OffsetAndMetadata(*place, -1) for partition, place in offsets.items()}
        try:
            self._consumer.commit(committed, timeout_ms=1500)
        except RebalanceInProgressError:
            self._consumer.poll(timeout_ms=1000)  # the next call proves it, if it is still so
        except (CommitFailedError, KafkaError) as error:
            if time.monotonic() - self._proved_at > PROOF_SECONDS:
                raise LeaseLost(f"cannot prove to be the active notifier: {type(error).__name__}") from error
        else:
            self._proved_at = asked_at
        if not self._holds():
            raise LeaseLost("another notifier is active")

    def _holds(self) -> bool:
        return self._partition in self._consumer.assignment() and not self._removed


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """It may come back in the same rebalance; nobody else was active in between then."""

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:  # noqa: ARG002
        """The broker has removed this member: others may have been active since."""
        self._lease._removed = True

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        if assigned:
            self._lease._consumer.pause(*assigned)
