"""What a running stack has done so far, read from its own records: topics, the lake, MongoDB, the channel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from fleet import topics
from fleet.alerts.alert import decode
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.partitions import of_topic, records_to
from infra.kafka.topics import id_of
from infra.mongo import client as mongo
from infra.mongo import runs
from laptop.demo.channel import Channel, channel
from speed_layer.landing import rejected

ALERTING_GROUP: Final = "peacewatch-alerting"
"""The consumer group of `speed_layer.alerting.alerter`, which commits an offset once its alerts are in their topic."""

Offsets = dict[int, int]


@dataclass(frozen=True)
class StackAddresses:
    """Where the parts of a stack are. `standin` is None if alerts go to a real Discord."""

    bootstrap: Address
    lake: str
    mongo_uri: str = field(repr=False)
    standin: str | None


class Watch:
    """Reads one stack. Raises what the clients raise when a part does not answer."""

    def __init__(self, addresses: StackAddresses) -> None:
        self._addresses = addresses
        self._admin = clients.admin(addresses.bootstrap)
        self._consumer = clients.consumer(addresses.bootstrap, group_id=None, enable_auto_commit=False)
        self._consumer.assign(of_topic(self._consumer, topics.ALERTS))
        self._consumer.seek_to_beginning()
        self._mongo = mongo.client(addresses.mongo_uri, "demo", wait_ms=10_000)
        self._reports_id = id_of(self._admin, topics.REPORTS)
        self._kinds: dict[str, str] = {}
        self._table: DeltaTable | None = None
        self._rejected, self._rejected_ends = 0, Offsets()

    def close(self) -> None:
        self._consumer.close()
        self._admin.close()
        self._mongo.close()

    def landed(self) -> int:
        """Rows of the lake."""
        table = self._lake()
        return table.count() if table else 0

    def lake_version(self) -> int:
        """The table's version; -1 before there is a table."""
        table = self._lake()
        return table.version() if table else -1

    def unlanded(self) -> int:
        """Messages of `reports` that the `txn` entries of the table do not cover yet."""
        ends, table = self._ends(topics.REPORTS), self._lake()
        if table is None:
            return sum(ends.values())
        landed = {number: table.transaction_version(f"{self._reports_id}/{number}") or 0 for number in ends}
        return _lag(ends, landed)

    def rejected(self) -> int:
        """Rejected messages; one that was written twice because of a crash counts once."""
        ends = self._ends(topics.REJECTED)
        if ends != self._rejected_ends:
            self._rejected = sum(1 for _ in rejected.read(self._addresses.bootstrap, topics.REJECTED))
            self._rejected_ends = ends
        return self._rejected

    def unjudged(self) -> int:
        """Messages of `reports` that alerting has not processed yet."""
        offsets = self._admin.list_group_offsets(ALERTING_GROUP)[ALERTING_GROUP]
        committed = {place.partition: entry.offset for place, entry in offsets.items() if place.topic == topics.REPORTS}
        return _lag(self._ends(topics.REPORTS), committed)

    def raised(self) -> dict[str, int]:
        """Alerts by kind in the topic `alerts`; duplicates count once."""
        ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        for record in records_to(self._consumer, ends):
            alert = decode(record.value)
            if not alert.clears:
                self._kinds[alert.alert_id] = alert.kind
        return dict(Counter(self._kinds.values()))

    def channel(self) -> Channel | None:
        """The stand-in's channel; None if no stand-in runs."""
        return channel(self._addresses.standin) if self._addresses.standin else None

    def last_run(self) -> runs.RunDocument | None:
        """The newest complete batch run of the hour documents."""
        return runs.newest(mongo.database(self._mongo))

    def _ends(self, topic: str) -> Offsets:
        ends = self._consumer.end_offsets(of_topic(self._consumer, topic))
        return {place.partition: end for place, end in ends.items() if end}

    def _lake(self) -> DeltaTable | None:
        try:
            if self._table is None:
                self._table = DeltaTable(f"{self._addresses.lake}/reports")
            self._table.update_incremental()
        except TableNotFoundError:
            return None
        return self._table


def _lag(ends: Offsets, committed: Offsets) -> int:
    return sum(max(0, end - committed.get(number, 0)) for number, end in ends.items())
