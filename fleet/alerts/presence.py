"""The drones of a partition of `reports`: which are present, which absent, and what is known of them. Pure.

A drone is present by the broker's time, whatever its own clock says. It becomes known by a report that is not old: a
replay of history makes no drone present, so none absent.

- A drone that has missed its intervals is absent, and held until it is known whether many are (`fleet.alerts.crowd`).
  Its absence is cleared by the second report that comes in time: a drone that reports only now and then has one
  incident, which says so.
- After a gap, or in a process that has just taken over, every drone first gets the time to report.

- A drone is a newcomer until it has been known for a while (fleet.alerts.newcomer).

What senders can add is bounded (`Bounds`), and forgotten with time (FORGOTTEN). Where there is no room, newcomers are
forgotten first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from types import MappingProxyType
from typing import Final
from zlib import crc32

import msgspec

from fleet.alerts.absent_drone import AbsenceRule, Absent, Heard, KnownDrone, Nearest, alert_of, alert_of_flapping
from fleet.alerts.alert import Alert
from fleet.alerts.crowd import CrowdDrones
from fleet.alerts.newcomer import FLEET_KNOWN_AFTER, Newcomer
from fleet.reports.report import EARLIEST

FORGOTTEN: Final = timedelta(days=1)
"""A drone absent for so long is taken out of service, not waited for."""

BUCKETS: Final = 64
"""One bucket is saved with each checkpoint, so what a successor knows of a drone's clock is at most this many
checkpoints old (decision 99)."""

LONG_AGO: Final = timedelta(hours=1)
"""A report that arrives this late makes no drone known: it is history. Slow clocks and backlogs are within it."""

KNOWN: Final = 200_000
"""Drones of a partition: twice the mission's 540,000 over six. About 60 MB; past it, drones that reported once are
forgotten first, then other newcomers."""

ABSENT: Final = 50_000
"""Absent drones of a partition that are remembered; newcomers go first, then the oldest."""

OVERDUE: Final = 1000
"""Overdue drones of a partition that are counted: more than any crowd begins with."""

SLICE: Final = 10_000
"""Drones in one look, about 10 ms: no alert waits longer for it."""


@dataclass(frozen=True)
class Bounds:
    """How much is remembered of a partition at most, and the drones in one look."""

    known: int = KNOWN
    absent: int = ABSENT
    slice: int = SLICE


@dataclass
class Presence:
    """The drones of a partition. `present` is in the order of time; each drone is in one of both."""

    present: dict[str, KnownDrone] = field(default_factory=dict)
    absent: dict[str, Absent] = field(default_factory=dict)
    crowd: CrowdDrones = field(default_factory=CrowdDrones)  # absent drones that the fleet knows
    newcomers_crowd: CrowdDrones = field(default_factory=CrowdDrones)  # absent newcomers
    strangers: dict[str, None] = field(default_factory=dict)  # present, and have reported once
    newcomers: dict[str, None] = field(default_factory=dict)  # present, strangers too
    absent_newcomers: dict[str, None] = field(default_factory=dict)
    began: datetime | None = None  # the first report that made a drone known
    heard_at: datetime | None = None  # the last live report of any drone
    sure_from: datetime | None = None  # before this no drone is called absent
    buckets: dict[int, dict[str, None]] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)  # buckets that differ from what was last saved
    changed_drones: set[str] = field(default_factory=set)  # whose saved state has changed
    dropped: int = 0  # forgotten for lack of room
    take: Callable[[str], Absent | None] = lambda _drone_id: None  # takes an absent drone out of another partition
    fleet_began: Callable[[], datetime | None] = lambda: None  # `began` of the whole process's partitions
    is_known_elsewhere: Callable[[str], bool] = lambda _drone_id: False  # in another partition of the process
    bounds: Bounds = Bounds()

    def hear(self, rule: AbsenceRule, heard: Heard) -> tuple[Alert | None, bool | None]:
        """Enters a report. Returns the clearing, or the alert of a drone that comes and goes; and whether the report is
        late, None for a drone that is not known.
        """
        drone = self.present.pop(heard.drone_id, None)
        if drone is None:
            absent = self.absent.get(heard.drone_id) or self._move_here(heard.drone_id)
            if absent is not None:
                self._note_time(rule, heard.at)
                return self._hear_absent(rule, heard, absent)
            if heard.at - heard.reported_at > LONG_AGO:
                return None, None
            drone = self._meet(heard.drone_id, heard.at)
        elif drone.newcomer is not None:
            self._count_report(rule, heard, drone, drone.newcomer)
        self._note_time(rule, heard.at)
        late = drone.hear(heard)
        self.present[heard.drone_id] = drone
        self.changed.add(drone.bucket)
        return None, late

    def look(self, rule: AbsenceRule, now: datetime) -> bool:
        """Moves drones that are overdue at `now`, the broker's time, to the absent. Returns whether there are more."""
        if self.sure_from is None:
            self.sure_from = now + rule.limit
        if now < self.sure_from:
            return False
        has_newcomers = self._is_old_fleet(now)
        for _ in range(self.bounds.slice):
            drone_id, drone = next(iter(self.present.items()), ("", None))
            if drone is None or now - drone.at < rule.limit:
                return False
            del self.present[drone_id]
            self.absent[drone_id] = Absent(drone, drone.at)
            self._note_newcomer(drone_id, drone)
            is_newcomer = has_newcomers and drone.newcomer is not None
            (self.newcomers_crowd if is_newcomer else self.crowd).held[drone_id] = None
        return True

    def overdue(self, rule: AbsenceRule, now: datetime, *, of_newcomers: bool = False) -> int:
        """How many drones of the next look become absent within half an interval unless they report; at most
        OVERDUE."""
        before = now - rule.limit + timedelta(seconds=rule.interval) / 2
        first = islice(self.present.items(), self.bounds.slice)
        overdue = takewhile(lambda item: item[1].at <= before, first)
        has_newcomers = self._is_old_fleet(now)
        of_these = (1 for _, drone in overdue if (has_newcomers and drone.newcomer is not None) is of_newcomers)
        return sum(1 for _ in islice(of_these, OVERDUE))

    def forget_old(self, now: datetime) -> None:
        """Forgets drones that have not reported for FORGOTTEN, and absent ones for which there is no room."""
        for _ in range(self.bounds.slice):
            drone_id, absent = next(iter(self.absent.items()), ("", None))
            if absent is None:
                break
            if now - absent.drone.at < FORGOTTEN:
                if len(self.absent) <= self.bounds.absent:
                    break
                drone_id = next(iter(self.absent_newcomers), drone_id)
            self.forget(drone_id)
        for _ in range(self.bounds.slice):  # where no rule makes them absent before
            drone_id, drone = next(iter(self.present.items()), ("", None))
            if drone is None or now - drone.at < FORGOTTEN:
                return
            self.forget(drone_id)

    def forget(self, drone_id: str) -> None:
        """Forgets all that is known of a drone."""
        absent = self.absent.pop(drone_id, None)
        drone = absent.drone if absent is not None else self.present.pop(drone_id, None)
        if drone is not None:
            self.buckets[drone.bucket].pop(drone_id, None)
            self.changed.add(drone.bucket)
            self.changed_drones.add(drone_id)
        for names in (self.strangers, self.newcomers, self.absent_newcomers):
            names.pop(drone_id, None)
        self._leave_crowds(drone_id)
        if not self.present and not self.absent:
            self.began = None  # the next drone is the first of a fleet

    def restore(
        self,
        spoke_at: Mapping[str, datetime],
        absent_since: Mapping[str, datetime],
        newcomers: Mapping[str, Newcomer] = MappingProxyType({}),
    ) -> None:
        """Enters what was saved: when drones last reported, since when those with an incident are absent, and which are
        newcomers."""
        for drone_id, at in sorted(spoke_at.items(), key=lambda item: item[1]):
            if drone_id not in absent_since:
                self.present[drone_id] = self._made(drone_id, at, newcomers.get(drone_id))
        for drone_id, since in sorted(absent_since.items(), key=lambda item: item[1]):
            at = max(since, spoke_at.get(drone_id, since))
            drone = self._made(drone_id, at, newcomers.get(drone_id))
            self.absent[drone_id] = Absent(drone, since, notified=True)
        for drone_id in sorted(newcomers, key=lambda id_: newcomers[id_].since):
            if (known := self._find(drone_id)) is not None:
                self._note_newcomer(drone_id, known)
        self.changed.clear()

    def come_back(self, drone_id: str, back_at: datetime | None, times: int) -> None:
        """Enters that a restored absent drone has reported again, and how often it was absent in a row."""
        absent = self.absent[drone_id]
        absent.times, absent.is_back = times, back_at is not None
        absent.drone.at = max(absent.drone.at, back_at or absent.drone.at)

    def restore_crowd(self, until: datetime) -> None:
        """Makes one crowd of the drones that had not reported since `until`."""
        members = [d for d, drone in self.present.items() if drone.at <= until and not self.is_newcomer(d, until)]
        for drone_id in members:
            drone = self.present.pop(drone_id)
            self.absent[drone_id], self.crowd.members[drone_id] = Absent(drone, drone.at), None
            self._note_newcomer(drone_id, drone)

    def order(self, drone_id: str, reported_at: datetime, ordered_at: datetime | None = None) -> None:
        """Enters the newest known time of a restored drone's own clock, and the broker's time of that report."""
        drone = self._find(drone_id)
        if drone is not None and reported_at > drone.reported_at:
            drone.reported_at, drone.ordered_at = reported_at, ordered_at or drone.at

    def saved(self, number: int) -> dict[str, datetime]:
        """What to save of a bucket: when each of its drones last reported."""
        return {drone_id: drone.at for drone_id, drone in self._of_bucket(number)}

    def clocks(self, number: int) -> dict[str, tuple[datetime, datetime]]:
        """What to save of a bucket, too: the newest time by each drone's own clock, and the broker's time of that."""
        known = ((drone_id, drone) for drone_id, drone in self._of_bucket(number) if drone.reported_at > EARLIEST)
        return {drone_id: (drone.reported_at, drone.ordered_at) for drone_id, drone in known}

    def newcomers_of(self, number: int) -> dict[str, Newcomer]:
        """What to save of a bucket, too: its newcomers."""
        drones = self._of_bucket(number)
        return {drone_id: drone.newcomer for drone_id, drone in drones if drone.newcomer is not None}

    def is_newcomer(self, drone_id: str, at: datetime) -> bool:
        """Whether the drone is new to the fleet at `at`. While the fleet itself is new, no drone is."""
        drone = self._find(drone_id)
        is_known = self.is_known_elsewhere(drone_id) if drone is None else drone.newcomer is None
        return not is_known and self._is_old_fleet(at)

    def knows(self, drone_id: str) -> bool:
        """Whether the drone is one of this partition, and no newcomer."""
        drone = self._find(drone_id)
        return drone is not None and drone.newcomer is None

    def is_steady(self, drone_id: str) -> bool:
        """Whether the drone is present, and has reported more than once."""
        return drone_id in self.present and drone_id not in self.strangers

    def spoke_at(self, drone_id: str) -> datetime | None:
        """When a drone last reported; None if it is not known here."""
        drone = self._find(drone_id)
        return None if drone is None else drone.at

    def reported_at(self, drone_id: str) -> datetime:
        """The newest time by a drone's own clock; EARLIEST where it is not known here."""
        drone = self._find(drone_id)
        return EARLIEST if drone is None else drone.reported_at

    def raise_alone(self, rule: AbsenceRule, drone_id: str, now: datetime, nearest: Nearest) -> Alert:
        """The alert of a single absent drone, which from now on has an incident of its own."""
        self._leave_crowds(drone_id)
        self.changed_drones.add(drone_id)
        absent = self.absent[drone_id]
        absent.notified = True
        absent.drone.name_place(nearest)
        alert = alert_of(rule, drone_id, absent, now)
        return msgspec.structs.replace(alert, newcomer=True) if self.is_newcomer(drone_id, now) else alert

    def absent_since(self, drones: CrowdDrones) -> Iterator[datetime]:
        """Since when the drones that are held or members are absent."""
        return (self.absent[drone_id].since for drone_id in (*drones.held, *drones.members))

    def _is_old_fleet(self, at: datetime) -> bool:
        began = self.fleet_began() or self.began
        return began is not None and at - began >= FLEET_KNOWN_AFTER

    def _leave_crowds(self, drone_id: str) -> None:
        self.crowd.drop(drone_id)
        self.newcomers_crowd.drop(drone_id)

    def _find(self, drone_id: str) -> KnownDrone | None:
        absent = self.absent.get(drone_id)
        return self.present.get(drone_id) if absent is None else absent.drone

    def _of_bucket(self, number: int) -> Iterator[tuple[str, KnownDrone]]:
        for drone_id in self.buckets.get(number, ()):
            drone = self._find(drone_id)
            if drone is not None:
                yield drone_id, drone

    def _move_here(self, drone_id: str) -> Absent | None:
        absent = self.take(drone_id)
        if absent is not None:
            self.buckets.setdefault(absent.drone.bucket, {})[drone_id] = None
            self.absent[drone_id] = absent
            self._note_newcomer(drone_id, absent.drone)
            self.changed_drones.add(drone_id)
        return absent

    def _note_time(self, rule: AbsenceRule, at: datetime) -> None:
        if self.heard_at is None or at - self.heard_at > rule.limit:
            self.sure_from = at + rule.limit
        self.heard_at = at

    def _meet(self, drone_id: str, at: datetime) -> KnownDrone:
        if len(self.present) + len(self.absent) >= self.bounds.known:
            self.dropped += 1
            in_order = (self.strangers, self.newcomers, self.absent_newcomers, self.absent, self.present)
            self.forget(next(iter(next(names for names in in_order if names))))
        self.began = self.began or at
        if self.is_known_elsewhere(drone_id):  # it moved here: the topic was given more partitions
            return self._made(drone_id, at, None)
        self.strangers[drone_id] = self.newcomers[drone_id] = None
        return self._made(drone_id, at, Newcomer(at))

    def _made(self, drone_id: str, at: datetime, newcomer: Newcomer | None) -> KnownDrone:
        number = bucket(drone_id)
        self.buckets.setdefault(number, {})[drone_id] = None
        return KnownDrone(at, number, newcomer=newcomer)

    def _count_report(self, rule: AbsenceRule, heard: Heard, drone: KnownDrone, newcomer: Newcomer) -> None:
        self.strangers.pop(heard.drone_id, None)
        if newcomer.report(heard.at, rule.reports_needed):
            drone.newcomer = None
            self.newcomers.pop(heard.drone_id, None)
            self.absent_newcomers.pop(heard.drone_id, None)

    def _note_newcomer(self, drone_id: str, drone: KnownDrone) -> None:
        """Keeps the sets of newcomers true after the drone has become present or absent."""
        for names in (self.strangers, self.newcomers, self.absent_newcomers):
            names.pop(drone_id, None)
        if drone.newcomer is None:
            return
        if drone_id in self.absent:
            self.absent_newcomers[drone_id] = None
            return
        self.newcomers[drone_id] = None
        if drone.newcomer.reports == 1:
            self.strangers[drone_id] = None

    def _hear_absent(self, rule: AbsenceRule, heard: Heard, absent: Absent) -> tuple[Alert | None, bool]:
        gap = heard.at - absent.drone.at
        late = absent.drone.hear(heard)
        if absent.drone.newcomer is not None:
            self._count_report(rule, heard, absent.drone, absent.drone.newcomer)
        self.changed.add(absent.drone.bucket)
        if absent.is_back and gap <= timedelta(0):
            return None, late  # read a second time, by a successor
        steady = absent.is_back and gap < rule.limit
        if absent.notified and not steady:
            self.absent[heard.drone_id] = self.absent.pop(heard.drone_id)  # keeps the order of time
            absent.times += absent.is_back
            comes_and_goes = absent.is_back and absent.times.bit_count() == 1  # the 2nd, 4th, 8th … time: few messages
            absent.is_back = True
            self.changed_drones.add(heard.drone_id)
            return (alert_of_flapping(rule, heard, absent, gap) if comes_and_goes else None), late
        del self.absent[heard.drone_id]
        self._leave_crowds(heard.drone_id)
        self.present[heard.drone_id] = absent.drone
        self._note_newcomer(heard.drone_id, absent.drone)
        if not absent.notified:
            return None, late
        self.changed_drones.add(heard.drone_id)
        return alert_of(rule, heard.drone_id, absent, heard.at, clears=True), late


def bucket(drone_id: str) -> int:
    """The bucket of a drone, the same in every process."""
    return crc32(drone_id.encode("utf-8", "surrogatepass")) % BUCKETS
