"""Whether a process without a port is at work: it is a member of its group of consumers."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

from kafka import KafkaAdminClient
from kafka.errors import KafkaError


def joined(bootstrap: str, group: str, _since: datetime) -> bool:
    """Whether `group` is settled and a member of it has partitions.

    For some seconds a member that was killed still counts: Kafka has not missed it yet.
    """
    try:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap.split(","), request_timeout_ms=5000)) as admin:
            told = admin.describe_groups([group])[group]
    except KafkaError:
        return False
    # While the group settles, an assignment is an empty text.
    assignments = [member["member_assignment"] for member in told["members"]]
    return bool(told["group_state"] == "Stable" and any(one and one["assigned_partitions"] for one in assignments))
