"""The health of the alert pipeline: its processes' signs of life, and what is wrong by them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet import wire

Part = Literal["alerting", "notifier", "recorder", "watch"]


class SignOfLife(msgspec.Struct, omit_defaults=True):
    """A process's report about itself, every few seconds. `name` distinguishes those of one part: a webhook, a
    process."""

    part: Part
    name: str
    at: datetime
    dead: str = ""  # why the webhook accepts nothing more
    pending: int = 0  # alerts that nobody was notified of yet
    oldest: datetime | None = None  # the broker's time of the oldest alert that nobody was notified of
    refused: int = 0  # open incidents that Discord accepts only in a digest
    troubles: dict[str, str] = {}  # what the process itself found wrong, or the watch in others: a sentence by its key


_codec = wire.Codec(SignOfLife, "a sign of life")
encode, decode = _codec.encode, _codec.decode


@dataclass(frozen=True)
class Patience:
    """For how long something may be wrong before operators are notified."""

    silent: timedelta = timedelta(seconds=30)
    pending: timedelta = timedelta(minutes=2)
    stuck: timedelta = timedelta(minutes=1)
    forgotten: timedelta = timedelta(days=1)  # a webhook that is no longer configured is silent, but not wrong


PARTS: Final[tuple[Part, ...]] = ("alerting", "notifier")


def troubles(
    said: Iterable[SignOfLife], now: datetime, patience: Patience, watched_since: datetime
) -> Iterator[tuple[str, str]]:
    """(key, sentence) of what is wrong at `now`; the key stays the same while it lasts. A process that had no time to
    report since `watched_since` is not missed.
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
    """What is wrong by one look at all signs: what the watch found, and whether the watch itself is gone."""
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
        says = f"accepts nothing more ({sign.dead}): {sign.pending} alerts are pending until its URL is replaced."
        yield f"webhook {sign.name} dead", f"The webhook {sign.name} {says}"
    elif sign.oldest is not None and now - sign.oldest > patience.pending:
        yield (
            f"webhook {sign.name} late",
            f"{sign.pending} alerts are pending for the webhook {sign.name}, the oldest for {now - sign.oldest}.",
        )
    if sign.refused:
        says = f"Discord refuses {sign.refused} incidents in every form but a digest. The notifier's log names them."
        yield f"webhook {sign.name} refused", says


Passed = Mapping[str, Mapping[int, tuple[int, int]]]
"""By group and partition the committed offset and the lag."""


class Stuck:
    """Finds consumers that have messages to read in a partition but make no progress."""

    def __init__(self) -> None:
        self._moved: dict[tuple[str, int], tuple[int, datetime]] = {}
        self._found: dict[str, str] = {}

    def look(self, passed: Passed | None, now: datetime, patience: Patience) -> Iterator[tuple[str, str]]:
        """(key, sentence) for each group that stands still. Each partition is judged, so one that moves hides none that
        does not. `passed` is None if Kafka does not answer: then earlier findings stay.
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
"""How long after the last fault of a kind operators see the count."""

FAULTS: Final[Mapping[str, str]] = {
    "unreadable": "messages could not be handled and were skipped",
    "newer": "times an alert of a newer version was met, and its partition waits for that version",
    "conflicts": "alerts had the id of another alert but other content: each counts as a separate alert",
    "misplaced": "times drones reported in two partitions of reports: a message's key must be its drone's id",
    "unwritten": "deliveries were too large for their topic in every form, so their messages may be repeated",
    "unrecorded": "documents were refused by MongoDB and are missing in the API",
}
"""Faults that are contained to their message, alert or document; everything else continues."""


class RecentFaults:
    """Counts faults by kind, of FAULTS."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, datetime, str]] = {}

    def add(self, kind: str, at: datetime, last: str) -> None:
        """Counts one more; `last` identifies it for a person, without text from drones."""
        count = self._counts[kind][0] if kind in self._counts else 0
        self._counts[kind] = count + 1, at, last

    def troubles(self, name: str, now: datetime) -> dict[str, str]:
        """A sentence by its key, for recent faults. `name` says whose they are."""
        self._counts = {kind: fault for kind, fault in self._counts.items() if now - fault[1] < FAULT_SHOWN}
        return {
            f"{name} {kind}": f"{name}: {count} {FAULTS[kind]}; {last}. The log has more."
            for kind, (count, _, last) in self._counts.items()
        }
