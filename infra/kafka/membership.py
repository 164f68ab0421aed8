"""Whether a process without a port is ready: it has joined its consumer group."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import Any

from kafka.errors import KafkaError

from infra.kafka import clients
from infra.kafka.address import Address


class Joining:
    """Observes one new member of `group`. Call `before_start`, start the process, then ask `ready`.

    Kafka notices a killed member only after some seconds, so earlier members do not count.
    """

    def __init__(self, bootstrap: Address, group: str) -> None:
        self._kafka = bootstrap
        self._group = group
        self._others: set[str] = set()

    def before_start(self) -> None:
        self._others = {member["member_id"] for member in self._described().get("members", ())}

    def ready(self, _since: datetime) -> bool:
        """Whether the group is settled, and a new member of it has partitions."""
        described = self._described()
        new = [member for member in described.get("members", ()) if member["member_id"] not in self._others]
        # While the group settles, an assignment is an empty text.
        assigned = [member["member_assignment"] for member in new if member["member_assignment"]]
        return described.get("group_state") == "Stable" and any(member["assigned_partitions"] for member in assigned)

    def _described(self) -> dict[str, Any]:
        try:
            with closing(clients.admin(self._kafka, request_timeout_ms=5000)) as admin:
                described: dict[str, Any] = admin.describe_groups([self._group])[self._group]
                return described
        except KafkaError:
            return {}
