"""Which drones are absent. Pure; a `Presence` for each partition of `reports`, an `Absence` over all of a process.

A drone is present by the broker's time: whatever its own clock says, a report shows that it speaks. It becomes known by
a report that is not from long ago: a replay of history makes nobody present, so nobody absent.

- A drone that has missed so many intervals is absent. Its absence is cleared by the second report that comes in time:
  a drone that speaks only now and then has one incident, which says so.
- Many that fall absent within an interval are one alert with their number, over all partitions. It ends when nearly all
  of them are back; the few that are not get an alert each. A drone that falls absent meanwhile gets its own as usual.
- After a gap, or in a process that has just taken over, everybody first gets the time to speak.
- A drone that is known in two partitions (another partitioner, messages without a key, a partition added) counts where
  it spoke last.
- Partitions that other processes judge count, too (`fleet.alerts.elsewhere`): one crowd over all of them, raised and
  cleared by the process that judges the lowest partition.

What senders can make us remember is bounded (KNOWN, ABSENT), and is forgotten with time (FORGOTTEN).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice, takewhile
from typing import Final
from zlib import crc32

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert, Severity, alert_id
from fleet.alerts.elsewhere import Elsewhere, Share
from fleet.reports.report import EARLIEST, UNKNOWN

FLEET: Final = "fleet"
"""Stands for the drone in an alert of many, for people; their incident and alerts are named by no drone's id."""

CROWD: Final = "all"
"""The crowd's name in its incident's key. One that began before version 0.3 keeps its own until it ends."""

FORGOTTEN: Final = timedelta(days=1)
"""A drone absent for so long is taken out of service, not waited for."""

BUCKETS: Final = 64
"""One is saved with each checkpoint, so a successor's knowledge is at most this many checkpoints old."""

LONG_AGO: Final = timedelta(hours=1)
"""A report that arrives this late is history: it makes no drone known. Slow clocks and backlogs are within it."""

CLOCK_OFF: Final = timedelta(minutes=2)
"""A report arrives within seconds; later than this, the clock is slow or the drone was out of reach, and we say so."""

CLOCK_SET_BACK: Final = timedelta(minutes=15)
"""When all reports of so long are older than one before, they are no backlog: the drone's clock was set back."""

KNOWN: Final = 200_000
"""Drones of a partition: twice the mission's 540,000 over six. About 60 MB; the newest strangers go first."""

ABSENT: Final = 50_000
"""Absent drones of a partition that are remembered; the oldest go first."""

OVERDUE: Final = 1000
"""So many overdue drones of a partition are counted: more than any crowd begins with."""

SLICE: Final = 10_000
"""Drones that one look takes, about 10 ms: no alert waits longer for it."""

Nearest = Callable[[float, float], tuple[str, str] | None]


class AbsenceRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """No report for `missed` intervals of `interval` seconds; more than `crowd` at once are one alert."""

    interval: float = 60.0
    missed: int = 3
    crowd: int = 50
    severity: Severity = "high"

    @cached_property
    def limit(self) -> timedelta:
        """How long a drone may be quiet."""
        return timedelta(seconds=self.interval * self.missed)


class Drone(msgspec.Struct, gc=False):
    """When and where a drone last spoke; the place is unknown of one that only its time was saved of.

    The collector passes it by: a look at half a million of these held every alert up for 0.1 to 0.2 s.
    """

    at: datetime  # the broker's time of its last report
    bucket: int
    reported_at: datetime = EARLIEST  # the newest by its own clock
    ordered_at: datetime = EARLIEST  # the broker's time of that one
    city: str = UNKNOWN
    country: str = UNKNOWN
    latitude: float | None = None
    longitude: float | None = None
    is_new: bool = True  # it has spoken once
    is_believed: bool = True  # its clock, at its last report

    def is_late(self, reported_at: datetime, at: datetime) -> bool:
        """Whether a report is older than one that we have had, and no clock was set back."""
        return reported_at < self.reported_at and at - self.ordered_at <= CLOCK_SET_BACK


class Absent(msgspec.Struct, gc=False):
    """A drone that missed its intervals. `notified`: it has an incident of its own."""

    drone: Drone
    since: datetime  # its last report before
    notified: bool = False
    is_back: bool = False  # it has spoken again, and is not steady yet
    times: int = 1  # how often it fell absent without being steady between


class Heard(msgspec.Struct, frozen=True, gc=False):
    """A report, as far as it concerns absence."""

    drone_id: str
    at: datetime
    reported_at: datetime
    city: str
    country: str
    latitude: float | None
    longitude: float | None
    is_believed: bool = True  # False: `reported_at` is the broker's time, for nobody believes the drone's


@dataclass
class Presence:
    """The drones of a partition. `present` is in the order of time; each drone is in one of both."""

    present: dict[str, Drone] = field(default_factory=dict)
    absent: dict[str, Absent] = field(default_factory=dict)
    held: dict[str, None] = field(default_factory=dict)  # absent, and not yet known whether they are many
    crowd: dict[str, None] = field(default_factory=dict)  # absent, and notified as one of many
    strangers: dict[str, None] = field(default_factory=dict)  # present, and have spoken once
    heard_at: datetime | None = None  # the last live report of anybody
    sure_from: datetime | None = None  # before this nobody is called absent
    buckets: dict[int, dict[str, None]] = field(default_factory=dict)
    changed: set[int] = field(default_factory=set)  # buckets that differ from what was last saved
    changed_drones: set[str] = field(default_factory=set)  # of whom something else is saved now
    dropped: int = 0  # forgotten for room
    overdue_after: timedelta = LONG_AGO  # quiet for so long
    elsewhere: Callable[[str], Absent | None] = lambda _drone_id: None  # takes an absent drone out of its partition

    def hear(self, rule: AbsenceRule, heard: Heard) -> tuple[Alert | None, bool | None]:
        """Takes a report in: the clearing, or the alert of one that comes and goes; and whether the report is late.

        None for late: the drone is not known.
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
        elif drone.is_new:
            drone.is_new = False
            self.strangers.pop(heard.drone_id, None)
        self._note_time(rule, heard.at)
        late = _update(drone, heard)
        self.present[heard.drone_id] = drone
        self.changed.add(drone.bucket)
        return None, late

    def look(self, rule: AbsenceRule, now: datetime) -> bool:
        """Takes those who are overdue at `now`, the broker's time, to the absent. Whether there are more of them."""
        if self.sure_from is None:
            self.sure_from = now + rule.limit
        self.overdue_after = rule.limit - timedelta(seconds=rule.interval) / 2
        if now < self.sure_from:
            return False
        for _ in range(SLICE):
            drone_id, drone = next(iter(self.present.items()), ("", None))
            if drone is None or now - drone.at < rule.limit:
                return False
            del self.present[drone_id]
            self.strangers.pop(drone_id, None)
            self.absent[drone_id] = Absent(drone, drone.at)
            self.held[drone_id] = None
        return True

    def overdue(self, now: datetime) -> int:
        """How many will be absent within an interval if they do not speak; of more than OVERDUE nobody asks."""
        before = now - self.overdue_after
        overdue = takewhile(lambda drone: drone.at <= before, self.present.values())
        return sum(1 for _ in islice(overdue, OVERDUE))

    def forget_old(self, now: datetime) -> None:
        """Those who have been absent for FORGOTTEN, and those for whom there is no room."""
        for _ in range(SLICE):
            drone_id, absent = next(iter(self.absent.items()), ("", None))
            if absent is None or (now - absent.drone.at < FORGOTTEN and len(self.absent) <= ABSENT):
                return
            self.forget(drone_id)

    def forget(self, drone_id: str) -> None:
        """All that is known of a drone."""
        absent = self.absent.pop(drone_id, None)
        drone = absent.drone if absent is not None else self.present.pop(drone_id, None)
        if drone is not None:
            self.buckets[drone.bucket].pop(drone_id, None)
            self.changed.add(drone.bucket)
            self.changed_drones.add(drone_id)
        for names in (self.held, self.crowd, self.strangers):
            names.pop(drone_id, None)

    def restore(self, spoke_at: Mapping[str, datetime], absent_since: Mapping[str, datetime]) -> None:
        """Takes in what was saved: when drones spoke, and since when those are absent who have an incident."""
        for drone_id, at in sorted(spoke_at.items(), key=lambda item: item[1]):
            if drone_id not in absent_since:
                self.present[drone_id] = self._made(drone_id, at, is_new=False)
        for drone_id, since in sorted(absent_since.items(), key=lambda item: item[1]):
            drone = self._made(drone_id, max(since, spoke_at.get(drone_id, since)), is_new=False)
            self.absent[drone_id] = Absent(drone, since, notified=True)
        self.changed.clear()

    def restore_crowd(self, until: datetime) -> None:
        """Those who had not spoken since `until` were one crowd."""
        for drone_id in [d for d, drone in self.present.items() if drone.at <= until]:
            drone = self.present.pop(drone_id)
            self.absent[drone_id], self.crowd[drone_id] = Absent(drone, drone.at), None

    def order(self, drone_id: str, reported_at: datetime) -> None:
        """Takes in the newest time that is known of a restored drone's own clock."""
        if drone_id in self.present or drone_id in self.absent:
            drone = self._drone(drone_id)
            drone.reported_at, drone.ordered_at = reported_at, drone.at

    def saved(self, number: int) -> dict[str, datetime]:
        """What to save of a bucket: when each of its drones last spoke."""
        return {drone_id: self._drone(drone_id).at for drone_id in self.buckets.get(number, ())}

    def is_steady(self, drone_id: str) -> bool:
        """Whether it is present, and has spoken more than once."""
        drone = self.present.get(drone_id)
        return drone is not None and not drone.is_new

    def _drone(self, drone_id: str) -> Drone:
        drone = self.present.get(drone_id)
        return drone if drone is not None else self.absent[drone_id].drone

    def _move_here(self, drone_id: str) -> Absent | None:
        absent = self.elsewhere(drone_id)
        if absent is not None:
            self.buckets.setdefault(absent.drone.bucket, {})[drone_id] = None
            self.absent[drone_id] = absent
            self.changed_drones.add(drone_id)
        return absent

    def _note_time(self, rule: AbsenceRule, at: datetime) -> None:
        if self.heard_at is None or at - self.heard_at > rule.limit:
            self.sure_from = at + rule.limit
        self.heard_at = at

    def _meet(self, drone_id: str, at: datetime) -> Drone:
        if len(self.present) + len(self.absent) >= KNOWN:
            self.dropped += 1
            self.forget(next(iter(self.strangers), None) or next(iter(self.absent), None) or next(iter(self.present)))
        self.strangers[drone_id] = None
        return self._made(drone_id, at, is_new=True)

    def _made(self, drone_id: str, at: datetime, *, is_new: bool) -> Drone:
        number = bucket(drone_id)
        self.buckets.setdefault(number, {})[drone_id] = None
        return Drone(at, number, is_new=is_new)

    def _hear_absent(self, rule: AbsenceRule, heard: Heard, absent: Absent) -> tuple[Alert | None, bool]:
        gap = heard.at - absent.drone.at
        late = _update(absent.drone, heard)
        self.changed.add(absent.drone.bucket)
        steady = absent.is_back and gap < rule.limit
        if absent.notified and not steady:
            self.absent[heard.drone_id] = self.absent.pop(heard.drone_id)  # the order of time
            absent.times += absent.is_back
            comes_and_goes = absent.is_back and absent.times.bit_count() == 1  # the 2nd, 4th, 8th … time: few messages
            absent.is_back = True
            return (_comes_and_goes(rule, heard, absent, gap) if comes_and_goes else None), late
        del self.absent[heard.drone_id]
        self.held.pop(heard.drone_id, None)
        self.crowd.pop(heard.drone_id, None)
        self.present[heard.drone_id] = absent.drone
        if not absent.notified:
            return None, late
        self.changed_drones.add(heard.drone_id)
        return _alert(rule, heard.drone_id, absent, heard.at, clears=True), late


@dataclass
class Absence:
    """All partitions that a process judges, by number, and the crowd: how many it was over all, and its name."""

    partitions: dict[int, Presence] = field(default_factory=dict)
    held_since: datetime | None = None
    crowd: int = 0
    crowd_name: str = CROWD
    joined: dict[int, tuple[int, datetime]] = field(default_factory=dict)  # by partition: how many joined it last
    grows_since: datetime | None = None  # it has grown, and nobody was notified of that yet
    is_behind: bool = False  # the last look was not over: look again soon
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    misplaced: int = 0  # absences that were none: the drone spoke in another partition

    def join(self, number: int) -> Presence:
        """The drones of a partition, none yet. One that is absent in another partition moves here when it speaks."""
        presence = self.partitions[number] = Presence()
        self.elsewhere.shares.pop(number, None)  # of its judge before us; a later judge's is another
        presence.elsewhere = lambda drone_id: self._take(drone_id, number)
        return presence

    def sweep(
        self, rule: AbsenceRule, times: Mapping[int, datetime], nearest: Nearest = lambda *_: None
    ) -> list[tuple[int, Alert]]:
        """(partition, alert) of those who are absent. `times` is the broker's time that each partition is judged at."""
        if not times:
            return []
        looks = [self.partitions[number].look(rule, now) for number, now in times.items()]  # all of them
        self.is_behind = any(looks)
        now = max(times.values())
        self._drop_known_elsewhere()
        alerts = self._back_elsewhere(rule)
        alerts += [] if self.is_behind else self._of_held(rule, now, nearest)
        alerts += self._crowd_is_back(rule, now)
        self.elsewhere.forget_decided({drone_id for _, drone_id in self._held()})
        for number, at in times.items():
            self.partitions[number].forget_old(at)
        return alerts

    def leave(self, number: int) -> None:
        """Another process judges this partition now."""
        self.partitions.pop(number, None)
        self.elsewhere.asked.pop(number, None)
        if not self.partitions:
            self.crowd = 0

    def share(self, number: int, now: datetime) -> Share:
        """What to say of a partition of ours to the processes that judge others."""
        presence = self.partitions[number]
        self.elsewhere.ask(number, ((d, presence.absent[d].drone.at) for d in presence.held), now, self.partitions)
        round_, held = self.elsewhere.asked.get(number, (0, {}))
        returned = [d for d, at in self.elsewhere.returned.items() if at == number and presence.is_steady(d)]
        heard, answered = self.elsewhere.answers(number, _Spoke(presence), returned, self.partitions)
        joined, joined_at = self.joined.get(number, (0, None))
        since = [presence.absent[drone_id].since for drone_id in (*presence.held, *presence.crowd)]
        return Share(
            number=number,
            round=round_,
            held={drone_id: at for drone_id, at in held.items() if drone_id in presence.held},
            held_count=len(presence.held),
            overdue=presence.overdue(now),
            crowd=len(presence.crowd),
            crowd_size=self.crowd,
            joined=joined,
            joined_at=joined_at,
            newest=max(since, default=None),
            heard=heard,
            answered=answered,
        )

    @property
    def _members(self) -> int:
        """Drones of the crowd, over all partitions as far as they are known."""
        own = sum(len(presence.crowd) for presence in self.partitions.values())
        return own + sum(share.crowd for share in self.elsewhere.known(self.partitions))

    def _undecided(self, now: datetime) -> int:
        own = sum(len(presence.held) for presence in self.partitions.values())
        return own + sum(share.held_count for share in self.elsewhere.fresh(self.partitions, now))

    def _held(self) -> Iterator[tuple[int, str]]:
        for number, presence in self.partitions.items():
            yield from ((number, drone_id) for drone_id in presence.held)

    def _of_held(self, rule: AbsenceRule, now: datetime, nearest: Nearest) -> list[tuple[int, Alert]]:
        """Few get their alerts at once, where no others are overdue. More may be the first of a crowd: an interval
        shows how many there are."""
        held = list(self._held())
        if not held:
            self.held_since = None
            return self._announce(rule, now)
        self.held_since = self.held_since or now
        others = self.elsewhere.fresh(self.partitions, now)
        count = self._undecided(now)
        own = sum(presence.overdue(now) for presence in self.partitions.values())
        overdue = own + sum(share.overdue for share in others)
        is_few = count + overdue <= max(1, rule.crowd // 10) and self._all_have_answered(held, others)
        if not is_few and now - self.held_since < timedelta(seconds=rule.interval):
            return self._announce(rule, now)
        self.held_since = None
        count += sum(share.joined for share in others if self._is_lately(rule, share, now))
        if count <= rule.crowd:
            return [(number, self._raise_alone(rule, number, drone_id, now, nearest)) for number, drone_id in held]
        self._join_crowd(held, now)
        return self._announce(rule, now)

    def _is_lately(self, rule: AbsenceRule, share: Share, now: datetime) -> bool:
        """Whether drones of another process joined the crowd about now."""
        return share.joined_at is not None and now - share.joined_at < timedelta(seconds=1.5 * rule.interval)

    def _all_have_answered(self, held: list[tuple[int, str]], others: list[Share]) -> bool:
        return not others or all(drone_id in self.elsewhere.confirmed for _, drone_id in held)

    def _raise_alone(self, rule: AbsenceRule, number: int, drone_id: str, now: datetime, nearest: Nearest) -> Alert:
        presence = self.partitions[number]
        presence.held.pop(drone_id, None)
        presence.crowd.pop(drone_id, None)
        presence.changed_drones.add(drone_id)
        absent = presence.absent[drone_id]
        absent.notified = True
        _name_place(absent.drone, nearest)
        return _alert(rule, drone_id, absent, now)

    def _join_crowd(self, held: list[tuple[int, str]], now: datetime) -> None:
        self.grows_since = self.grows_since or now
        for number, presence in self.partitions.items():
            if presence.held:
                self.joined[number] = len(presence.held), now
        for number, drone_id in held:
            del self.partitions[number].held[drone_id]
            self.partitions[number].crowd[drone_id] = None

    def _announce(self, rule: AbsenceRule, now: datetime) -> list[tuple[int, Alert]]:
        """The alert of the crowd, by the process that speaks for all, when the others have decided, too, or half an
        interval after it began. The number is of all partitions."""
        others = self.elsewhere.fresh(self.partitions, now)
        members = self._members
        if not self.elsewhere.is_first(self.partitions, now):
            said = max((share.crowd_size for share in others), default=0)
            self.crowd = said if said and members > self._nearly_none(rule, said) else self.crowd
            self.grows_since = None
            return []
        is_new = not self.crowd and members > rule.crowd // 2 and any(self._is_lately(rule, s, now) for s in others)
        if not members or not (self.grows_since or is_new or members > self.crowd + rule.crowd):
            return []
        self.grows_since = self.grows_since or now
        undecided = self._undecided(now) if others else 0
        if undecided and now - self.grows_since < timedelta(seconds=rule.interval / 2):
            return []
        self.grows_since = None
        count = members + undecided
        if others and count == self.crowd:
            return []
        self.crowd_name = self.crowd_name if self.crowd else CROWD
        self.crowd = count
        since = [p.absent[d].since for p in self.partitions.values() for d in (*p.held, *p.crowd)]
        newest = max([*since, *(share.newest for share in others if share.newest is not None)], default=now)
        note = f"{self.crowd} drones at once: look at the feed before the drones"
        return [(min(self.partitions), self._of_crowd(rule, newest, now, note))]

    def _nearly_none(self, rule: AbsenceRule, size: int) -> int:
        """So few of a crowd of `size` are no crowd any more."""
        return min(size // 10, rule.crowd)

    def _crowd_is_back(self, rule: AbsenceRule, now: datetime) -> list[tuple[int, Alert]]:
        """It ends when nearly all are back. The others are held again, and get an alert each."""
        others = self.elsewhere.fresh(self.partitions, now)
        left = self._members + (self._undecided(now) if others else 0)
        if not self.crowd or left > self._nearly_none(rule, self.crowd):
            return []
        alert = self._of_crowd(rule, now, now, "", clears=True)
        for presence in self.partitions.values():
            presence.held |= presence.crowd
            presence.crowd.clear()
        self.joined.clear()
        self.crowd = 0
        return [(min(self.partitions), alert)] if self.elsewhere.is_first(self.partitions, now) else []

    def _of_crowd(self, rule: AbsenceRule, since: datetime, now: datetime, note: str, *, clears: bool = False) -> Alert:
        """Neither its key nor its id can be a drone's: the id of a drone is never empty."""
        alert = _alert(rule, FLEET, Absent(Drone(since, 0), since), now, clears=clears)
        more = [str(self.crowd), *(["cleared"] if clears else [])]
        return msgspec.structs.replace(
            alert,
            incident_key=identity.join("silent", "", self.crowd_name),
            alert_id=alert_id("silent", "", alert.report_id, alert.reported_at, *more),
            note=note,
        )

    def _back_elsewhere(self, rule: AbsenceRule) -> list[tuple[int, Alert]]:
        """Drones that speak in partitions of other processes are not absent; those that were called so are cleared."""
        alerts = []
        for drone_id, other, at in self.elsewhere.heard_of(self.partitions):
            for number, presence in self.partitions.items():
                absent = presence.absent.get(drone_id)
                if absent is None or (at, other) <= (absent.drone.at, number):
                    continue
                self.misplaced += 1
                presence.forget(drone_id)
                if absent.notified:
                    alerts.append((number, _alert(rule, drone_id, absent, at, clears=True)))
        return alerts

    def _drop_known_elsewhere(self) -> None:
        """Of a drone that is known in two partitions, the one where it spoke later counts."""
        if len(self.partitions) < 2:
            return
        for number, drone_id in list(self._held()):
            presence = self.partitions[number]
            here = presence.absent[drone_id].drone.at
            for other in self._others(number):
                if drone_id in other.present or drone_id in other.absent:
                    older = presence if other._drone(drone_id).at >= here else other
                    self.misplaced += older is presence
                    older.forget(drone_id)
                    if older is presence:
                        break

    def _take(self, drone_id: str, number: int) -> Absent | None:
        for other in self._others(number):
            absent = other.absent.get(drone_id)
            if absent is not None and absent.notified:
                other.forget(drone_id)
                return absent
        if self.elsewhere.absent.get(drone_id, number) != number:
            self.elsewhere.returned[drone_id] = number
        return None

    def _others(self, number: int) -> Iterator[Presence]:
        yield from (presence for other, presence in self.partitions.items() if other != number)


class _Spoke(Mapping[str, datetime]):
    """When each drone of a partition last spoke."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    def __getitem__(self, drone_id: str) -> datetime:
        return self._presence._drone(drone_id).at

    def __iter__(self) -> Iterator[str]:
        yield from self._presence.present
        yield from self._presence.absent

    def __len__(self) -> int:
        return len(self._presence.present) + len(self._presence.absent)


def bucket(drone_id: str) -> int:
    """The same in every process."""
    return crc32(drone_id.encode("utf-8", "surrogatepass")) % BUCKETS


def _update(drone: Drone, heard: Heard) -> bool:
    """Whether the report is late: then it says nothing of where the drone is."""
    drone.at, drone.is_believed = heard.at, heard.is_believed
    if heard.reported_at < drone.reported_at and drone.is_late(heard.reported_at, heard.at):
        return True
    drone.reported_at, drone.ordered_at = heard.reported_at, heard.at
    drone.city, drone.country = heard.city, heard.country
    drone.latitude, drone.longitude = heard.latitude, heard.longitude
    return False


def _name_place(drone: Drone, nearest: Nearest) -> None:
    if UNKNOWN not in (drone.city, drone.country) or drone.latitude is None or drone.longitude is None:
        return
    named = nearest(drone.latitude, drone.longitude)
    if named is not None and drone.country in (UNKNOWN, named[1]):
        drone.city = named[0] if drone.city == UNKNOWN else drone.city
        drone.country = named[1]


def _comes_and_goes(rule: AbsenceRule, heard: Heard, absent: Absent, gap: timedelta) -> Alert:
    note = f"absent {absent.times} times in a row: it speaks only now and then, last after {gap.total_seconds():.0f} s"
    alert = _alert(rule, heard.drone_id, absent, heard.at)
    return msgspec.structs.replace(alert, note=note, alert_id=f"{alert.alert_id}/{absent.times}")


def _alert(rule: AbsenceRule, drone_id: str, absent: Absent, now: datetime, *, clears: bool = False) -> Alert:
    """Its id is made of the time of the last report: the same absence has the same id in every process."""
    drone, since = absent.drone, absent.since.astimezone(UTC)
    report_id = f"after-{int(since.timestamp() * 1000)}"
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
