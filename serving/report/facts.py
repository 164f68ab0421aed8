"""What a nightly report says, as data: the JSON form of the report, and the only input of its pages.

Units: counts are integers, shares 0 to 1, battery percent, peace scores 1 to 10, durations seconds, times RFC 3339.
None means unknown: no reports, or a view that was not computed yet. A field with another name in JSON has kept its name
of version 0.1 there.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from fleet import wire


class Figure(msgspec.Struct, frozen=True):
    """A figure of the day, of the day before, and the mean of the same week-day over the four weeks before."""

    value: float | None
    day_before: float | None = None
    usual: float | None = None


class HeadlineFigures(msgspec.Struct, frozen=True):
    """The day in five figures."""

    reports: Figure
    alerts: Figure
    peace_score: Figure
    battery: Figure
    low_drones: Figure


class IncidentOfDay(msgspec.Struct, frozen=True):
    """An incident of the day. `acknowledged_after` is seconds from its first alert, None: nobody acknowledged it."""

    incident_id: str
    kind: str
    severity: str
    state: str
    country: str
    city: str
    alerts: int
    since: datetime
    last: datetime
    worst_score: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    acknowledged_after: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds from the first alert to the last."""
        return (self.last - self.since).total_seconds()


class PlaceCount(msgspec.Struct, frozen=True):
    """Reports and alerts of a country, or of a city of it."""

    country: str
    reports: int
    alerts: int
    city: str = ""


class WeekdayCount(msgspec.Struct, frozen=True):
    """Alerts on one week-day (1 Monday to 7) over the four weeks that end with the day; `days` had reports."""

    weekday: int
    alerts: int
    days: int


class ScoreCount(msgspec.Struct, frozen=True):
    """Reports and alerts whose worst citizen had this peace score."""

    peace_score: int
    reports: int
    alerts: int


class Statistics(msgspec.Struct, frozen=True):
    """The five statistics of the day; hours are the officers'. `cities`: the first of `cities_total`."""

    alerts_by_hour: list[int]
    usual_by_hour: list[float]
    countries: list[PlaceCount]
    cities: list[PlaceCount]
    weekdays: list[WeekdayCount]
    scores: list[ScoreCount]
    cities_total: int = 0


class DroneOfDay(msgspec.Struct, frozen=True):
    """One drone of the day; `gap_minutes` is reports expected at one a minute less reports received."""

    drone_id: str
    country: str
    battery: float
    reports: int
    gap_minutes: int
    last: datetime


class DronesOfDay(msgspec.Struct, frozen=True):
    """Drones seen, low (last report below 20 %), silent (expected, none came), and the ones to look at first."""

    seen: int = 0
    low: int = 0
    silent: int | None = None
    with_gaps: int | None = None
    worst_batteries: list[DroneOfDay] = []
    longest_gaps: list[DroneOfDay] = []


class Wait(msgspec.Struct, frozen=True):
    """Alerts of one kind and severity that were notified later than a minute after their report, for one reason of
    strings.WHY: half of them within `median`, all within `longest`. Pending ones have no such times.
    """

    why: str
    kind: str
    severity: str
    alerts: int
    median: float | None = None
    longest: float | None = None


class DeliveryOfDay(msgspec.Struct, frozen=True):
    """Notifications on Discord, and how fast from the broker's time of the report (milliseconds)."""

    raised: int = 0
    notified: int = msgspec.field(default=0, name="told")
    messages: int = 0
    latency_p50: float | None = None
    latency_p99: float | None = None
    waited: int = 0
    waits: list[Wait] = []


class Quality(msgspec.Struct, frozen=True):
    """The quality of the day's data. `late` reports landed after the day was complete; `expected`: at one a minute.

    `lost`, `lost_alerts`: messages that expired before they landed, and may have been of the day, at most; None:
    unknown. `losses` has each.
    """

    received: int = 0
    expected: int | None = None
    late: int | None = None
    duplicates: int | None = msgspec.field(default=None, name="copies")
    rejected: dict[str, int] = {}
    lost: int | None = 0
    lost_alerts: int | None = 0
    losses: list[str] = []
    conflicts: int | None = None


class Making(msgspec.Struct, frozen=True):
    """What the report was made from: the version of the lake that its figures are true at, and the batch run."""

    version: int
    batch_version: int | None
    as_of: datetime | None
    made_at: datetime
    batch_run: str | None = None
    batch_seconds: float | None = None


class Change(msgspec.Struct, frozen=True):
    """What a revision changed: the name of a figure, before and after."""

    figure: str
    before: float | None
    after: float | None


class DayReport(msgspec.Struct, frozen=True):
    """All facts of the report of `day`. `timezone` is the officers' (whole hours from UTC).

    `utc_day` is the UTC day that cities, drones and quality are of, where that is not the officers' own;
    `utc_day_complete`: whether nothing of it may still arrive or be computed.
    """

    day: date
    timezone: str
    state: Literal["complete", "incomplete", "empty"]
    missing: list[str]
    revision: int
    changes: list[Change]
    headline: HeadlineFigures
    incidents: list[IncidentOfDay]
    incidents_total: int
    statistics: Statistics
    drones: DronesOfDay
    delivery: DeliveryOfDay
    quality: Quality
    making: Making
    link: str = ""
    utc_day: date | None = None
    utc_day_complete: bool = True

    @property
    def misses_lost_alone(self) -> bool:
        """Whether all that is missing was lost, so that waiting is useless."""
        return bool(self.missing) and set(self.missing) <= set(self.quality.losses)


_codec = wire.Codec(DayReport, "a nightly report")


def to_json(report: DayReport) -> bytes:
    """The stored form: keys in a fixed order, so that the same report gives the same bytes."""
    return msgspec.json.format(_codec.encode(report), indent=1)


def from_json(text: bytes) -> DayReport:
    """Raises NewerLayout if a newer version wrote it, and msgspec.MsgspecError if the bytes are not a report."""
    return _codec.decode(text)
