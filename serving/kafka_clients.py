"""Kafka clients of kafka-python 3.0.12 that leave nothing behind where there is no broker (docs/design.md, 26)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kafka.net.compat import KafkaNetClient


def made(kind: Callable[..., Any], **settings: Any) -> Any:
    """`kind(**settings)`, a consumer or a producer. Raises KafkaError without a broker, and its thread ends, too."""
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
