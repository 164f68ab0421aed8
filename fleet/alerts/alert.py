"""An alert: something a peacekeeper on call must learn of. One JSON object a message on the topic `alerts`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from fleet import identity, wire
from fleet.reports.report import Citizen

Kind = Literal["unrest", "low_battery", "watchword", "silent"]
Severity = Literal["critical", "high", "moderate"]


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was raised, where, by whom, how bad. A duplicate has the same `alert_id`."""

    alert_id: str
    kind: Kind
    severity: Severity
    incident_key: str  # alerts with one key form one incident; also the message's key, so they keep their order
    report_id: str
    drone_id: str
    reported_at: Annotated[datetime, Meta(tz=True)]
    received_at: Annotated[datetime, Meta(tz=True)]  # the broker's time of the report: latency counts from here
    country: str
    city: str
    latitude: float | None = None
    longitude: float | None = None
    battery: float | None = None
    citizens: list[Citizen] = []
    message: str = ""
    verified: bool = True  # False: read out of a message that is no whole report
    note: str = ""  # what the rule adds: the nearest charging station, the watchword
    clears: bool = False  # no alert, but the end of the incident with this key: shown by an edit alone


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_decoder = msgspec.json.Decoder(Alert)
_encoder = msgspec.json.Encoder()


def alert_id(kind: Kind, drone_id: str, report_id: str, reported_at: datetime, *more: str) -> str:
    """The id of the alert of this kind that this report raises; `more` distinguishes its clearing.

    A report is known by its drone, its id and its time: a drone that restarts its ids does not repeat itself.
    """
    milliseconds = (reported_at - _EPOCH) // timedelta(milliseconds=1)
    return identity.join(kind, drone_id, report_id, str(milliseconds), *more)


def encode(alert: Alert) -> bytes:
    return _encoder.encode(alert)


def decode(value: bytes) -> Alert:
    """Raises msgspec.MsgspecError when the bytes are no alert."""
    return wire.decode(_decoder, value)
