"""Which drones have fallen silent. Pure; one `Silence` for each partition of `reports`, and a clock that is passed in.

A drone is silent when it has missed so many intervals by the broker's time. It counts from its last *live* report: a
replay of history makes nobody present, so nobody silent. When very many fall silent at once, or the whole feed stops,
that is one alert for all of them. After a gap, or in a process that has just taken over, everybody first gets the time
to speak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final
from zlib import crc32

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert, Severity, alert_id
from fleet.reports.report import UNKNOWN

FLEET: Final = "fleet"
"""Stands for the drone in an alert of many: they share one incident."""

FORGOTTEN: Final = timedelta(days=1)
"""A drone silent for so long is taken out of service, not waited for."""


BUCKETS: Final = 64
"""One is saved with each checkpoint, so a successor's knowledge is at most this many checkpoints old."""


class Silent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No report for `missed` intervals of `interval` seconds; more than `crowd` at once are one alert."""

    interval: float = 60.0
    missed: int = 3
    crowd: int = 50
    severity: Severity = "high"

    @property
    def limit(self) -> timedelta:
        return timedelta(seconds=self.interval * self.missed)


class Last(msgspec.Struct, frozen=True, gc=False):
    """When and where a drone last spoke; the place is unknown of one that only its time was saved of.

    The collector passes it by: a look at half a million of these held every alert up for 0.1 to 0.2 s.
    """

    at: datetime
    city: str = UNKNOWN
    country: str = UNKNOWN
    latitude: float | None = None
    longitude: float | None = None


@dataclass
class Silence:
    """`last` is in the order of time. `crowd` is how many fell silent at once and are not back, or 0.

    Drones are in BUCKETS by their ids, so that a little at a time can be saved.
    """

    last: dict[str, Last] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    crowd: int = 0
    heard_at: datetime | None = None  # the last live report of anybody
    sure_from: datetime | None = None  # before this nobody is called silent
    buckets: dict[int, set[str]] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)  # buckets that differ from what was last saved

    def hear(self, rule: Silent, drone_id: str, last: Last, reported_at: datetime) -> Alert | None:
        """Takes a report in; the clearing, when the drone was silent."""
        if last.at - reported_at > rule.limit:
            return None  # history
        if self.heard_at is None or last.at - self.heard_at > rule.limit:
            self.sure_from = last.at + rule.limit
        self.heard_at = last.at
        self._remember(drone_id, last)
        if drone_id not in self.silent:
            return None
        self.silent.remove(drone_id)
        return _alert(rule, drone_id, last, last.at, clears=True)

    def restore(self, spoke_at: Mapping[str, datetime]) -> None:
        """Takes in what was saved of the buckets."""
        for drone_id, at in sorted(spoke_at.items(), key=lambda item: item[1]):
            self._remember(drone_id, Last(at))
        self.changed.clear()

    def saved(self, number: int) -> dict[str, datetime]:
        """What to save of a bucket: when each of its drones last spoke."""
        return {drone_id: self.last[drone_id].at for drone_id in self.buckets.get(number, ())}

    def sweep(self, rule: Silent, now: datetime) -> list[Alert]:
        """The alerts of those that are silent at `now`, the broker's time."""
        if self.sure_from is None:
            self.sure_from = now + rule.limit
        overdue = [d for d, _ in takewhile(lambda item: now - item[1].at >= rule.limit, self.last.items())]
        if self.crowd:
            return self._crowd_is_back(rule, overdue, now)
        if now < self.sure_from:
            return []
        self._forget(overdue, now)
        fresh = [drone_id for drone_id in overdue if drone_id in self.last and drone_id not in self.silent]
        if len(fresh) > rule.crowd:
            self.crowd = len(overdue)
            return [_crowd(rule, len(fresh), self.last[fresh[-1]], now)]
        self.silent.update(fresh)
        return [_alert(rule, drone_id, self.last[drone_id], now) for drone_id in fresh]

    def _crowd_is_back(self, rule: Silent, overdue: list[str], now: datetime) -> list[Alert]:
        if len(overdue) > self.crowd / 2:
            return []
        self.crowd, self.sure_from = 0, now + rule.limit
        return [_alert(rule, FLEET, Last(now), now, clears=True)]

    def _forget(self, overdue: list[str], now: datetime) -> None:
        for drone_id in overdue:
            if now - self.last[drone_id].at >= FORGOTTEN:
                del self.last[drone_id]
                self.silent.discard(drone_id)
                self.buckets[bucket(drone_id)].discard(drone_id)
                self.changed.add(bucket(drone_id))

    def _remember(self, drone_id: str, last: Last) -> None:
        at = bucket(drone_id)
        if self.last.pop(drone_id, None) is None:
            self.buckets.setdefault(at, set()).add(drone_id)
        self.last[drone_id] = last
        self.changed.add(at)


def bucket(drone_id: str) -> int:
    """The same in every process."""
    return crc32(drone_id.encode()) % BUCKETS


def _crowd(rule: Silent, count: int, last: Last, now: datetime) -> Alert:
    note = f"{count} drones at once: look at the feed before the drones"
    return msgspec.structs.replace(_alert(rule, FLEET, Last(last.at), now), note=note)


def _alert(rule: Silent, drone_id: str, last: Last, now: datetime, clears: bool = False) -> Alert:
    """Its id is made of the time of the last report: the same silence has the same id, whoever finds it."""
    report_id = f"after-{int(last.at.timestamp() * 1000)}"
    return Alert(
        alert_id=alert_id("silent", drone_id, report_id, last.at, *(["cleared"] if clears else [])),
        kind="silent",
        severity=rule.severity,
        incident_key=identity.join("silent", drone_id),
        report_id=report_id,
        drone_id=drone_id,
        reported_at=last.at.astimezone(UTC),
        received_at=now,
        country=last.country,
        city=last.city,
        latitude=last.latitude,
        longitude=last.longitude,
        note="" if clears else f"last report {last.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        clears=clears,
    )
