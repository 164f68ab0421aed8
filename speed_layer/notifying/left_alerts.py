"""Alerts of newcomers for which the notifier has no room yet: they are left in Kafka, and read later.

A flood of newcomers (fleet.alerts.newcomer) may raise alerts faster than Discord takes messages. Once MOST_NEWCOMERS of
them are pending, a partition's further alerts of newcomers are left in Kafka, from the first of them on, while those of
known drones are read. A second consumer, the follower, reads what was left as soon as there is room, and stops where
the first one is.

The follower takes exactly what the first reader left: while a partition has a place from which alerts are left, the
first reader leaves all of newcomers. A clearing is taken by both, since its alert may be among those that were left.
What is left counts as not notified: there the group's offset stands. Next to it the first reader's place is noted, so
that a successor's two readers begin where those of this one were. From the offset alone it would read the alerts of
known drones since then again, and after a long flood it no longer remembers that people were notified of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kafka import TopicPartition

from fleet.notifications.incident_register import IncidentRegister
from infra.kafka import clients
from infra.kafka.address import Address
from speed_layer.notifying.lease import Committed

MOST_NEWCOMERS: Final = 20_000
"""Pending alerts of newcomers in memory: more than digests notify of in an hour if their words are long. The notifier
decides on so many within a second."""

POLL: Final = 1000
"""Alerts that were left are read in portions of this size, once half of the room is free."""


class LeftAlerts:
    """Where alerts of newcomers were left in each partition, and the consumer that reads them later."""

    def __init__(self, bootstrap: Address, topic: str, most: int = MOST_NEWCOMERS) -> None:
        self._bootstrap, self._topic, self._most = bootstrap, topic, most
        self._from: dict[int, int] = {}  # by partition the next offset to read of what was left
        self._sought: set[int] = set()  # partitions of these that the consumer reads from there on
        self._consumer: Any = None

    def __bool__(self) -> bool:
        return bool(self._from)

    def begin(self, partition: int, committed: Committed) -> int:
        """Where the first reader begins in a partition; a predecessor may have left alerts before that."""
        first = max(committed.offset, int(committed.note) if committed.note.isdecimal() else 0)
        if committed.offset < first:
            self._from[partition] = committed.offset
        return first

    def committed(self, register: IncidentRegister, positions: Mapping[int, int]) -> dict[int, Committed]:
        """What to commit by partition when the first reader's next offsets are `positions`."""
        offsets = register.notified_through({n: min(at, self._from.get(n, at)) for n, at in positions.items()})
        if not self._from:
            return {n: Committed(at) for n, at in offsets.items()}
        first = register.notified_through(positions, of_newcomers=False)
        return {n: Committed(at, str(first[n]) if n in self._from else "") for n, at in offsets.items()}

    def leaves(self, partition: int, offset: int, pending: int) -> bool:
        """Whether the first reader leaves a newcomer's alert there, when `pending` of newcomers are in memory."""
        if partition not in self._from and pending < self._most:
            return False
        self._from.setdefault(partition, offset)
        return True

    def read(self, positions: Mapping[int, int], pending: int) -> list[Any]:
        """The next records that were left, if there is room: those before `positions`, which are the next offsets of
        the first reader."""
        if not self._from or pending > self._most // 2:
            return []
        self._assign()
        records: list[Any] = []
        for partition, polled in self._consumer.poll(timeout_ms=0, max_records=POLL).items():
            number, end = partition.partition, positions[partition.partition]
            records += [record for record in polled if record.offset < end]
            self._from[number] = polled[-1].offset + 1
        self._from = {number: offset for number, offset in self._from.items() if offset < positions[number]}
        self._sought &= self._from.keys()  # what is left there later may begin anywhere
        return records

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close(autocommit=False)

    def _assign(self) -> None:
        if self._consumer is None:
            self._consumer = clients.consumer(self._bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
        if self._sought == self._from.keys():
            return
        partitions = {number: TopicPartition(self._topic, number) for number in self._from}
        self._consumer.assign(sorted(partitions.values()))
        for number, partition in partitions.items():
            self._consumer.seek(partition, self._from[number])
        self._sought = set(self._from)
