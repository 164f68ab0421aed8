"""When a report raises an alert. Rules are data, and judging is pure.

What a rule must remember of a drone is in a `Memory`, one for each partition of `reports`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from fleet import identity, places
from fleet.alerts.absence import Absence
from fleet.alerts.absent_drone import CLOCK_OFF, AbsenceRule, Heard
from fleet.alerts.alert import Alert, Kind, Severity, alert_id
from fleet.alerts.charging import Station, compass, nearest_station
from fleet.alerts.presence import LONG_AGO
from fleet.errors import RejectedReport
from fleet.reports.fields import LOW_BATTERY, millipercent
from fleet.reports.report import UNKNOWN, Citizen, Report, check_time, worst_score

if TYPE_CHECKING:
    from fleet.alerts.watchwords import Watchwords

HEARD: Final = 1000
NAME: Final = 100
SEEN: Final = 10
"""Characters of a message and of a name, and citizens, that an alert has: more than any message shows."""

_ORDER: Final[tuple[Severity, ...]] = ("moderate", "high", "critical")

Place = tuple[str, str]
"""City and country."""


Percent = Annotated[float, Meta(ge=0, le=100)]
Score = Annotated[int, Meta(ge=0, le=10)]


class UnrestRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The drone's own flag; and, if `score_at_most` is not 0, a citizen at or under that peace score."""

    score_at_most: Score = 0
    critical_at_most: Score = 2
    high_at_most: Score = 4


class LowBatteryRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raised below `below` percent, and again, with a higher severity, below the other two; cleared at `clear_at`.

    `stations` may be empty.
    """

    below: Percent = LOW_BATTERY
    high_below: Percent = 10.0
    critical_below: Percent = 5.0
    clear_at: Percent = 30.0
    severity: Severity = "moderate"
    stations: tuple[Station, ...] = ()


class Watchword(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Raised when one of `words` is heard, as a whole word, whatever its case and form (fleet.alerts.watchwords)."""

    words: tuple[Annotated[str, Meta(min_length=1)], ...]
    severity: Severity = "high"

    @cached_property
    def finder(self) -> Watchwords:
        """Finds any of the words."""
        from fleet.alerts.watchwords import Watchwords  # noqa: PLC0415 - only alerting's machines have `regex`

        return Watchwords(self.words)


class PositionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Positions that mean "unknown": what firmware writes without a fix. Degrees WGS 84, compared as they are."""

    none: tuple[tuple[float, float], ...] = ((0.0, 0.0),)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules in force; None: the rule is off."""

    unrest: UnrestRule | None = None
    low_battery: LowBatteryRule | None = None
    watchword: Watchword | None = None
    silent: AbsenceRule | None = None
    position: PositionRule = PositionRule()


LOW: Final = 50_000
"""Drones of a partition whose low battery is remembered; past it, the oldest are forgotten and may be raised again."""


class Low(msgspec.Struct, gc=False):
    """A drone whose battery is low: how many limits it is below, and the time of that report."""

    step: int
    at: datetime


@dataclass
class Memory:
    """What rules remember of the drones of one partition: low batteries, and which drones are present or absent.

    `absence` is over all partitions of the process, `number` is this one's.
    """

    low: dict[str, Low] = field(default_factory=dict)
    absence: Absence = field(default_factory=Absence)
    number: int = 0
    most_low: int = LOW
    changed: set[str] = field(default_factory=set)  # drones whose saved state has changed

    def __post_init__(self) -> None:
        self.presence = self.absence.join(self.number)

    def remember_low(self, drone_id: str, low: Low) -> None:
        self.low.pop(drone_id, None)
        self.low[drone_id] = low
        self.changed.add(drone_id)
        if len(self.low) > self.most_low:
            self.forget_low(next(iter(self.low)))

    def forget_low(self, drone_id: str) -> None:
        del self.low[drone_id]
        self.changed.add(drone_id)


Nearest = Callable[[float, float], Place | None]

_WITHOUT_RULE: Final = AbsenceRule()


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """A report as it is judged: when the broker received it, and what names its place where it does not."""

    report: Report
    received_at: datetime
    nearest: Nearest
    has_fix: bool = True  # False: no position
    said_at: datetime | None = None  # the drone's own time, where it is not believed: `report` has the broker's


def sighting(report: Report, received_at: datetime, nearest: Nearest) -> Sighting:
    """A report as it is judged. If the drone's clock cannot be right, the broker's time replaces its time: the drone is
    there, and what it saw is true."""
    try:
        check_time(report.reported_at, received_at)
    except RejectedReport:
        believed = msgspec.structs.replace(report, reported_at=received_at)
        return Sighting(believed, received_at, nearest, said_at=report.reported_at)
    return Sighting(report, received_at, nearest)


def judge(rules: Rules, memory: Memory, seen: Sighting) -> list[Alert]:
    """The alerts that a report raises, and the clearings. `memory` is brought up to date."""
    if rules.position.none and (seen.report.latitude, seen.report.longitude) in rules.position.none:
        seen = msgspec.structs.replace(seen, has_fix=False)
    back, late = _speaks(rules.silent, memory, seen)
    raised = [
        _unrest(rules.unrest, seen),
        _low_battery(rules.low_battery, memory, seen, late=late),
        _watchword(rules.watchword, seen),
        back,
    ]
    if not any(raised):
        return []  # nearly every report
    alerts = [_with_note(alert, seen) for alert in raised if alert is not None]
    return mark_newcomers(memory, alerts, seen.received_at)


def mark_newcomers(memory: Memory, alerts: list[Alert], at: datetime) -> list[Alert]:
    """The alerts, with those of newcomers marked. A drone that nobody knows yet is a newcomer, too."""
    presence = memory.presence
    return [
        msgspec.structs.replace(alert, newcomer=True) if presence.is_newcomer(alert.drone_id, at) else alert
        for alert in alerts
    ]


def unrest_severity(rule: UnrestRule, score: int) -> Severity:
    """By the worst peace score; high where the drone raised an alert and saw nobody (0)."""
    if 0 < score <= rule.critical_at_most:
        return "critical"
    return "high" if score <= rule.high_at_most else "moderate"


def _unrest(rule: UnrestRule | None, seen: Sighting) -> Alert | None:
    if rule is None or not (seen.report.alert or (rule.score_at_most and _is_bad(rule, seen.report))):
        return None
    return _alert("unrest", unrest_severity(rule, worst_score(seen.report)), seen)


def _is_bad(rule: UnrestRule, report: Report) -> bool:
    return 0 < worst_score(report) <= rule.score_at_most


def _low_battery(rule: LowBatteryRule | None, memory: Memory, seen: Sighting, *, late: bool | None) -> Alert | None:
    """By the drone's time: a report that comes late does not show the present battery."""
    if rule is None or late or (seen.report.battery >= rule.clear_at and seen.report.drone_id not in memory.low):
        return None  # nearly every report
    drone, battery, at = seen.report.drone_id, millipercent(seen.report.battery), seen.report.reported_at
    limits = (rule.below, rule.high_below, rule.critical_below)
    step = sum(battery < millipercent(limit) for limit in limits)
    low = memory.low.get(drone)
    if low is None and step == 0:
        return None
    if low is not None and late is None and at < low.at:
        return None
    if low is None or step > low.step:
        memory.remember_low(drone, Low(step, at))
        return _alert("low_battery", _steps_of(rule)[step - 1], seen, note=_way_to_charge(rule, seen))
    low.at = at
    if battery >= millipercent(rule.clear_at):
        memory.forget_low(drone)
        return _alert("low_battery", rule.severity, seen, clears=True)
    return None


def _steps_of(rule: LowBatteryRule) -> tuple[Severity, Severity, Severity]:
    """Severities below each limit: never less than the rule's own."""
    base = _ORDER.index(rule.severity)
    return rule.severity, _ORDER[max(base, 1)], _ORDER[2]


def _way_to_charge(rule: LowBatteryRule, seen: Sighting) -> str:
    if not seen.has_fix:
        return ""
    report = seen.report
    nearest = nearest_station(rule.stations, report.latitude, report.longitude)
    if nearest is None:
        return ""
    station, distance, direction = nearest
    return f"{station.name}: {distance:.1f} km {compass(direction)}"


def _watchword(rule: Watchword | None, seen: Sighting) -> Alert | None:
    if rule is None:
        return None
    word = rule.finder.find(seen.report.message)
    return _alert("watchword", rule.severity, seen, note=word[:NAME]) if word else None


def _speaks(rule: AbsenceRule | None, memory: Memory, seen: Sighting) -> tuple[Alert | None, bool | None]:
    """The clearing of a drone that was absent, and whether the report is late; None if the drone is not known.

    Drones become known without a rule, too, since late reports and newcomers do not depend on it. Then none is called
    absent, and what an earlier rule raised is cleared.
    """
    report = seen.report
    latitude, longitude = (report.latitude, report.longitude) if seen.has_fix else (None, None)
    where = report.city or UNKNOWN, report.country or UNKNOWN, latitude, longitude
    heard = Heard(report.drone_id, seen.received_at, report.reported_at, *where, is_believed=seen.said_at is None)
    alert, late = memory.presence.hear(rule or _WITHOUT_RULE, heard)
    return (None if rule is None and alert is not None and not alert.clears else alert), late


def _with_note(alert: Alert, seen: Sighting) -> Alert:
    """Notes that a clock is wrong, except for history."""
    if alert.kind == "silent" or alert.clears or not (clock := _wrong_clock(seen)):
        return alert
    return msgspec.structs.replace(alert, note=f"{alert.note}; {clock}" if alert.note else clock)


def _wrong_clock(seen: Sighting) -> str:
    if seen.said_at is not None:
        return f"its clock is wrong, it says {seen.said_at.isoformat(timespec='minutes')}"
    behind = seen.received_at - seen.report.reported_at
    if CLOCK_OFF < behind <= LONG_AGO:
        return f"arrived {behind // timedelta(minutes=1)} min after its time: a slow clock, or out of reach"
    if -behind > CLOCK_OFF:
        return f"its clock is {-behind // timedelta(minutes=1)} min fast"
    return ""


def _alert(kind: Kind, severity: Severity, seen: Sighting, note: str = "", clears: bool = False) -> Alert:
    report = seen.report
    city, country = place(report, seen.nearest if seen.has_fix else _nowhere)
    more = ["cleared"] if clears else []
    return Alert(
        alert_id=alert_id(kind, report.drone_id, report.report_id, seen.said_at or report.reported_at, *more),
        kind=kind,
        severity=severity,
        incident_key=incident_key(kind, report.drone_id, (city, country)),
        report_id=report.report_id,
        drone_id=report.drone_id,
        reported_at=report.reported_at,
        received_at=seen.received_at,
        country=country,
        city=city,
        latitude=report.latitude if seen.has_fix else None,
        longitude=report.longitude if seen.has_fix else None,
        battery=report.battery,
        citizens=_least_peaceful(report.citizens),
        message=report.message[:HEARD],
        note=note,
        clears=clears,
    )


def incident_key(kind: Kind, drone_id: str, at: Place) -> str:
    """Unrest is of a city, everything else of a drone."""
    city, country = at
    if kind == "unrest":
        return f"{kind}{identity.SEPARATOR}{places.place_key(country, city)}"
    return identity.join(kind, drone_id)


def _nowhere(_latitude: float, _longitude: float) -> Place | None:
    return None


def place(report: Report, nearest: Nearest) -> Place:
    """City and country: the report's own, else of the nearest city, else unknown."""
    if report.city and report.country:
        return report.city, report.country
    city = nearest(report.latitude, report.longitude)
    if city is not None and report.country in (None, city[1]):
        return report.city or city[0], city[1]
    return report.city or UNKNOWN, report.country or UNKNOWN


def _least_peaceful(citizens: list[Citizen]) -> list[Citizen]:
    worst = sorted(citizens, key=lambda citizen: citizen.peace_score)[:SEEN]
    return [Citizen(citizen.name[:NAME], citizen.peace_score) for citizen in worst]
