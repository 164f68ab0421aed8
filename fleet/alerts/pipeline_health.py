"""How the alert pipeline itself is: what its processes say of themselves, and what is wrong by that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet import wire

Part = Literal["alerting", "notifier", "recorder", "watch"]


class SignOfLife(msgspec.Struct, omit_defaults=True):
    """What a process says every few seconds. `name` is which of one part: a webhook, a process."""

    part: Part
    name: str
    at: datetime
    dead: str = ""  # why the webhook takes nothing more
    pending: int = 0  # alerts that nobody was notified of yet
    oldest: datetime | None = None  # the broker's time of the oldest alert that nobody was notified of
    refused: int = 0  # open incidents that Discord took in no form but a digest's
    troubles: dict[str, str] = {}  # what it has found itself, the watch of all others: a sentence by its key


_codec = wire.Codec(SignOfLife)
encode, decode = _codec.encode, _codec.decode


@dataclass(frozen=True)
class Patience:
    """How long something may be so before the operators are notified."""

    silent: timedelta = timedelta(seconds=30)
    pending: timedelta = timedelta(minutes=2)
    stuck: timedelta = timedelta(minutes=1)
    forgotten: timedelta = timedelta(days=1)  # a webhook that is configured no more is silent, and no trouble


PARTS: Final[tuple[Part, ...]] = ("alerting", "notifier")


def troubles(
    said: Iterable[SignOfLife], now: datetime, patience: Patience, watched_since: datetime
) -> Iterator[tuple[str, str]]:
    """(key, sentence) of what is wrong at `now`; the key stays the same while it lasts.

    Nobody is missed who had no time to speak since `watched_since`.
    """
    signs = list(said)
    for part in PARTS:
        newest = _newest(signs, part, watched_since)
        if now - newest > patience.silent:
            yield f"{part} stopped", f"No {part} process has given a sign since {_at(newest)}: nobody is notified."
    for sign in signs:
        if sign.part == "notifier" and now - sign.at < patience.forgotten:
            yield from _of_notifier(sign, now, patience, watched_since)
        if sign.part != "watch" and now - sign.at <= patience.silent:
            yield from sign.troubles.items()


def known(said: Iterable[SignOfLife], now: datetime, patience: Patience, watched_since: datetime) -> dict[str, str]:
    """What is wrong by one look at all signs: what the watch found, and that it is gone, which it cannot say itself."""
    signs = list(said)
    wrong = dict(troubles(signs, now, patience, watched_since))
    newest = _newest(signs, "watch", watched_since)
    if now - newest > patience.silent:
        wrong["watch stopped"] = f"No watch (peacewatch record) has given a sign since {_at(newest)}: nobody is warned."
    for sign in signs:
        if sign.part == "watch" and now - sign.at <= patience.silent:
            wrong |= sign.troubles
    return wrong


def _newest(signs: Iterable[SignOfLife], part: Part, watched_since: datetime) -> datetime:
    return max([watched_since, *(sign.at for sign in signs if sign.part == part)])


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _of_notifier(
    sign: SignOfLife, now: datetime, patience: Patience, watched_since: datetime
) -> Iterator[tuple[str, str]]:
    if now - max(sign.at, watched_since) > patience.silent:
        yield f"notifier {sign.name} stopped", f"The notifier of the webhook {sign.name} is silent."
    if sign.dead:
        says = f"takes nothing more ({sign.dead}): {sign.pending} alerts are pending until its URL is replaced."
        yield f"webhook {sign.name} dead", f"The webhook {sign.name} {says}"
    elif sign.oldest is not None and now - sign.oldest > patience.pending:
        yield (
            f"webhook {sign.name} late",
            f"{sign.pending} alerts are pending for the webhook {sign.name}, the oldest for {now - sign.oldest}.",
        )
    if sign.refused:
        says = (
            f"Discord takes {sign.refused} incidents in no form: a digest counts them. The notifier's log names them."
        )
        yield f"webhook {sign.name} refused", says


Passed = Mapping[str, Mapping[int, tuple[int, int]]]
"""By group and partition the committed offset and the lag."""


class Stuck:
    """Finds consumers that have something to read in a partition and do not move in it."""

    def __init__(self) -> None:
        self._moved: dict[tuple[str, int], tuple[int, datetime]] = {}
        self._found: dict[str, str] = {}

    def look(self, passed: Passed | None, now: datetime, patience: Patience) -> Iterator[tuple[str, str]]:
        """(key, sentence) a group that stands still. Each partition is judged: those that move hide none that does not.

        `passed` is None where Kafka does not say: then what was so is so still.
        """
        if passed is not None:
            self._found = dict(self._judge(passed, now, patience))
        yield from self._found.items()

    def _judge(self, passed: Passed, now: datetime, patience: Patience) -> Iterator[tuple[str, str]]:
        for group, partitions in passed.items():
            standing = {}
            for partition, (offset, lag) in partitions.items():
                before, since = self._moved.get((group, partition), (-1, now))
                if offset != before or lag == 0:
                    self._moved[group, partition] = (offset, now)
                elif now - since > patience.stuck:
                    standing[partition] = since, lag
            if standing:
                lag, since = sum(lag for _, lag in standing.values()), min(since for since, _ in standing.values())
                where = f"partition{'s' if len(standing) > 1 else ''} {', '.join(map(str, sorted(standing)))}"
                says = f"{group} has {lag} messages to read in {where} and has not moved since {since:%H:%M:%S} UTC."
                yield f"{group} stuck", says


FAULT_SHOWN: Final = timedelta(minutes=10)
"""So long after the last one of a kind the operators see how many there were."""

FAULTS: Final[Mapping[str, str]] = {
    "unreadable": "messages could not be handled and were skipped",
    "conflicts": "alerts had the id of another alert and other content: each counts as an alert of its own",
    "misplaced": "times drones spoke in two partitions of reports: a message's key must be its drone's id",
    "unwritten": "deliveries were too large for their topic in every form, so their messages may be repeated",
    "unrecorded": "documents were refused by MongoDB and are missing in the API",
}
"""What is contained to its message, alert or document, so that all else goes on."""


class RecentFaults:
    """Counts faults by kind, of FAULTS."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, datetime, str]] = {}

    def add(self, kind: str, at: datetime, last: str) -> None:
        """One more; `last` names it to a person and holds no word of a drone's."""
        count = self._counts[kind][0] if kind in self._counts else 0
        self._counts[kind] = count + 1, at, last

    def troubles(self, name: str, now: datetime) -> dict[str, str]:
        """A sentence by its key, of the faults of late. `name` says whose they are."""
        self._counts = {kind: fault for kind, fault in self._counts.items() if now - fault[1] < FAULT_SHOWN}
        return {
            f"{name} {kind}": f"{name}: {count} {FAULTS[kind]}; {last}. The log has more."
            for kind, (count, _, last) in self._counts.items()
        }
