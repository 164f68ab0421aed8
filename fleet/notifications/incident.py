"""An incident: the alerts of one kind in one place, notified as one message that grows.

States: *open* (one alert), *growing* (more of them, the last one lately), *quiet* (none lately), *resolved* (quiet for
long, cleared, or resolved by an operator). Kinds that a clearing ends (ENDED_BY_CLEARING) are not resolved by quiet.
The clock is an argument.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet import wire
from fleet.alerts.alert import ENDED_BY_CLEARING, Alert, Kind, Severity
from fleet.alerts.rules import Place, incident_key
from fleet.places import place_key
from fleet.reports.report import EARLIEST, MAX_AHEAD, UNKNOWN, Citizen

State = Literal["open", "growing", "quiet", "resolved"]

RANK: Final[dict[Severity, int]] = {"moderate": 0, "high": 1, "critical": 2}
"""Worse is higher."""

REMEMBERED: Final = 3
"""How many citizens (the least peaceful) and drones (the latest) are named: as many as a person reads at once."""

WORDS_BYTES: Final = 4000
"""Bytes, as JSON, of the message that a drone heard: the 1,000 characters of an alert where few are escaped."""

NAME_BYTES: Final = 700
"""Bytes of a name (country, city, drone, citizen), a rule's note, an operator's note: 200 letters of any script."""

INCIDENT_BYTES: Final = 16_384
"""The largest incident as JSON, whatever its drones send: the message, sixteen names, its key, numbers and times."""

NOWHERE: Final = 0.0001
"""Degrees. A receiver without a fix says 0, 0: nobody flies in the Gulf of Guinea within ten metres of that."""


@dataclass(frozen=True)
class Intervals:
    """The times in an incident's life. Defaults are Alertmanager's where it has such a setting."""

    update: timedelta = timedelta(seconds=5)
    """A message is edited no more often. Alertmanager's group_interval is 5 minutes, but an edit disturbs nobody."""
    quiet: timedelta = timedelta(minutes=5)
    """Without an alert for this long, an incident is quiet (Alertmanager's resolve_timeout)."""
    resolve: timedelta = timedelta(minutes=30)
    """Quiet for this long, it is resolved; an alert after that opens a new one."""
    repeat: timedelta = timedelta(hours=4)
    """Notified again when nobody has acknowledged it for this long (Alertmanager's repeat_interval)."""
    expire: timedelta = timedelta(days=1)
    """An incident that only a clearing ends is given up after this long without an alert: as long as a silent drone is
    waited for."""

    @property
    def over(self) -> timedelta:
        """Without an alert for this long, an incident is resolved; cleared for this long, it cannot go on."""
        return self.quiet + self.resolve


class Incident(msgspec.Struct, omit_defaults=True):
    """An incident. `alerts` counts all of its alerts, `embedded` those that its message counts."""

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
    state: State  # as last notified
    who: list[Citizen] = []
    drones: list[str] = []
    heard: str = ""
    note: str = ""  # what a rule adds, for example the nearest charging station
    latitude: float | None = None
    longitude: float | None = None
    battery: float | None = None
    verified: bool = True  # False: no alert of it was a whole report
    cleared: bool = False
    bin_start: datetime | None = None  # trend: alerts of this interval of `quiet` and of the one before
    bin_alerts: int = 0
    previous_alerts: int = 0
    message_id: str = ""
    embedded: int = 0
    told_at: datetime | None = None  # when its present message was posted; the name is stored in deliveries
    acknowledged_by: str = ""
    acknowledgement: str = ""
    resolved_by: str = ""
    unverified: int = 0  # alerts from messages that are not whole reports
    cleared_at: datetime | None = None  # the broker's time of the last clearing
    flaps: int = 0  # how often it came back after a clearing
    facts_at: datetime | None = None  # the drone's time of place, words and battery
    newcomers_only: bool = False  # no drone that the fleet has known for a while has raised it


def key_of(alert: Alert) -> str:
    """The key of the alert's incident. A key of an older form is brought into today's."""
    return _key(alert.incident_key, alert.kind, alert.drone_id, (alert.city, alert.country))


def key_of_known(incident: Incident) -> str:
    """The same for an incident of an earlier delivery. An incident of one drone names no other drone."""
    drone = incident.drones[0] if incident.drones else ""
    return _key(incident.key, incident.kind, drone, (incident.city, incident.country))


def _key(written: str, kind: Kind, drone_id: str, at: Place) -> str:
    """Older keys were joined without an escape, and had places as drones spelled them."""
    is_old = kind == "unrest" or written == f"{kind}/{drone_id}"
    return incident_key(kind, drone_id, at) if is_old else written


def first(alert: Alert) -> Incident:
    """The incident that `alert` opens. Its id is made from the alert's, so a duplicate opens the same."""
    return Incident(
        incident_id=hashlib.blake2b(alert.alert_id.encode(), digest_size=8).hexdigest(),
        key=key_of(alert),
        kind=alert.kind,
        severity=alert.severity,
        country=_name(alert.country),
        city=_name(alert.city),
        since=alert.received_at,
        last=alert.received_at,
        alerts=0,
        worst_score=0,
        reported_at=_believed(alert),
        state="open",
        verified=alert.verified,
        newcomers_only=alert.newcomer,
    )


def takes(incident: Incident, alert: Alert, intervals: Intervals) -> bool:
    """Whether `alert`, of the same key, belongs to `incident`; else it opens a new one. Soon after a clearing it
    belongs to it: the incident flaps."""
    if incident.resolved_by:
        return False
    if incident.cleared:
        return alert.received_at - _ended_at(incident) < intervals.over
    lasts = intervals.expire if incident.kind in ENDED_BY_CLEARING else intervals.over
    return alert.received_at - incident.last < lasts


def grow(incident: Incident, alert: Alert, intervals: Intervals) -> None:
    """Adds `alert` to `incident`. Severity, score and citizens are the worst so far. Place, message and battery are the
    latest by the drone's time: an alert that comes late does not change them, nor reopen what was cleared after it."""
    is_latest = incident.facts_at is None or _said_at(alert) >= incident.facts_at
    if incident.cleared and is_latest:
        incident.cleared, incident.flaps = False, incident.flaps + 1
    incident.alerts += 1
    incident.unverified += not alert.verified
    incident.newcomers_only = incident.newcomers_only and alert.newcomer
    _count_trend(incident, alert.received_at, intervals)
    if RANK[alert.severity] > RANK[incident.severity]:
        incident.severity = alert.severity
    scores = [citizen.peace_score for citizen in alert.citizens]
    if scores:
        incident.worst_score = min(*scores, incident.worst_score or scores[0])
    incident.who = _worst([*alert.citizens, *incident.who])
    drones = dict.fromkeys([wire.cut(alert.drone_id, NAME_BYTES), *incident.drones])
    incident.drones = list(drones)[:REMEMBERED]
    incident.last = max(incident.last, alert.received_at)
    if is_latest and (alert.verified or not incident.verified):
        _take_facts(incident, alert)
    incident.verified = incident.verified or alert.verified


def clear(incident: Incident, alert: Alert) -> bool:
    """Ends `incident`, unless it is cleared already or the clearing is older than its newest alert; whether it does."""
    if incident.cleared:
        return False
    if alert.received_at < incident.last or (incident.facts_at is not None and _said_at(alert) < incident.facts_at):
        return False
    incident.cleared, incident.cleared_at, incident.facts_at = True, alert.received_at, _said_at(alert)
    if alert.battery is not None:
        incident.battery = alert.battery
    return True


def state(incident: Incident, now: datetime, intervals: Intervals) -> State:
    """The incident's state at `now`."""
    if incident.resolved_by or incident.cleared:
        return "resolved"
    idle = now - incident.last
    if incident.kind in ENDED_BY_CLEARING:
        if idle >= intervals.expire:
            return "resolved"
        return "growing" if incident.alerts > 1 and idle < intervals.quiet else "open"
    if idle >= intervals.over:
        return "resolved"
    if idle >= intervals.quiet:
        return "quiet"
    return "growing" if incident.alerts > 1 else "open"


def can_go_on(incident: Incident, now: datetime, intervals: Intervals) -> bool:
    """Whether another alert may still belong to it: it is not resolved, or was cleared a short while ago."""
    if incident.cleared and not incident.resolved_by:
        return now - _ended_at(incident) < intervals.over
    return state(incident, now, intervals) != "resolved"


def trend(incident: Incident) -> str:
    """Whether alerts come faster than in the interval before."""
    if incident.bin_alerts > incident.previous_alerts:
        return "rising"
    return "steady" if incident.bin_alerts == incident.previous_alerts else "falling"


def is_expired(incident: Incident) -> bool:
    """Whether it was given up: resolved by neither a clearing nor an operator."""
    ended = incident.cleared or bool(incident.resolved_by)
    return incident.state == "resolved" and incident.kind in ENDED_BY_CLEARING and not ended


def is_due_again(incident: Incident, now: datetime, intervals: Intervals) -> bool:
    """Whether it is open, was notified long ago, and nobody has acknowledged it."""
    if incident.told_at is None or now - incident.told_at < intervals.repeat:
        return False
    return is_unattended(incident, now, intervals)


def is_unattended(incident: Incident, now: datetime, intervals: Intervals) -> bool:
    """Whether it is open, and nobody has acknowledged it."""
    return not incident.acknowledged_by and state(incident, now, intervals) in ("open", "growing")


def _take_facts(incident: Incident, alert: Alert) -> None:
    incident.facts_at, incident.reported_at = _said_at(alert), _believed(alert)
    incident.heard = wire.cut(alert.message, WORDS_BYTES) or incident.heard
    incident.note = wire.cut(alert.note, NAME_BYTES) or incident.note
    _take_place(incident, alert)
    if alert.battery is not None:
        incident.battery = alert.battery


def _take_place(incident: Incident, alert: Alert) -> None:
    """Name and position are of one place: a drone that has flown on is named where it is. Unrest stays in its city, by
    the name that came first."""
    has_position = is_position(alert.latitude, alert.longitude)
    if has_position:
        incident.latitude, incident.longitude = alert.latitude, alert.longitude
    country, city = _name(alert.country), _name(alert.city)
    is_named = (country, city) != (UNKNOWN, UNKNOWN)
    is_elsewhere = place_key(country, city) != place_key(incident.country, incident.city)
    if incident.kind == "unrest" or not is_elsewhere or not (has_position or is_named):
        return
    incident.country, incident.city = country, city
    if not has_position:
        incident.latitude = incident.longitude = None


def _name(of_place: str) -> str:
    return wire.cut(of_place.strip(), NAME_BYTES) or UNKNOWN


def is_position(latitude: float | None, longitude: float | None) -> bool:
    """Whether a drone knew where it was: two numbers that are not 0, 0 (NOWHERE)."""
    if latitude is None or longitude is None:
        return False
    return abs(latitude) > NOWHERE or abs(longitude) > NOWHERE


def _said_at(alert: Alert) -> datetime:
    """The drone's time, but no later than the broker's: else what a clock that is ahead has dated would stay for
    good."""
    return min(_believed(alert), alert.received_at)


def _believed(alert: Alert) -> datetime:
    """The drone's time, or the broker's where the drone's is one that no report may have: its clock is broken."""
    is_possible = EARLIEST <= alert.reported_at <= alert.received_at + MAX_AHEAD
    return alert.reported_at if is_possible else alert.received_at


def _ended_at(incident: Incident) -> datetime:
    return max(incident.last, incident.cleared_at or incident.last)


def _worst(citizens: list[Citizen]) -> list[Citizen]:
    by_name: dict[str, Citizen] = {}
    for citizen in sorted(citizens, key=lambda c: (c.peace_score, c.name)):
        name = wire.cut(citizen.name, NAME_BYTES)
        by_name.setdefault(name, Citizen(name, citizen.peace_score))
    return list(by_name.values())[:REMEMBERED]


def _count_trend(incident: Incident, at: datetime, intervals: Intervals) -> None:
    if incident.bin_start is None:
        incident.bin_start = at
    elif at - incident.bin_start >= intervals.quiet:
        follows = at - incident.bin_start < 2 * intervals.quiet
        incident.previous_alerts = incident.bin_alerts if follows else 0
        incident.bin_start, incident.bin_alerts = at, 0
    incident.bin_alerts += 1
