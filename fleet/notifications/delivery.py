"""A delivery: one request that Discord answered with 2xx. One JSON object a message on the topic `deliveries`.

The deliveries are the notifier's memory: each carries its incidents as they were notified, so the next notifier reads
from them what people were notified of, in which message, and what each message shows.

A delivery holds text from drones, so its size as JSON is bounded: the policy keeps a notification's alerts and a
digest's rows within their shares, and `split` divides a delivery that is still too large for the topic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from fleet import identity, wire
from fleet.alerts.alert import Kind, Severity
from fleet.notifications.incident import Incident

Method = Literal["post", "edit"]

WAITED_MS: Final = 60_000
"""An alert notified later than this after its report is a late delivery; the nightly report says why."""

DELIVERY_BYTES: Final = 1_000_000
"""The largest delivery, as JSON: a topic with Kafka's default (`max.message.bytes`, 1,048,588) takes it."""

ALERTS_BYTES: Final = 500_000
"""Of that, a notification's alerts: their ids and numbers, and the incidents that they belong to."""

ROWS_BYTES: Final = 200_000
"""Of that, a digest's rows. The rest, 300 kB, holds the ten incidents of a message (INCIDENT_BYTES) and its slots."""

ALERT_BYTES: Final = 96
"""Bytes of an alert in a delivery, without its id: index, latencies, content, commas."""


class Slot(msgspec.Struct, frozen=True):
    """One embed of a message: the incident it shows and the alerts it stands for."""

    incident_id: str
    alerts: int


class DigestRow(msgspec.Struct, omit_defaults=True):
    """A digest's line: alerts of one kind and severity in one place, from the first to the last id.

    `drone` is who raised them, empty if several did; `newcomers`: no drone that the fleet has known for a while did.
    """

    kind: Kind
    severity: Severity
    country: str
    city: str
    alerts: int
    first: str
    last: str
    drone: str = ""
    newcomers: bool = False


class Digest(msgspec.Struct, omit_defaults=True):
    """`alerts` is the number of all alerts counted; `rows` count them by place, `others` by kind in places without a
    row, where `newcomers` counts those of newcomers."""

    alerts: int
    since: datetime
    last: datetime
    rows: list[DigestRow] = []
    others: dict[Kind, int] = {}
    newcomers: int = 0


class Delivery(msgspec.Struct, omit_defaults=True):
    """A request and what it notified of. The lists of alerts run in parallel.

    `alert_ids` are those newly contained or counted; `alert_incidents` the index in `incidents` of each;
    `broker_ms` and `drone_ms` the milliseconds from the broker's and the drone's time of its report to the delivery;
    `alert_contents` the checksum that separates a duplicate from a conflict (known_alerts.py).
    `held` says what delayed the notification, `kept_back` why an incident got no message of its own.
    """

    delivery_id: str
    webhook: str
    method: Method
    message_id: str
    delivered_at: datetime
    incidents: list[Incident]
    alert_ids: list[str]
    digest: bool
    alert_incidents: list[int] = []
    broker_ms: list[int] = []
    drone_ms: list[int] = []
    alert_contents: list[int] = []
    slots: list[Slot] = []  # the message's embeds after this request, none for a digest
    counted: Digest | None = None
    gone: list[str] = []  # messages found deleted since the delivery before
    held: str = ""  # why the requests right before this one failed: HELD and STARTED of notifying/sender.py
    # of a digest: incidents that got no message of their own, and why (Hold of fleet.notifications.state)
    kept_back: dict[str, str] = {}


_codec = wire.Codec(Delivery, "a delivery")
encode, decode = _codec.encode, _codec.decode


def split(delivery: Delivery) -> list[Delivery]:
    """`delivery` as two, each with half of its alerts. With one alert or none: as one without text from drones; empty
    when there is no more text to leave out.

    Both halves have all slots of the message, so either is enough to know what it shows.
    """
    count = len(delivery.alert_ids)
    if count > 1:
        return [_part(delivery, range(count // 2), 1), _part(delivery, range(count // 2, count), 2)]
    counted = delivery.counted
    if counted is not None:
        counted = msgspec.structs.replace(without(counted, counted.rows), rows=[])
    bare = msgspec.structs.replace(
        delivery, incidents=[without_words(one) for one in delivery.incidents], counted=counted
    )
    return [] if bare == delivery else [bare]


def without(digest: Digest, rows: Iterable[DigestRow]) -> Digest:
    """The digest with these of its rows counted in its remainder; `digest.rows` are left to the caller."""
    others, newcomers = Counter(digest.others), digest.newcomers
    for row in rows:
        if row.newcomers:
            newcomers += row.alerts
        else:
            others[row.kind] += row.alerts
    return msgspec.structs.replace(digest, others=dict(others), newcomers=newcomers)


def _part(delivery: Delivery, alerts: range, number: int) -> Delivery:
    """`delivery` with these of its alerts, their incidents, and those that its message shows."""
    shown = {slot.incident_id for slot in delivery.slots}
    indexes = [delivery.alert_incidents[position] for position in alerts]
    kept = [i for i, incident in enumerate(delivery.incidents) if incident.incident_id in shown or i in set(indexes)]
    ids = {delivery.incidents[i].incident_id for i in kept}
    lists = ("alert_ids", "broker_ms", "drone_ms", "alert_contents")
    return msgspec.structs.replace(
        delivery,
        delivery_id=identity.join(*identity.split(delivery.delivery_id), str(number)),
        incidents=[delivery.incidents[i] for i in kept],
        alert_incidents=[kept.index(index) for index in indexes],
        kept_back={id_: why for id_, why in delivery.kept_back.items() if id_ in ids},
        **{name: [getattr(delivery, name)[position] for position in alerts] for name in lists},
    )


def without_words(incident: Incident) -> Incident:
    """The incident without text from drones; kind, place and numbers stay."""
    return msgspec.structs.replace(incident, heard="", note="", who=[], drones=incident.drones[:1])
