"""One drone: when it last reported, when it is absent, and the alert of its absence. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert, Severity, alert_id
from fleet.alerts.newcomer import Newcomer, reports_needed
from fleet.reports.report import EARLIEST, UNKNOWN

CLOCK_OFF: Final = timedelta(minutes=2)
"""A report arrives within seconds; later than this, the clock is slow or the drone was out of reach, and the alert says
so."""

CLOCK_SET_BACK: Final = timedelta(minutes=15)
"""If all reports in this time are older than an earlier one, they are not a backlog: the drone's clock was set back."""

LOOKS: Final = 4
"""Looks for absent drones in an interval: an alert is late by a quarter of the interval at most."""

Nearest = Callable[[float, float], tuple[str, str] | None]


class AbsenceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """No report for `missed` intervals of `interval` seconds; more than `crowd` at once are one alert."""

    interval: float = 60.0
    missed: int = 3
    crowd: int = 50
    severity: Severity = "high"

    @cached_property
    def limit(self) -> timedelta:
        """How long a drone may go without a report."""
        return timedelta(seconds=self.interval * self.missed)

    @cached_property
    def look_every(self) -> timedelta:
        """How often absent drones are looked for, and each process sends its shares to the others."""
        return timedelta(seconds=self.interval) / LOOKS

    @cached_property
    def reports_needed(self) -> int:
        """How many reports make a drone known (fleet.alerts.newcomer)."""
        return reports_needed(timedelta(seconds=self.interval))


class KnownDrone(msgspec.Struct, gc=False):
    """When and where a drone last reported; the place is unknown where only the time was saved.

    The garbage collector ignores it: visiting half a million of these delayed every alert by 0.1 to 0.2 s.
    """

    at: datetime  # the broker's time of its last report
    bucket: int
    reported_at: datetime = EARLIEST  # the newest time of its own clock
    ordered_at: datetime = EARLIEST  # the broker's time of that report
    city: str = UNKNOWN
    country: str = UNKNOWN
    latitude: float | None = None
    longitude: float | None = None
    newcomer: Newcomer | None = None  # None: the fleet has known it for a while
    is_believed: bool = True  # whether its clock was believed at its last report

    def hear(self, heard: Heard) -> bool:
        """Enters a report. Returns whether it is late: then it does not say where the drone is now."""
        self.at, self.is_believed = heard.at, heard.is_believed
        if heard.reported_at < self.reported_at and self.is_late(heard.reported_at, heard.at):
            return True
        self.reported_at, self.ordered_at = heard.reported_at, heard.at
        self.city, self.country = heard.city, heard.country
        self.latitude, self.longitude = heard.latitude, heard.longitude
        return False

    def name_place(self, nearest: Nearest) -> None:
        """Names the place of a drone whose reports had a position but no place."""
        if UNKNOWN not in (self.city, self.country) or self.latitude is None or self.longitude is None:
            return
        named = nearest(self.latitude, self.longitude)
        if named is not None and self.country in (UNKNOWN, named[1]):
            self.city = named[0] if self.city == UNKNOWN else self.city
            self.country = named[1]

    def is_late(self, reported_at: datetime, at: datetime) -> bool:
        """Whether a report is older than an earlier one, and the clock was not set back."""
        return reported_at < self.reported_at and at - self.ordered_at <= CLOCK_SET_BACK


class Absent(msgspec.Struct, gc=False):
    """A drone that missed its intervals. `notified`: it has an incident of its own."""

    drone: KnownDrone
    since: datetime  # its last report before the absence
    notified: bool = False
    is_back: bool = False  # it has reported again, but not yet steadily
    times: int = 1  # how often it became absent without reporting steadily in between


class Heard(msgspec.Struct, frozen=True, gc=False):
    """The fields of a report that absence needs."""

    drone_id: str
    at: datetime
    reported_at: datetime
    city: str
    country: str
    latitude: float | None
    longitude: float | None
    is_believed: bool = True  # False: `reported_at` is the broker's time, because the drone's clock is wrong


def alert_of(rule: AbsenceRule, drone_id: str, absent: Absent, now: datetime, *, clears: bool = False) -> Alert:
    """The alert of an absence. Its id has the time of the last report, so every process gives the same id."""
    drone, since = absent.drone, absent.since.astimezone(UTC)
    report_id = after(since)
    note = f"last report {since:%Y-%m-%d %H:%M:%S} UTC"
    slow = drone.ordered_at - drone.reported_at
    if not drone.is_believed:
        note += ", by a clock that is wrong"
    elif drone.reported_at > EARLIEST and abs(slow) > CLOCK_OFF:
        off = f"{abs(slow) // timedelta(minutes=1)} min {'slow' if slow > timedelta(0) else 'fast'}"
        note += f", by a clock that was {off}"
    return Alert(
        alert_id=alert_id("silent", drone_id, report_id, since, *(["cleared"] if clears else [])),
        kind="silent",
        severity=rule.severity,
        incident_key=identity.join("silent", drone_id),
        report_id=report_id,
        drone_id=drone_id,
        reported_at=since,
        received_at=now,
        country=drone.country,
        city=drone.city,
        latitude=drone.latitude,
        longitude=drone.longitude,
        note="" if clears else note,
        clears=clears,
    )


def alert_of_flapping(rule: AbsenceRule, heard: Heard, absent: Absent, gap: timedelta) -> Alert:
    """The alert of a drone that comes and goes."""
    note = f"absent {absent.times} times in a row: it reports only now and then, last after {gap.total_seconds():.0f} s"
    alert = alert_of(rule, heard.drone_id, absent, heard.at)
    return msgspec.structs.replace(alert, note=note, alert_id=f"{alert.alert_id}/{absent.times}")


def after(since: datetime) -> str:
    """In the alert of an absence since then, used as the report's id."""
    return f"after-{int(since.timestamp() * 1000)}"
