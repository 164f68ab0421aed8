"""Many drones absent at once: one alert with their number, over all partitions and processes. Pure.

A `Crowd` decides by numbers only (`AbsentCounts`). Each `Presence` has its drones (`CrowdDrones`), and
`fleet.alerts.absence` moves them: a drone that becomes absent is held, then raised alone or made a member of the crowd.

- Few drones are raised at once if no others are overdue. More may be the first of a crowd, which takes an interval
  to show.
- One process raises and clears for all: the one that judges the lowest partition. The others follow its size of the
  crowd.
- The crowd ends when nearly all are back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from fleet import identity
from fleet.alerts.absent_drone import AbsenceRule, after
from fleet.alerts.alert import Alert, alert_id
from fleet.alerts.elsewhere import AbsenceShare
from fleet.reports.report import UNKNOWN

FLEET: Final = "fleet"
"""Shown in place of the drone in an alert of many; their incident and alerts have no drone's id."""

CROWD: Final = "all"
"""The crowd's name in its incident's key. A crowd that began before version 0.3 keeps its own key until it ends."""

Verdict = Literal["none held", "wait", "alone", "crowd"]


@dataclass
class CrowdDrones:
    """The drones of a partition that a crowd decides on: absent, and without an incident of their own."""

    held: dict[str, None] = field(default_factory=dict)  # it is unknown yet whether they are many
    members: dict[str, None] = field(default_factory=dict)  # people were notified of them as many
    joined: int = 0  # how many joined last
    joined_at: datetime | None = None

    def join(self, now: datetime) -> None:
        """Makes all held drones members."""
        if self.held:
            self.joined, self.joined_at = len(self.held), now
        self.members |= self.held
        self.held.clear()

    def end(self) -> None:
        """Ends the crowd: members that are not back are held again."""
        self.held |= self.members
        self.members.clear()
        self.joined, self.joined_at = 0, None

    def drop(self, drone_id: str) -> None:
        """The drone is back, forgotten, or has an incident of its own."""
        self.held.pop(drone_id, None)
        self.members.pop(drone_id, None)


@dataclass(frozen=True)
class AbsentCounts:
    """How many drones are absent at a moment, over all partitions."""

    held: int  # of this process, not yet decided on
    undecided: int  # held, of all processes
    members: int  # in the crowd, of all processes
    others: Sequence[AbsenceShare]  # shares of the other processes that are alive
    speaks_for_all: bool  # this process raises and clears the crowd's alert


@dataclass
class Crowd:
    """`size` is the number that people were notified of; 0: no crowd."""

    size: int = 0
    name: str = CROWD
    of_newcomers: str = ""  # the name of a crowd of newcomers; each process has its own
    held_since: datetime | None = None  # drones are held, and it is unknown whether they are many
    grows_since: datetime | None = None  # it has grown, and nobody was notified of that yet

    def judge(
        self, rule: AbsenceRule, now: datetime, counts: AbsentCounts, *, overdue: int, all_answered: bool
    ) -> Verdict:
        """Decides on the held drones of this process.

        `overdue`: drones of all processes that may follow them; `all_answered`: no other process knows the held ones.
        """
        if not counts.held:
            self.held_since = None
            return "none held"
        self.held_since = self.held_since or now
        is_few = counts.undecided + overdue <= max(1, rule.crowd // 10) and all_answered
        if not is_few and now - self.held_since < timedelta(seconds=rule.interval):
            return "wait"
        self.held_since = None
        joined = sum(share.joined for share in counts.others if _has_just_joined(rule, share, now))
        if counts.undecided + joined <= rule.crowd:
            return "alone"
        self.grows_since = self.grows_since or now
        return "crowd"

    def is_due(self, rule: AbsenceRule, now: datetime, counts: AbsentCounts) -> bool:
        """Whether people must be notified of the crowd's size now, to which `size` is then set. Only in the process
        that raises for all: when the others have decided, too, or half an interval after it began."""
        if not counts.speaks_for_all:
            said = max((share.crowd_size for share in counts.others), default=0)
            self.size = said if said and counts.members > _nearly_none(rule, said) else self.size
            self.grows_since = None
            return False
        is_new = (
            not self.size
            and counts.members > rule.crowd // 2
            and any(_has_just_joined(rule, share, now) for share in counts.others)
        )
        if not counts.members or not (self.grows_since or is_new or counts.members > self.size + rule.crowd):
            return False
        self.grows_since = self.grows_since or now
        undecided = counts.undecided if counts.others else 0
        if undecided and now - self.grows_since < timedelta(seconds=rule.interval / 2):
            return False
        self.grows_since = None
        count = counts.members + undecided
        if counts.others and count == self.size:
            return False
        self.name = self.name if self.size else self.of_newcomers or CROWD
        self.size = count
        return True

    def is_over(self, rule: AbsenceRule, counts: AbsentCounts) -> bool:
        """Whether nearly all are back."""
        left = counts.members + (counts.undecided if counts.others else 0)
        return self.size > 0 and left <= _nearly_none(rule, self.size)

    def alert(self, rule: AbsenceRule, since: datetime, now: datetime, *, clears: bool = False) -> Alert:
        """The crowd's alert. Neither its key nor its id can be a drone's: the id of a drone is never empty."""
        since = since.astimezone(UTC)
        more = [str(self.size), *([self.of_newcomers] if self.of_newcomers else []), *(["cleared"] if clears else [])]
        look = "they are new to the fleet" if self.of_newcomers else "look at the feed before the drones"
        report_id = after(since)
        return Alert(
            alert_id=alert_id("silent", "", report_id, since, *more),
            kind="silent",
            severity=rule.severity,
            incident_key=identity.join("silent", "", self.name),
            report_id=report_id,
            drone_id=FLEET,
            reported_at=since,
            received_at=now,
            country=UNKNOWN,
            city=UNKNOWN,
            note="" if clears else f"{self.size} drones at once: {look}",
            clears=clears,
            newcomer=bool(self.of_newcomers),
        )


def _has_just_joined(rule: AbsenceRule, share: AbsenceShare, now: datetime) -> bool:
    """Whether drones of another process have just joined the crowd."""
    return share.joined_at is not None and now - share.joined_at < timedelta(seconds=1.5 * rule.interval)


def _nearly_none(rule: AbsenceRule, size: int) -> int:
    """How many drones of a crowd of `size` may still be absent when it is over."""
    return min(size // 10, rule.crowd)
