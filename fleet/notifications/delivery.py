"""A delivery: one call that Discord answered with 2xx. One JSON object a message on the topic `deliveries`.

The deliveries are the notifier's memory: each carries its incidents as they were told, so whoever reads them again
knows what was told, in which message, and what each message shows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from fleet import wire
from fleet.alerts.alert import Kind, Severity
from fleet.notifications.incident import Incident

Method = Literal["post", "edit"]

WAITED_MS: Final = 60_000
"""An alert told later than this after its report waited; the nightly report says why."""


class Slot(msgspec.Struct, frozen=True):
    """One embed of a message: the incident it shows and the alerts it stands for."""

    incident_id: str
    alerts: int


class Row(msgspec.Struct, omit_defaults=True):
    """A digest's line: alerts of one kind and severity in one place, from the first to the last id."""

    kind: Kind
    severity: Severity
    country: str
    city: str
    alerts: int
    first: str
    last: str


class Digest(msgspec.Struct, omit_defaults=True):
    """What a digest counts: `alerts` in all, `rows` in part, `others` by kind in places that have no row."""

    alerts: int
    since: datetime
    last: datetime
    rows: list[Row] = []
    others: dict[Kind, int] = {}


class Delivery(msgspec.Struct, omit_defaults=True):
    """A call and what it told. The lists of alerts run in parallel.

    `alert_ids` are those newly contained or counted; `alert_incidents` the index in `incidents` of each;
    `broker_ms` and `drone_ms` the milliseconds from the broker's and the drone's time of its report to the delivery.
    `held` and `kept_back` say what stood in the way of telling sooner, or in a message of its own.
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
    slots: list[Slot] = []  # the message's embeds after this call, none for a digest
    counted: Digest | None = None
    gone: list[str] = []  # messages found deleted since the delivery before
    held: str = (
        ""  # how Discord failed the calls right before this one: HELD and STARTED of speed_layer/notifying/sender.py
    )
    kept_back: dict[
        str, str
    ] = {}  # of a digest: incidents that got no message of their own, and why (fleet.notifications.state)


_decoder = msgspec.json.Decoder(Delivery)
_encoder = msgspec.json.Encoder()


def encode(delivery: Delivery) -> bytes:
    return _encoder.encode(delivery)


def decode(value: bytes) -> Delivery:
    """Raises msgspec.MsgspecError when the bytes are no delivery."""
    return wire.decode(_decoder, value)
