"""The one place where Kafka clients are made, for all rooms: with the connection's security, and with repairs of eight
defects.

kafka-python 3.0.12 has these defects:

1. A member of a group can stay out of it for ever. A leader rejoins when a topic has other partitions than those it has
   assigned. If a poll ends before that join does, and the join itself has seen the new partitions, no later poll has a
   reason to complete it. The member keeps polling without heartbeats, partitions or any message. So here a join that
   has begun is continued.
2. A client that finds no broker raises, but its network thread stays: one more at each attempt of a process that waits
   for Kafka. Here the thread ends with the attempt.
3. A broker that refuses a password or a certificate looks like one that is away: the reason is only logged, and the
   client retries until its time is up. Here the first refusal ends the attempt, and is raised as `KafkaRefused`.
4. A consumer decompresses whatever a producer has compressed, gigabytes from a batch of 1 MiB (`decompression`).
5. An idempotent producer sends nothing more after one message that the broker refuses for good (OUTLIVES_REFUSALS).
6. Records that were read from a partition before it was paused are put aside, and returned after it is resumed only
   while no other partition's records are queued. Used-up ones stay queued, so the resumed partition stands still until
   another one is paused. Here used-up ones leave the queue before each poll.
7. What a broker sends right before it closes the connection, such as why it refuses a token, is lost if both are read
   at once. Here it is read before the connection's end.
8. Closing a producer that cannot send what it keeps raises, and leaves its thread, which may send that much later. Here
   the thread ends, and gives up what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from infra.kafka.address import Address, config
from infra.kafka.decompression import POLL, PollBudget, bound
from infra.kafka.failures import KafkaRefused, refusal
from infra.kafka.security import client_settings

OUTLIVES_REFUSALS: Final = {"acks": "all", "enable_idempotence": False, "max_in_flight_requests_per_connection": 1}
"""The default settings of a producer: it continues after a message that the broker permanently refuses. With one
request at a time the order is kept, even if one is repeated; duplicates of a message have the same id or key.
"""

IDEMPOTENT: Final = {"acks": "all", "enable_idempotence": True, "max_in_flight_requests_per_connection": 5}
"""A faster producer, for a feed that ends with its first refused message: kafka-python's idempotent producer sends
nothing more after it. Nothing in the pipeline may use it."""


BOOTSTRAP_MS: Final = 10_000
"""How long a new client looks for a broker: a process that is asked to stop meanwhile must end before its supervisor
kills it, the strictest one after 20 s. kafka-python's own 30 s is longer."""

FORCED_SECONDS: Final = 5
"""How long a producer's thread may take to give up what it keeps."""


def consumer(kafka: Address, **settings: Any) -> KafkaConsumer:
    """A KafkaConsumer with these settings. Raises KafkaError: KafkaRefused if a broker refuses us."""
    return _open(_Consumer, kafka, settings)


def admin(kafka: Address, **settings: Any) -> KafkaAdminClient:
    """A KafkaAdminClient with these settings. Raises as `consumer` does."""
    return _open(KafkaAdminClient, kafka, settings)


def producer(kafka: Address, **settings: Any) -> KafkaProducer:
    """A KafkaProducer with these settings over OUTLIVES_REFUSALS. Raises as `consumer` does."""
    return _open(_Producer, kafka, OUTLIVES_REFUSALS | settings)


class _Consumer(KafkaConsumer):  # type: ignore[misc]
    """A consumer that completes the joins that it begins, and whose polls are bounded."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._budget = PollBudget()
        bound(self._fetcher, self._budget)

    def poll(self, *args: Any, **kwargs: Any) -> Any:
        self._budget.left = POLL
        if not self._fetcher._next_partition_records:
            self._fetcher._next_partition_records = None
        if self._coordinator.rebalance_in_progress():
            self._coordinator.request_rejoin()
        return super().poll(*args, **kwargs)


class _Producer(KafkaProducer):  # type: ignore[misc]
    """A producer whose `close` ends its thread. Futures of what it could not send have failed then."""

    def close(self, timeout: float | None = None, **settings: Any) -> None:
        try:
            super().close(timeout, **settings)
        except KafkaTimeoutError:
            self._sender.force_close()
            self._sender.join(FORCED_SECONDS)
            with suppress(KafkaTimeoutError):
                super().close(0, **settings)


class _Manager(KafkaConnectionManager):  # type: ignore[misc]
    """A manager that raises the refusal of its first connection."""

    refused: KafkaRefused | None = None

    def get_connection(self, node_id: Any, *args: Any, **kwargs: Any) -> Any:
        if self.refused is not None and not self.bootstrapped:
            raise self.refused
        is_new = node_id not in self._conns
        connection = super().get_connection(node_id, *args, **kwargs)
        if is_new:
            connection.init_future.add_errback(self._note)
        return connection

    async def _build_transport(self, *args: Any, **kwargs: Any) -> Any:
        transport = await super()._build_transport(*args, **kwargs)
        transport._sock_recv = partial(_last_words_first, transport._sock_recv)
        return transport

    def _note(self, error: BaseException) -> None:
        self.refused = refusal(error)


def _last_words_first(receive: Callable[[], tuple[bytes, Exception | None]]) -> tuple[bytes, Exception | None]:
    """Returns what was read before the end of a connection, which the next read finds again."""
    data, error = receive()
    return data, None if data else error


def _open(kind: Callable[..., Any], kafka: Address, settings: dict[str, Any]) -> Any:
    connections: list[KafkaNetClient] = []

    def client(**configs: Any) -> KafkaNetClient:
        net = NetworkSelector(**configs)
        connections.append(KafkaNetClient(net=net, manager=_Manager(net, **configs), **configs))
        return connections[-1]

    try:
        return kind(
            kafka_client=client, **client_settings(config(kafka)), **{"bootstrap_timeout_ms": BOOTSTRAP_MS} | settings
        )
    except BaseException:
        for connection in connections:
            connection.close()
        raise
