"""Which drones are absent: a `Presence` for each partition of `reports`, an `Absence` over all of a process. Pure.

- A drone that is absent gets an alert of its own, or is one of many (`fleet.alerts.crowd`). One that becomes absent
  while there is a crowd gets its own as usual; the few that are not back when the crowd ends get an alert each.
- A drone that is known in two partitions (another partitioner, messages without a key, a partition added) counts where
  it reported last.
- Partitions that other processes judge count, too (`fleet.alerts.elsewhere`).
- Newcomers have a crowd of their own (`fleet.alerts.newcomer`): it hides no known drone, and the crowd of known drones
  hides no newcomer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.alerts.absent_drone import AbsenceRule, Absent, Nearest, alert_of
from fleet.alerts.alert import Alert
from fleet.alerts.crowd import AbsentCounts, Crowd, CrowdDrones
from fleet.alerts.elsewhere import AbsenceShare, Elsewhere, share_lasts
from fleet.alerts.presence import Bounds, Presence


@dataclass
class Absence:
    """All partitions that a process judges, by number, and the crowds over all."""

    partitions: dict[int, Presence] = field(default_factory=dict)
    crowd: Crowd = field(default_factory=Crowd)  # of known drones, one over all processes
    newcomers: Crowd = field(default_factory=Crowd)  # of this process alone
    is_behind: bool = False  # the last look was incomplete: look again soon
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    misplaced: int = 0  # wrong absences: the drone reported in another partition
    bounds: Bounds = Bounds()  # noqa: RUF009 - frozen; of each partition

    def join(self, number: int) -> Presence:
        """Adds a partition, without drones yet. A drone that is absent in another partition moves here when it
        reports."""
        presence = self.partitions[number] = Presence(
            take=lambda drone_id: self._take(drone_id, number),
            fleet_began=self._fleet_began,
            is_known_elsewhere=lambda drone_id: any(other.knows(drone_id) for other in self._others(number)),
        )
        presence.bounds = self.bounds
        self.elsewhere.shares.pop(number, None)  # said by the process that judged it before us
        return presence

    def sweep(
        self, rule: AbsenceRule, times: Mapping[int, datetime], nearest: Nearest = lambda *_: None
    ) -> list[tuple[int, Alert]]:
        """(partition, alert) of the absent drones. `times` is the broker's time at which each partition is judged."""
        if not times:
            return []
        looks = [self.partitions[number].look(rule, now) for number, now in times.items()]  # all of them
        self.is_behind = any(looks)
        now = max(times.values())
        self.newcomers.of_newcomers = f"new {min(self.partitions)}"
        self._drop_known_elsewhere()
        alerts = self._back_elsewhere(rule)
        for crowd in self._crowds:
            alerts += [] if self.is_behind else self._of_held(crowd, rule, now, nearest)
            alerts += self._is_back(crowd, rule, now)
        self.elsewhere.forget_decided({drone_id for crowd in self._crowds for _, drone_id in self._held(crowd)})
        self.forget_old(times)
        return alerts

    def forget_old(self, times: Mapping[int, datetime]) -> None:
        """Forgets drones that have been gone for long. Where no rule looks for absent drones, this is called alone."""
        for number, at in times.items():
            self.partitions[number].forget_old(at)

    def leave(self, number: int) -> None:
        """Another process judges this partition now."""
        self.partitions.pop(number, None)
        self.elsewhere.asked.pop(number, None)
        if not self.partitions:
            for crowd in self._crowds:
                crowd.size = 0

    def share(self, rule: AbsenceRule, number: int, now: datetime) -> AbsenceShare:
        """What to share about a partition of ours with the processes that judge others."""
        presence = self.partitions[number]
        self.elsewhere.confirm(number, self.partitions, now - share_lasts(rule.look_every))
        held_here = {**presence.crowd.held, **presence.newcomers_crowd.held}  # known ones are asked for first
        self.elsewhere.ask(number, ((d, presence.absent[d].drone.at) for d in held_here), now)
        round_, held = self.elsewhere.asked.get(number, (0, {}))
        returned = [d for d, at in self.elsewhere.returned.items() if at == number and presence.is_steady(d)]
        heard, answered = self.elsewhere.answers(number, presence.spoke_at, returned, self.partitions)
        return AbsenceShare(
            number=number,
            round=round_,
            held={drone_id: at for drone_id, at in held.items() if drone_id in held_here},
            held_count=len(presence.crowd.held),
            overdue=presence.overdue(rule, now),
            crowd=len(presence.crowd.members),
            crowd_size=self.crowd.size,
            joined=presence.crowd.joined,
            joined_at=presence.crowd.joined_at,
            newest=max(presence.absent_since(presence.crowd), default=None),
            heard=heard,
            answered=answered,
        )

    @property
    def _crowds(self) -> tuple[Crowd, Crowd]:
        return self.crowd, self.newcomers

    def _drones(self, crowd: Crowd) -> dict[int, CrowdDrones]:
        """The drones that a crowd decides on, by partition."""
        if crowd is self.newcomers:
            return {number: presence.newcomers_crowd for number, presence in self.partitions.items()}
        return {number: presence.crowd for number, presence in self.partitions.items()}

    def _held(self, crowd: Crowd) -> Iterator[tuple[int, str]]:
        """(partition, drone) of those that the crowd has not decided on yet."""
        for number, drones in self._drones(crowd).items():
            yield from ((number, drone_id) for drone_id in drones.held)

    def _counts(self, crowd: Crowd, rule: AbsenceRule, now: datetime) -> AbsentCounts:
        drones = self._drones(crowd).values()
        held, members = sum(len(each.held) for each in drones), sum(len(each.members) for each in drones)
        if crowd is self.newcomers:
            return AbsentCounts(held=held, undecided=held, members=members, others=(), speaks_for_all=True)
        since = now - share_lasts(rule.look_every)
        others = self.elsewhere.fresh(self.partitions, since)
        return AbsentCounts(
            held=held,
            undecided=held + sum(share.held_count for share in others),
            members=members + sum(share.crowd for share in self.elsewhere.known(self.partitions)),
            others=others,
            speaks_for_all=self.elsewhere.is_first(self.partitions, since),
        )

    def _overdue(self, crowd: Crowd, rule: AbsenceRule, now: datetime, counts: AbsentCounts) -> int:
        """How many drones may soon follow those that the crowd holds."""
        of_newcomers = crowd is self.newcomers
        own = sum(presence.overdue(rule, now, of_newcomers=of_newcomers) for presence in self.partitions.values())
        return own + sum(share.overdue for share in counts.others)

    def _of_held(self, crowd: Crowd, rule: AbsenceRule, now: datetime, nearest: Nearest) -> list[tuple[int, Alert]]:
        """The alerts of drones that became absent, one by one or as a crowd, once it is known which."""
        counts, held = self._counts(crowd, rule, now), list(self._held(crowd))
        others = self.elsewhere.fresh(self.partitions, now - share_lasts(rule.look_every))
        verdict = crowd.judge(
            rule,
            now,
            counts,
            overdue=self._overdue(crowd, rule, now, counts),
            all_answered=not others or all(drone_id in self.elsewhere.confirmed for _, drone_id in held),
        )
        if verdict == "alone":
            return [(number, self.partitions[number].raise_alone(rule, d, now, nearest)) for number, d in held]
        drones = self._drones(crowd)
        if verdict == "crowd":
            for each in drones.values():
                each.join(now)
            counts = self._counts(crowd, rule, now)
        if not crowd.is_due(rule, now, counts):
            return []
        since = [at for number, each in drones.items() for at in self.partitions[number].absent_since(each)]
        since += [share.newest for share in counts.others if share.newest is not None]
        return [(min(self.partitions), crowd.alert(rule, max(since, default=now), now))]

    def _is_back(self, crowd: Crowd, rule: AbsenceRule, now: datetime) -> list[tuple[int, Alert]]:
        """Ends the crowd when nearly all are back. The others are held again, and get an alert each."""
        counts = self._counts(crowd, rule, now)
        if not crowd.is_over(rule, counts):
            return []
        alert = crowd.alert(rule, now, now, clears=True)
        for drones in self._drones(crowd).values():
            drones.end()
        crowd.size = 0
        return [(min(self.partitions), alert)] if counts.speaks_for_all else []

    def _back_elsewhere(self, rule: AbsenceRule) -> list[tuple[int, Alert]]:
        """Drones that report in partitions of other processes are not absent; their alerts are cleared."""
        alerts = []
        for drone_id, other, at in self.elsewhere.heard_of(self.partitions):
            for number, presence in self.partitions.items():
                absent = presence.absent.get(drone_id)
                if absent is None or (at, other) <= (absent.drone.at, number):
                    continue
                self.misplaced += 1
                presence.forget(drone_id)
                if absent.notified:
                    alerts.append((number, alert_of(rule, drone_id, absent, at, clears=True)))
        return alerts

    def _drop_known_elsewhere(self) -> None:
        """Drops drones that reported later in another partition."""
        if len(self.partitions) < 2:
            return
        for number, presence in self.partitions.items():
            others = list(self._others(number))
            # Read when it is this partition's turn: an earlier one may have made it forget drones that both held.
            for drone_id in (*presence.crowd.held, *presence.newcomers_crowd.held):
                here = presence.absent[drone_id].drone.at
                for other in others:
                    there = other.spoke_at(drone_id)
                    if there is not None:
                        older = presence if there >= here else other
                        self.misplaced += older is presence
                        older.forget(drone_id)
                        if older is presence:
                            break

    def _fleet_began(self) -> datetime | None:
        """When the fleet's first drone reported: a partition without drones is none of a new fleet. None where other
        processes judge, too: a drone that moved here from theirs is unknown here, so each partition has its own time.
        """
        if self.elsewhere.known(self.partitions):
            return None
        return min((presence.began for presence in self.partitions.values() if presence.began), default=None)

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
