"""Consumers and admin clients that kafka-python 3.0.12 makes, without two of its defects.

A member of a group can be left out of it for ever. A leader rejoins when a topic has other partitions than it shared
out; where a poll ends before that join does, and the join itself takes note of the new partitions, no later poll has a
reason to end it. The member polls on, beats no more, is given nothing, and says nothing. So here a join that has begun
is a reason to go on with it.

A client that finds no broker raises, and its network thread stays: one more at each attempt of a process that waits for
Kafka. Here it ends with the attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.net.compat import KafkaNetClient


def consumer(**settings: Any) -> KafkaConsumer:
    """KafkaConsumer(**settings). Raises KafkaError where there is no broker."""
    return _made(Consumer, settings)


def admin(**settings: Any) -> KafkaAdminClient:
    """KafkaAdminClient(**settings). Raises KafkaError where there is no broker."""
    return _made(KafkaAdminClient, settings)


def producer(**settings: Any) -> KafkaProducer:
    """KafkaProducer(**settings). Raises KafkaError where there is no broker."""
    return _made(KafkaProducer, settings)


class Consumer(KafkaConsumer):  # type: ignore[misc]
    """One that ends the joins that it begins."""

    def poll(self, *args: Any, **kwargs: Any) -> Any:
        if self._coordinator.rebalance_in_progress():
            self._coordinator.request_rejoin()
        return super().poll(*args, **kwargs)


def _made(kind: Callable[..., Any], settings: dict[str, Any]) -> Any:
    clients: list[KafkaNetClient] = []

    def client(**configs: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**configs))
        return clients[-1]

    try:
        return kind(kafka_client=client, **settings)
    except BaseException:
        for each in clients:
            each.close()
        raise
