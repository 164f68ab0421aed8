"""What our Kafka clients mend of kafka-python, on a real broker."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import closing

import pytest
from kafka.errors import KafkaError

from infra.kafka import clients
from laptop import ports
from tests.support.landing import wait_for


def test_a_join_that_outlasts_its_poll_is_ended(kafka: str, topic: Callable[..., str]) -> None:
    name = topic("reports")
    member = clients.consumer(kafka, group_id=f"group-{uuid.uuid4().hex}")
    with closing(member):
        member.subscribe([name])
        wait_for(lambda: member.poll(timeout_ms=200) is not None and bool(member.assignment()), what="the first join")
        coordinator = member._coordinator
        # As when the partitions known have changed since the leader shared them out, and the join takes note of them.
        coordinator._assignment_snapshot = {}
        member.poll(timeout_ms=0)
        coordinator._assignment_snapshot = coordinator._metadata_snapshot
        assert coordinator.rebalance_in_progress()
        wait_for(lambda: member.poll(timeout_ms=200) is not None and coordinator.stable(), what="the second join")
        assert member.assignment()


@pytest.mark.parametrize("make", [clients.consumer, clients.admin])
def test_no_thread_stays_where_there_is_no_broker(make: Callable[..., object]) -> None:
    before = threading.active_count()
    with pytest.raises(KafkaError):
        make(f"127.0.0.1:{ports.free_port()}", bootstrap_timeout_ms=200)
    assert threading.active_count() == before
