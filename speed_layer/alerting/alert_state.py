"""The compacted topic `alert-state`: what the rules remember of each partition of `reports`, and at which offset.

Kinds of keys, each below `alerting/<topic id>/<partition>`, so that no message grows with what drones send:

- the partition itself: its offset, and the crowd;
- `/drone/<drone>`: a drone whose battery is low, or that is absent; without a value when neither is true;
- `/spoke/<bucket>` and `/spoke/<bucket>/<part>`: when each drone last reported, and its clock, in parts of
  at most PART bytes.

Where several processes judge, each also writes `/share` for its partitions (`exchange.py`); nothing is restored from
it.

All but the shares are written before the partition's own message, so they are true at its offset. A bucket is written
only now and then; one that is newer than the offset does no harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from structlog import get_logger

from fleet import identity, wire
from fleet.alerts.absence import Absence
from fleet.alerts.elsewhere import Elsewhere
from fleet.alerts.newcomer import Newcomer
from fleet.alerts.presence import BUCKETS
from fleet.alerts.rules import Low, Memory
from fleet.bins import bins
from fleet.reports.report import EARLIEST
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import PERMANENT
from infra.kafka.partitions import records_to, required
from infra.kafka.topics import require_id

log = get_logger()

PART: Final = 500_000
"""Bytes of a value: half of what a client (`max_request_size`) and a broker (`max.message.bytes`) take by default."""

TIME_BYTES: Final = 40
"""Bytes of a drone's time, with quotes and commas."""

CLOCK_BYTES: Final = 80
"""Bytes of the two times of a drone's clock, with quotes and commas."""

NEWCOMER_BYTES: Final = 80
"""Bytes of a newcomer, with quotes and commas."""

Clocks = dict[str, tuple[datetime, datetime]]
"""By drone the newest time by its own clock, and the broker's time of that report."""


LAYOUT: Final = 1
"""Raise it when an older version could misread what a newer one writes. Messages from before 0.3 have layout 1, too:
what they lack has defaults."""


class Saved(msgspec.Struct, omit_defaults=True):
    """A partition. `low`, `silent` and `crowd` are of the layout before 0.2, which had all drones in this message."""

    offset: int
    crowd_until: datetime | None = None  # the crowd's drones had not reported since
    crowd_size: int = 0
    crowd_name: str = ""
    low: list[str] = []
    silent: list[str] = []
    crowd: int = 0
    began: datetime | None = None  # the first report that made a drone known; none before 0.3
    layout: int = 1  # of all messages of the partition


class SavedDrone(msgspec.Struct, omit_defaults=True):
    """A drone that has something to be cleared."""

    low: int = 0  # limits that its battery is below
    low_at: datetime = EARLIEST
    absent_since: datetime | None = None
    back_at: datetime | None = None  # it has reported again, last then, and is not steady yet
    times: int = 1  # how often it fell absent without being steady between


class SavedBucket(msgspec.Struct, omit_defaults=True):
    """When each drone last reported; its clock, so that a late report is recognised after a restart; and which drones
    are newcomers. Messages from before 0.3 have no clocks and no newcomers: all their drones are known."""

    spoke_at: dict[str, datetime]
    clocks: Clocks = {}
    newcomers: dict[str, Newcomer] = {}


@dataclass
class JudgedPartition:
    """A partition of `reports` as it is judged: `memory` is true before `offset`."""

    memory: Memory
    offset: int = 0
    is_changed: bool = False
    parts: dict[int, int] = field(default_factory=dict)  # how many messages each bucket has
    turn: int = 0  # the bucket that is saved next, or the first after it that has changed

    def advance(self, offset: int) -> None:
        self.offset, self.is_changed = offset, True


class AlertState:
    """Reads and writes the topic `topic` for the input `source`.

    A source that was deleted and created again has another id, and is judged from its beginning.
    """

    def __init__(self, bootstrap: Address, topic: str, source: str, producer: KafkaProducer) -> None:
        self._bootstrap, self._topic, self._producer = bootstrap, topic, producer
        self.source_id = _topic_id(bootstrap, source)

    def save(
        self, partitions: Mapping[int, JudgedPartition], crowd: tuple[int, str] = (0, "")
    ) -> dict[int, KafkaError]:
        """Returns when the broker has them. The result are those that it permanently refuses, which are not saved.
        Raises any other KafkaError.
        """
        refused: dict[int, KafkaError] = {}
        for number, partition in partitions.items():
            try:
                self._save(number, partition, crowd)
            except PERMANENT as error:
                refused[number] = error
            else:
                partition.is_changed = False
        return refused

    def load(self, numbers: Sequence[int], absence: Absence | None = None) -> dict[int, JudgedPartition]:
        """The partitions as last saved, new ones from the beginning."""
        absence = Absence() if absence is None else absence
        values = self._read()
        loaded = {number: self._partition(values, number, absence) for number in numbers}
        known = absence.elsewhere
        known.absent.clear()  # the topic has all that is still true; deletions in between were not read
        for key, value in values.items():
            note_absent(known, self.source_id, key, value, absence.partitions)
        known.returned = {drone: number for drone, number in known.returned.items() if drone in known.absent}
        return loaded

    def _save(self, number: int, partition: JudgedPartition, crowd: tuple[int, str]) -> None:
        memory, presence = partition.memory, partition.memory.presence
        changed = memory.changed | presence.changed_drones
        bucket = next_bucket(presence.changed, partition.turn)
        presence.changed -= {bucket}
        try:
            # Drones before their clocks: else a successor could take a low battery for late that it reads again.
            for future in [self._send(number, _saved_drone(memory, drone), "drone", drone) for drone in changed]:
                future.get(timeout=60)
            for future in self._send_bucket(number, partition, bucket) if bucket is not None else ():
                future.get(timeout=60)
            until = max((presence.absent[drone].since for drone in presence.crowd.members), default=None)
            size, name = crowd if until is not None else (0, "")
            saved = Saved(partition.offset, until, size, name, began=presence.began, layout=LAYOUT)
            self._send(number, msgspec.json.encode(saved)).get(timeout=60)
        except KafkaError:
            presence.changed |= set() if bucket is None else {bucket}
            raise
        partition.turn = partition.turn if bucket is None else bucket + 1
        memory.changed -= changed
        presence.changed_drones -= changed

    def _send_bucket(self, number: int, partition: JudgedPartition, bucket: int) -> list[Any]:
        presence = partition.memory.presence
        values: list[bytes | None] = list(
            parts(presence.saved(bucket), presence.clocks(bucket), presence.newcomers_of(bucket))
        )
        before = partition.parts.get(bucket, 1)
        partition.parts[bucket] = len(values)
        values += [None] * (before - len(values))  # what a larger bucket had more
        names = [["spoke", str(bucket), *([str(part)] if part else [])] for part in range(len(values))]
        return [self._send(number, value, *name) for name, value in zip(names, values, strict=True)]

    def _send(self, number: int, value: bytes | None, *name: str) -> Any:
        return self._producer.send(self._topic, value, key=self._key(number, *name))

    def _partition(self, values: Mapping[bytes, bytes | None], number: int, absence: Absence) -> JudgedPartition:
        partition = JudgedPartition(Memory(absence=absence, number=number))
        value = values.get(self._key(number))
        if value is None:
            return partition
        wire.require_known(value, f"alert-state of partition {number}", LAYOUT)
        saved, memory = msgspec.json.decode(value, type=Saved), partition.memory
        partition.offset = saved.offset
        drones = dict(self._drones(values, number, saved))
        for drone, known in drones.items():
            if known.low:
                memory.low[drone] = Low(known.low, known.low_at)
        drones_saved = self._buckets(values, number, partition)
        spoke_at = drones_saved.spoke_at
        since = {d: known.absent_since for d, known in drones.items() if known.absent_since is not None}
        # the old layout does not say since when: since they last reported
        absent_since = {d: spoke_at.get(d, at) if at == EARLIEST else at for d, at in since.items()}
        memory.presence.restore(spoke_at, absent_since, drones_saved.newcomers)
        memory.presence.began = saved.began or (EARLIEST if spoke_at else None)
        for drone in since:
            memory.presence.come_back(drone, drones[drone].back_at, drones[drone].times)
        if saved.crowd_until is not None:
            memory.presence.restore_crowd(saved.crowd_until)
            absence.crowd.size = max(absence.crowd.size, saved.crowd_size)
            absence.crowd.name = saved.crowd_name or absence.crowd.name
        for drone, (reported_at, ordered_at) in drones_saved.clocks.items():
            memory.presence.order(drone, reported_at, ordered_at)
        for drone, low in memory.low.items():
            memory.presence.order(drone, low.at)
            low.at = max(low.at, memory.presence.reported_at(drone))  # saved only when the battery falls further
        if saved.low or saved.silent:
            memory.changed |= drones.keys()  # from now on each has a message of its own
        return partition

    def _buckets(self, values: Mapping[bytes, bytes | None], number: int, partition: JudgedPartition) -> SavedBucket:
        """All buckets as one. Remembers how many messages each needs."""
        drones = SavedBucket({})
        for bucket in range(BUCKETS):
            for part in range(len(values)):
                held = values.get(self._key(number, "spoke", str(bucket), *([str(part)] if part else [])))
                if held is None:
                    break
                partition.parts[bucket] = part + 1
                saved = msgspec.json.decode(held, type=SavedBucket)
                drones.spoke_at |= saved.spoke_at
                drones.clocks |= saved.clocks
                drones.newcomers |= saved.newcomers
        return drones

    def _drones(
        self, values: Mapping[bytes, bytes | None], number: int, saved: Saved
    ) -> Iterator[tuple[str, SavedDrone]]:
        for drone in {*saved.low, *saved.silent}:
            absent_since = EARLIEST if drone in saved.silent else None
            yield drone, SavedDrone(int(drone in saved.low), EARLIEST, absent_since)
        prefix = self._key(number, "drone", "")
        for key, value in values.items():
            if value is not None and key.startswith(prefix):
                yield identity.split(key.decode())[-1], msgspec.json.decode(value, type=SavedDrone)

    def _key(self, partition: int, *name: str) -> bytes:
        return identity.join("alerting", self.source_id, str(partition), *name).encode("utf-8", "surrogatepass")

    def _read(self) -> dict[bytes, bytes | None]:
        """The newest value of each key."""
        last: dict[tuple[int, bytes], Any] = {}
        consumer = clients.consumer(self._bootstrap, enable_auto_commit=False)
        with closing(consumer):
            partitions = required(consumer, self._bootstrap, self._topic)
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            consumer.seek_to_beginning(*partitions)
            for record in records_to(consumer, ends):
                last[record.partition, record.key or b""] = record
        return newest(last.values())


def next_bucket(changed: Collection[int], turn: int) -> int | None:
    """The first of the changed buckets from `turn` on, in a circle: each is saved within BUCKETS checkpoints."""
    return min(changed, key=lambda bucket: (bucket - turn) % BUCKETS, default=None)


def note_absent(elsewhere: Elsewhere, source_id: str, key: bytes, value: bytes | None, own: Collection[int]) -> None:
    """Enters a message of `alert-state` about a drone that is absent in a partition of another process."""
    names = identity.split(key.decode("utf-8", "surrogatepass"))
    if len(names) == 5 and names[:2] == ("alerting", source_id) and names[3] == "drone" and int(names[2]) not in own:
        saved = msgspec.json.decode(value, type=SavedDrone) if value is not None else SavedDrone()
        elsewhere.note_absent(names[4], int(names[2]), is_absent=saved.absent_since is not None)


def parts(spoke_at: Mapping[str, datetime], clocks: Clocks, newcomers: Mapping[str, Newcomer]) -> Iterator[bytes]:
    """Values of at most PART bytes, at least one."""

    def size(drone: str) -> int:
        name = len(msgspec.json.encode(drone))
        clock = name + CLOCK_BYTES if drone in clocks else 0
        return name + TIME_BYTES + clock + (name + NEWCOMER_BYTES if drone in newcomers else 0)

    for drones in bins(spoke_at, size, PART) if spoke_at else [[]]:
        yield msgspec.json.encode(
            SavedBucket(
                {drone: spoke_at[drone] for drone in drones},
                {drone: clocks[drone] for drone in drones if drone in clocks},
                {drone: newcomers[drone] for drone in drones if drone in newcomers},
            )
        )


def newest(records: Iterable[Any]) -> dict[bytes, bytes | None]:
    """The newest value of each key of Kafka's `records`, those of a partition in its own order.

    A topic that was given more partitions has old values of a key in one and newer ones in another: the broker's time
    decides between these. Within a partition the order does, for that time can go back (a new leader, a clock set).
    """
    last = {(record.partition, record.key or b""): record for record in records}
    ordered = sorted(last.values(), key=lambda record: record.timestamp)
    return {record.key or b"": record.value for record in ordered}


def _saved_drone(memory: Memory, drone: str) -> bytes | None:
    low, absent = memory.low.get(drone), memory.presence.absent.get(drone)
    saved = SavedDrone(low.step, low.at) if low is not None else SavedDrone()
    if absent is not None and absent.notified:
        saved.absent_since, saved.times = absent.since, absent.times
        saved.back_at = absent.drone.at if absent.is_back else None
    return msgspec.json.encode(saved) if low is not None or saved.absent_since is not None else None


def _topic_id(bootstrap: Address, topic: str) -> str:
    with closing(clients.admin(bootstrap)) as admin:
        return require_id(admin, topic)
