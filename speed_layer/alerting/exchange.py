"""The shares of absent drones that alerting processes send each other, on `alert-state` (fleet.alerts.elsewhere).

Key `alerting/<topic id>/<partition>/share`. Nothing is restored from it: a lost share is replaced at the next look,
four times an interval.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import msgspec
from kafka import KafkaProducer
from structlog import get_logger

from fleet import identity
from fleet.alerts import elsewhere
from fleet.alerts.elsewhere import AbsenceShare, Elsewhere
from fleet.errors import NewerLayout
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.partitions import required
from speed_layer.alerting.alert_state import note_absent

log = get_logger()


class Exchange:
    """Opened by the first `read`; a process that judges all partitions needs none."""

    def __init__(self, bootstrap: Address, topic: str, source_id: str, producer: KafkaProducer) -> None:
        self._bootstrap, self._topic, self._source_id, self._producer = bootstrap, topic, source_id, producer
        self._consumer: Any = None

    @property
    def is_open(self) -> bool:
        return self._consumer is not None

    def read(self, known: Elsewhere, own: Collection[int], now: datetime) -> bool:
        """Reads the shares since the last call. Returns whether a look should be made at once."""
        if self._consumer is None:
            self._open()
        has_news = False
        for records in self._consumer.poll(timeout_ms=0).values():
            for record in records:
                has_news |= self._take(known, own, record.key or b"", record.value, now)
        return has_news

    def say(self, shares: Iterable[AbsenceShare]) -> None:
        for share in shares:
            key = identity.join("alerting", self._source_id, str(share.number), "share").encode()
            self._producer.send(self._topic, elsewhere.encode(share), key=key)

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _open(self) -> None:
        self._consumer = clients.consumer(self._bootstrap, enable_auto_commit=False)
        partitions = required(self._consumer, self._bootstrap, self._topic)
        self._consumer.assign(partitions)
        self._consumer.seek_to_end(*partitions)

    def _take(self, known: Elsewhere, own: Collection[int], key: bytes, value: bytes | None, now: datetime) -> bool:
        if not key.startswith(b"alerting/"):
            return False
        try:
            names = identity.split(key.decode("utf-8", "surrogatepass"))
            if names[1] != self._source_id or value is None or (len(names), names[-1]) != (4, "share"):
                note_absent(known, self._source_id, key, value, own)
                return False
            share = elsewhere.decode(value)
        except (msgspec.MsgspecError, NewerLayout, ValueError) as error:
            log.warning("a message of alert-state cannot be read", reason=error)
            return False
        return share.number not in own and known.note(share, now)
