"""An incident: the alerts of one kind in one place, told as one message that grows.

States: *open* (one alert), *growing* (more of them, the last one lately), *quiet* (none lately), *resolved* (quiet for
long, cleared, or resolved by an operator). The clock is an argument: nothing here knows what time it is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet.alerts.alert import Alert, Kind, Severity
from fleet.reports.report import Citizen

State = Literal["open", "growing", "quiet", "resolved"]

RANK: Final[dict[Severity, int]] = {"moderate": 0, "high": 1, "critical": 2}
"""Worse is higher."""

REMEMBERED: Final = 3
"""So many citizens, the least peaceful, and so many drones, the latest, are named; a person reads no more at once."""


@dataclass(frozen=True)
class Intervals:
    """How an incident lives. Defaults are Alertmanager's where it has one of the kind, else stated."""

    update: timedelta = timedelta(seconds=5)
    """A message is edited no more often. Alertmanager's group_interval is 5 minutes, but an edit disturbs nobody."""
    quiet: timedelta = timedelta(minutes=5)
    """Without an alert for this long, an incident is quiet (Alertmanager's resolve_timeout)."""
    resolve: timedelta = timedelta(minutes=30)
    """Quiet for this long, it is resolved; an alert after that opens a new one."""
    repeat: timedelta = timedelta(hours=4)
    """Told again when nobody has taken it up for this long (Alertmanager's repeat_interval)."""


class Incident(msgspec.Struct, omit_defaults=True):
    """What is known of an incident. `alerts` counts all of its alerts, `embedded` those that its message counts."""

    incident_id: str
    key: str
    kind: Kind
    severity: Severity
    country: str
    city: str
    since: datetime
    last: datetime
    alerts: int
    worst_score: int  # lowest peace score seen, 0: nobody seen
    reported_at: datetime  # by the drone's clock, of the latest alert; since and last are the broker's times
    state: State  # as last told
    who: list[Citizen] = []
    drones: list[str] = []
    heard: str = ""
    note: str = ""  # what a rule adds, the nearest charging station say
    latitude: float | None = None
    longitude: float | None = None
    battery: float | None = None
    verified: bool = True
    cleared: bool = False
    bin_start: datetime | None = None  # trend: alerts of this interval of `quiet` and of the one before
    bin_alerts: int = 0
    previous_alerts: int = 0
    message_id: str = ""
    embedded: int = 0
    told_at: datetime | None = None  # when its present message was posted
    acknowledged_by: str = ""
    acknowledgement: str = ""
    resolved_by: str = ""


def first(alert: Alert) -> Incident:
    """The incident that `alert` opens. Its id is made from the alert's, so a copy opens the same."""
    return Incident(
        incident_id=hashlib.blake2b(alert.alert_id.encode(), digest_size=8).hexdigest(),
        key=alert.incident_key,
        kind=alert.kind,
        severity=alert.severity,
        country=alert.country,
        city=alert.city,
        since=alert.received_at,
        last=alert.received_at,
        alerts=0,
        worst_score=0,
        reported_at=alert.reported_at,
        state="open",
    )


def takes(incident: Incident, alert: Alert, intervals: Intervals) -> bool:
    """Whether `alert`, of the same key, belongs to `incident` or opens a new one."""
    if incident.resolved_by or incident.cleared:
        return False
    return alert.received_at - incident.last < intervals.quiet + intervals.resolve


def grow(incident: Incident, alert: Alert, intervals: Intervals) -> None:
    """Adds `alert` to `incident`. What stands for the whole is the worst; what stands for now is the latest."""
    incident.alerts += 1
    _count_trend(incident, alert.received_at, intervals)
    if RANK[alert.severity] > RANK[incident.severity]:
        incident.severity = alert.severity
    scores = [citizen.peace_score for citizen in alert.citizens]
    if scores:
        incident.worst_score = min(*scores, incident.worst_score or scores[0])
    incident.who = _worst([*alert.citizens, *incident.who])
    incident.drones = list(dict.fromkeys([alert.drone_id, *incident.drones]))[:REMEMBERED]
    incident.verified = incident.verified and alert.verified
    if alert.received_at >= incident.last:
        _take_latest(incident, alert)


def state(incident: Incident, now: datetime, intervals: Intervals) -> State:
    """What the incident is at `now`."""
    if incident.resolved_by or incident.cleared:
        return "resolved"
    idle = now - incident.last
    if idle >= intervals.quiet + intervals.resolve:
        return "resolved"
    if idle >= intervals.quiet:
        return "quiet"
    return "growing" if incident.alerts > 1 else "open"


def trend(incident: Incident) -> str:
    """Whether alerts come faster than in the interval before."""
    if incident.bin_alerts > incident.previous_alerts:
        return "rising"
    return "steady" if incident.bin_alerts == incident.previous_alerts else "falling"


def is_due_again(incident: Incident, now: datetime, intervals: Intervals) -> bool:
    """Whether it goes on, was told long ago, and nobody has taken it up."""
    if incident.acknowledged_by or incident.told_at is None or now - incident.told_at < intervals.repeat:
        return False
    return state(incident, now, intervals) in ("open", "growing")


def _take_latest(incident: Incident, alert: Alert) -> None:
    incident.last = alert.received_at
    incident.reported_at = alert.reported_at
    incident.heard = alert.message or incident.heard
    if alert.latitude is not None and alert.longitude is not None:
        incident.latitude, incident.longitude = alert.latitude, alert.longitude
    if alert.battery is not None:
        incident.battery = alert.battery


def _worst(citizens: list[Citizen]) -> list[Citizen]:
    by_name: dict[str, Citizen] = {}
    for citizen in sorted(citizens, key=lambda c: (c.peace_score, c.name)):
        by_name.setdefault(citizen.name, citizen)
    return list(by_name.values())[:REMEMBERED]


def _count_trend(incident: Incident, at: datetime, intervals: Intervals) -> None:
    if incident.bin_start is None:
        incident.bin_start = at
    elif at - incident.bin_start >= intervals.quiet:
        follows = at - incident.bin_start < 2 * intervals.quiet
        incident.previous_alerts = incident.bin_alerts if follows else 0
        incident.bin_start, incident.bin_alerts = at, 0
    incident.bin_alerts += 1
