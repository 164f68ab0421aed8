"""Sends operators' actions to the topic `operator-actions`, from which the notifier applies them within seconds."""

from __future__ import annotations

import threading
from typing import Any, Final

from kafka.errors import KafkaError

from fleet import topics
from fleet.errors import ServiceUnavailable
from fleet.notifications import actions
from fleet.notifications.actions import Action
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import refusal

ACKNOWLEDGED_SECONDS: Final = 5.0
"""Seconds after which an operator learns that Kafka is away."""


class Desk:
    """Sends actions. Connects when the first is sent, since most servers never send one."""

    def __init__(
        self,
        bootstrap: Address | None,
        topic: str = topics.OPERATOR_ACTIONS,
        acknowledged_seconds: float = ACKNOWLEDGED_SECONDS,
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._seconds = acknowledged_seconds
        self._producer: Any = None
        self._lock = threading.Lock()

    def send(self, action: Action) -> None:
        """Returns when the broker has acknowledged it. Raises ServiceUnavailable when it does not in time."""
        try:
            sent = self._connected().send(
                self._topic, key=action.target.incident_id.encode(), value=actions.encode(action)
            )
            sent.get(timeout=self._seconds)
        except KafkaError as error:
            self.close()
            reason = refusal(error) or "Kafka has not acknowledged the action; it may still arrive"
            raise ServiceUnavailable(str(reason)) from error

    def close(self) -> None:
        with self._lock:
            if self._producer is not None:
                self._producer.close(timeout=1)
                self._producer = None

    def _connected(self) -> Any:
        with self._lock:
            if self._producer is None:
                if self._bootstrap is None:
                    raise ServiceUnavailable("this server was started without a Kafka to send actions to")
                self._producer = clients.producer(
                    self._bootstrap,
                    linger_ms=0,
                    bootstrap_timeout_ms=int(self._seconds * 1000),
                    max_block_ms=int(self._seconds * 1000),
                    delivery_timeout_ms=int(self._seconds * 1000),
                    request_timeout_ms=int(self._seconds * 1000) - 1000,
                )
            return self._producer
