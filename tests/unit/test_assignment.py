"""What a group gives and takes reaches the thread that works when it asks, whenever Kafka's own thread learns of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kafka import TopicPartition

from infra.kafka.assignment import Assignment

ONE, TWO, THREE = (TopicPartition("reports", number) for number in range(3))


class Consumer:
    """Stands for KafkaConsumer, and notes the calls."""

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.positions[partition] = offset

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused.update(partitions)


def by_another_thread(call: Callable[..., None], *partitions: TopicPartition) -> None:
    thread = threading.Thread(target=call, args=(partitions,))
    thread.start()
    thread.join()


def test_new_partitions_wait_until_they_are_taken() -> None:
    consumer = Consumer()
    assignment = Assignment(consumer)
    by_another_thread(assignment.on_partitions_assigned, ONE, TWO)
    assert consumer.paused == {ONE, TWO}  # nothing of them is polled before somebody says from where
    assert consumer.positions == {ONE: 0, TWO: 0}
    assert assignment.take() == ({ONE, TWO}, {ONE, TWO})
    assert assignment.take() == (set(), set())


def test_last_of_several_changes_counts_and_voids_the_work_so_far() -> None:
    assignment = Assignment(Consumer())
    assignment.on_partitions_assigned([ONE, TWO])
    assignment.take()
    assignment.on_partitions_revoked([ONE, TWO])
    assignment.on_partitions_assigned([TWO, THREE])  # one went, one came back, one is new
    assert assignment.take() == ({ONE, TWO, THREE}, {TWO, THREE})
    assignment.on_partitions_lost([TWO])
    assert assignment.take() == ({TWO}, set())
