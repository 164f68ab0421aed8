"""The partitions that a group assigns to this process and revokes, for the thread that works on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from kafka import ConsumerRebalanceListener, KafkaConsumer, TopicPartition


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Subscribe with it as the listener, and `take` what changed after each poll.

    A listener is called during a rebalance by Kafka's own thread, which must not block, and at any time, even while
    earlier records are processed. So it only records changes. New partitions are paused until `take`.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._changes: deque[tuple[Collection[TopicPartition], bool]] = deque()

    def take(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Partitions whose work so far is void, and new ones: seek each to its start, then resume it."""
        void: set[TopicPartition] = set()
        new: set[TopicPartition] = set()
        while self._changes:
            partitions, are_new = self._changes.popleft()
            void |= set(partitions)
            new = new | set(partitions) if are_new else new - set(partitions)
        return void, new

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        for partition in assigned:
            self._consumer.seek(partition, 0)  # so that the group is not asked where to read
        self._consumer.pause(*assigned)
        self._changes.append((assigned, True))

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        self._changes.append((revoked, False))

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        self._changes.append((lost, False))
