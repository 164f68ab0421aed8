"""Absence over several alerting processes: what they share about their partitions, so that all count one crowd. Pure.

Each process sends an `AbsenceShare` for each partition that it judges: how many of its drones are absent and not yet
decided on (held), their ids, and how many are in the crowd. The others answer which of the held drones report in a
partition of theirs. So each process decides with the numbers of all. What a process has not answered within an interval
is decided without it, so none waits for one that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fleet import wire

ASKED_BYTES: Final = 100_000
"""Bytes of the held drones in a share, as JSON: some 2,500 of usual ids; the others follow in the next shares."""

HEARD_BYTES: Final = 200_000
"""Bytes of a share's answers: more than the five other partitions ask for with usual ids; the rest follows."""

SHARE_LASTS: Final = timedelta(seconds=45)
"""How long a share counts at least: Kafka may pause while a broker fails over."""

LOOKS_WITHOUT: Final = 3
"""A process without a share for this many looks is gone, and not waited for."""

Spoke = dict[str, datetime]
"""When drones last reported, by the broker's time."""


class AbsenceShare(msgspec.Struct, omit_defaults=True):
    """What the process that judges the partition `number` shares about it."""

    number: int
    round: int = 0  # number of this list of held drones; it ascends
    held: Spoke = {}
    held_count: int = 0
    overdue: int = 0  # drones that will be absent soon
    crowd: int = 0  # drones of this partition in the crowd
    crowd_size: int = 0  # the number that people were notified of
    joined: int = 0  # drones that joined the crowd last
    joined_at: datetime | None = None
    newest: datetime | None = None  # of held and crowd: the last report of the drone that became absent last
    heard: Spoke = {}  # drones that are held or absent elsewhere, and reported here later
    answered: dict[int, int] = {}  # by partition the round that `heard` answers


_codec = wire.Codec(AbsenceShare, "a share of absent drones")
encode, decode = _codec.encode, _codec.decode


@dataclass
class Elsewhere:
    """What is known of partitions that other processes judge."""

    shares: dict[int, tuple[AbsenceShare, datetime]] = field(default_factory=dict)  # and when it was read
    absent: dict[str, int] = field(default_factory=dict)  # drones with an incident of their own, by their partition
    returned: dict[str, int] = field(default_factory=dict)  # those of them that reported in a partition of ours
    asked: dict[int, tuple[int, Spoke]] = field(default_factory=dict)  # by partition of ours the last round, its drones
    confirmed: set[str] = field(default_factory=set)  # held drones that all others have answered for

    def note(self, share: AbsenceShare, read_at: datetime) -> bool:
        """Enters a share. Returns whether it has news for which a look should be made at once."""
        before, _ = self.shares.get(share.number, (AbsenceShare(share.number), read_at))
        self.shares[share.number] = share, read_at
        return bool(share.heard) or _news(share) != _news(before)

    def note_absent(self, drone_id: str, number: int, *, is_absent: bool) -> None:
        """Enters what `alert-state` has of a drone of the partition `number`."""
        if is_absent:
            self.absent[drone_id] = number
        elif self.absent.get(drone_id) == number:
            del self.absent[drone_id]
            self.returned.pop(drone_id, None)

    def known(self, own: Collection[int]) -> list[AbsenceShare]:
        """The last shares of the partitions that are not ours."""
        return [share for number, (share, _) in self.shares.items() if number not in own]

    def fresh(self, own: Collection[int], since: datetime) -> list[AbsenceShare]:
        """The shares of processes that are alive: sent after `since`."""
        return [share for number, (share, at) in self.shares.items() if number not in own and at > since]

    def is_first(self, own: Collection[int], since: datetime) -> bool:
        """Whether this process raises for all: of those alive it judges the lowest partition."""
        return min(own) < min((share.number for share in self.fresh(own, since)), default=max(own) + 1)

    def confirm(self, number: int, own: Collection[int], since: datetime) -> None:
        """Notes for which drones of a partition of ours all processes have answered that are alive since `since`."""
        round_, chosen = self.asked.get(number, (0, Spoke()))
        if chosen and all(share.answered.get(number, 0) >= round_ for share in self.fresh(own, since)):
            self.confirmed |= chosen.keys()
            del self.asked[number]

    def ask(self, number: int, held: Iterable[tuple[str, datetime]], now: datetime) -> None:
        """Names the next held drones of a partition of ours, once the ones before are answered."""
        if number in self.asked:
            return
        chosen, room = Spoke(), ASKED_BYTES
        for drone_id, at in held:
            if drone_id not in self.confirmed:
                room -= wire.size(drone_id) + 40  # the time, quotes and commas
                if room < 0 and chosen:
                    break
                chosen[drone_id] = at
        if chosen:
            self.asked[number] = int(now.timestamp() * 1000), chosen

    def forget_decided(self, held: set[str]) -> None:
        """Asks no more for drones that are no longer held."""
        self.confirmed &= held
        for number, (_, chosen) in list(self.asked.items()):
            if chosen.keys().isdisjoint(held):
                del self.asked[number]

    def heard_of(self, own: Collection[int]) -> Iterator[tuple[str, int, datetime]]:
        """(drone, partition, when) of reports that other processes have had from drones that this one asks for."""
        for share in self.known(own):
            yield from ((drone_id, share.number, at) for drone_id, at in share.heard.items())

    def answers(
        self,
        number: int,
        spoke_at: Callable[[str], datetime | None],
        returned: Iterable[str],
        own: Collection[int],
    ) -> tuple[Spoke, dict[int, int]]:
        """`heard` and `answered` of our partition `number`, whose drones last reported at `spoke_at`; `returned` are
        those that are absent elsewhere and certainly report here."""
        heard, room = Spoke(), HEARD_BYTES
        answered: dict[int, int] = {}
        for share in self.known(own):
            for drone_id, at in share.held.items():
                here = spoke_at(drone_id)
                if here is not None and (here, number) > (at, share.number):
                    room -= wire.size(drone_id) + 40
                    if room < 0:
                        return heard, answered
                    heard[drone_id] = here
            answered[share.number] = share.round
        for drone_id in returned:
            room -= wire.size(drone_id) + 40
            here = spoke_at(drone_id)
            if room >= 0 and here is not None:
                heard[drone_id] = here
        return heard, answered


def share_lasts(look_every: timedelta) -> timedelta:
    """How long a share counts, given how often absent drones are looked for; shares are sent with each look."""
    return max(SHARE_LASTS, LOOKS_WITHOUT * look_every)


def _news(share: AbsenceShare) -> tuple[object, ...]:
    return share.round, share.held_count > 0, share.crowd, share.crowd_size, share.joined_at, share.answered
