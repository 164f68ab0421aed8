"""When a report raises an alert. Rules are data; judging is pure, and the same code wherever it is used.

What a rule must remember of a drone is in a `Memory`, one for each partition of `reports`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from fleet import identity, places
from fleet.alerts.absence import Last, Silence, Silent
from fleet.alerts.alert import Alert, Kind, Severity, alert_id
from fleet.alerts.charging import Station, compass, nearest_station
from fleet.reports.fields import LOW_BATTERY
from fleet.reports.report import UNKNOWN, Citizen, Report, worst_score

HEARD: Final = 1000
NAME: Final = 100
SEEN: Final = 10
"""Characters of a message and of a name, and citizens, that an alert takes along: more than any message shows."""

Place = tuple[str, str]
"""City and country."""


Percent = Annotated[float, Meta(ge=0, le=100)]
Score = Annotated[int, Meta(ge=0, le=10)]


class Unrest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The drone's own flag; and, where `score_at_most` is not 0, a citizen at or under that peace score."""

    score_at_most: Score = 0
    critical_at_most: Score = 2
    high_at_most: Score = 4


class LowBattery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raised below `below` percent, once; cleared at `clear_at`. `stations` may be empty."""

    below: Percent = LOW_BATTERY
    clear_at: Percent = 30.0
    severity: Severity = "moderate"
    stations: tuple[Station, ...] = ()


class Watchword(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Raised when one of `words` is heard, as a whole word, whatever its case."""

    words: tuple[Annotated[str, Meta(min_length=1)], ...]
    severity: Severity = "high"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds any of the words."""
        return re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in self.words), re.IGNORECASE)


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules in force; one that is None raises nothing."""

    unrest: Unrest | None = None
    low_battery: LowBattery | None = None
    watchword: Watchword | None = None
    silent: Silent | None = None


@dataclass
class Memory:
    """What rules remember of the drones of one partition: those whose battery is low, and when each last spoke."""

    low: set[str] = field(default_factory=set)
    silence: Silence = field(default_factory=Silence)


Nearest = Callable[[float, float], Place | None]


@dataclass(frozen=True)
class Sighting:
    """A report as it is judged: when the broker took it, and what names a place that it does not name itself."""

    report: Report
    received_at: datetime
    nearest: Nearest


def judge(rules: Rules, memory: Memory, seen: Sighting) -> list[Alert]:
    """The alerts that a report raises, and the clearings. `memory` is brought up to date."""
    found = [
        _unrest(rules.unrest, seen),
        _low_battery(rules.low_battery, memory, seen),
        _watchword(rules.watchword, seen),
        _speaks_again(rules.silent, memory, seen),
    ]
    return [alert for alert in found if alert is not None]


def unrest_severity(rule: Unrest, score: int) -> Severity:
    """By the worst peace score; high where the drone raised an alert and saw nobody (0)."""
    if 0 < score <= rule.critical_at_most:
        return "critical"
    return "high" if score <= rule.high_at_most else "moderate"


def _unrest(rule: Unrest | None, seen: Sighting) -> Alert | None:
    if rule is None or not (seen.report.alert or (rule.score_at_most and _is_bad(rule, seen.report))):
        return None
    return _alert("unrest", unrest_severity(rule, worst_score(seen.report)), seen)


def _is_bad(rule: Unrest, report: Report) -> bool:
    return 0 < worst_score(report) <= rule.score_at_most


def _low_battery(rule: LowBattery | None, memory: Memory, seen: Sighting) -> Alert | None:
    if rule is None:
        return None
    drone, battery = seen.report.drone_id, seen.report.battery
    if battery < rule.below and drone not in memory.low:
        memory.low.add(drone)
        return _alert("low_battery", rule.severity, seen, note=_way_to_charge(rule, seen.report))
    if battery >= rule.clear_at and drone in memory.low:
        memory.low.remove(drone)
        return _alert("low_battery", rule.severity, seen, clears=True)
    return None


def _way_to_charge(rule: LowBattery, report: Report) -> str:
    found = nearest_station(rule.stations, report.latitude, report.longitude)
    return f"{found[0].name}: {found[1]:.1f} km {compass(found[2])}" if found else ""


def _watchword(rule: Watchword | None, seen: Sighting) -> Alert | None:
    if rule is None:
        return None
    match = rule.pattern.search(seen.report.message)
    return _alert("watchword", rule.severity, seen, note=match.group()[:NAME]) if match else None


def _speaks_again(rule: Silent | None, memory: Memory, seen: Sighting) -> Alert | None:
    if rule is None:
        return None
    report = seen.report
    where = report.city or UNKNOWN, report.country or UNKNOWN, report.latitude, report.longitude
    return memory.silence.hear(rule, report.drone_id, Last(seen.received_at, *where), report.reported_at)


def _alert(kind: Kind, severity: Severity, seen: Sighting, note: str = "", clears: bool = False) -> Alert:
    report = seen.report
    city, country = place(report, seen.nearest)
    more = ["cleared"] if clears else []
    return Alert(
        alert_id=alert_id(kind, report.drone_id, report.report_id, report.reported_at, *more),
        kind=kind,
        severity=severity,
        incident_key=incident_key(kind, report.drone_id, (city, country)),
        report_id=report.report_id,
        drone_id=report.drone_id,
        reported_at=report.reported_at,
        received_at=seen.received_at,
        country=country,
        city=city,
        latitude=report.latitude,
        longitude=report.longitude,
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


def place(report: Report, nearest: Nearest) -> Place:
    """City and country: the report's own, else of the nearest city, else unknown."""
    if report.city and report.country:
        return report.city, report.country
    found = nearest(report.latitude, report.longitude)
    if found is not None and report.country in (None, found[1]):
        return report.city or found[0], found[1]
    return report.city or UNKNOWN, report.country or UNKNOWN


def _least_peaceful(citizens: list[Citizen]) -> list[Citizen]:
    worst = sorted(citizens, key=lambda citizen: citizen.peace_score)[:SEEN]
    return [Citizen(citizen.name[:NAME], citizen.peace_score) for citizen in worst]
