"""An alert: something a peacekeeper on call must learn of. One JSON object a message on the topic `alerts`."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from fleet import identity, wire
from fleet.reports.report import Citizen

Kind = Literal["unrest", "low_battery", "watchword", "silent"]
Severity = Literal["critical", "high", "moderate"]

ENDED_BY_CLEARING: Final[frozenset[Kind]] = frozenset({"low_battery", "silent"})
"""These last until the drone is charged, or reports again; time without an alert does not end them."""

UNKNOWN_CONTENT: Final = 0
"""The checksum of an alert without content to compare: it is never a conflict."""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was raised, where, by which drone, how bad. A duplicate has the same `alert_id`."""

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
    verified: bool = True  # False: taken from a message that is not a whole report
    note: str = ""  # what the rule adds: the nearest charging station, the watchword
    source: str = ""  # the report's place on its topic, `reports/3/1042`: the id that log lines of all processes have
    clears: bool = False  # no alert, but the end of the incident with this key; only edits its message
    newcomer: bool = False  # the fleet has known its drone for a short while only (newcomer.py): known drones go first


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_codec = wire.Codec(Alert, "an alert")
encode, decode = _codec.encode, _codec.decode


def alert_id(kind: Kind, drone_id: str, report_id: str, reported_at: datetime, *more: str) -> str:
    """The id of the alert of this kind that this report raises; `more` distinguishes its clearing.

    A report is identified by its drone, its id and its time: a drone that restarts its ids sends new reports.
    """
    milliseconds = (reported_at - _EPOCH) // timedelta(milliseconds=1)
    return identity.join(kind, drone_id, report_id, str(milliseconds), *more)


def content_of(alert: Alert) -> int:
    """A checksum, 32 bits, of what the drone sent. It covers neither what alerting adds, which may change with an
    upgrade or a second reading, nor times: the drone's is in the id, and each duplicate has its own broker's time.
    UNKNOWN_CONTENT where the id is unique by itself: made from a rule's memory, or from a place on the topic.
    """
    if alert.kind == "silent" or alert.clears or not alert.verified:
        return UNKNOWN_CONTENT
    said = (alert.drone_id, alert.report_id, alert.message, alert.battery)
    place = (alert.latitude, alert.longitude, alert.country, alert.city)
    seen = [(citizen.name, citizen.peace_score) for citizen in alert.citizens]
    return zlib.crc32(msgspec.json.encode((said, place, seen))) or 1


def is_conflict(content: int, other: int) -> bool:
    """Whether two alerts with one id are two alerts: their contents are known, and differ."""
    return content != other and UNKNOWN_CONTENT not in (content, other)


def conflict_id(alert: Alert) -> str:
    """The id of an alert whose own id another alert has, the same in notifier, recorder and lake."""
    return f"{alert.alert_id}{identity.SEPARATOR}{identity.join('conflict', f'{content_of(alert):08x}')}"
