"""How the alerts' way itself is: what its processes say of themselves, and what is wrong by that. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet import wire

Part = Literal["alerting", "notifier", "watch"]


class Health(msgspec.Struct, omit_defaults=True):
    """What a process says every few seconds. `name` tells those of one part apart: a webhook, a process."""

    part: Part
    name: str
    at: datetime
    dead: str = ""  # why the webhook takes nothing more
    untold: int = 0
    oldest: datetime | None = None  # the broker's time of the oldest alert that nobody was told of
    refused: int = 0  # alerts that Discord took in no form but a digest's
    troubles: dict[str, str] = {}  # what the watch, the dead-man's switch, has found: a sentence by its key


_decoder = msgspec.json.Decoder(Health)
_encoder = msgspec.json.Encoder()


def encode(health: Health) -> bytes:
    return _encoder.encode(health)


def decode(value: bytes) -> Health:
    """Raises msgspec.MsgspecError."""
    return wire.decode(_decoder, value)


@dataclass(frozen=True)
class Patience:
    """How long something may be so before the operators are told."""

    silent: timedelta = timedelta(seconds=30)
    untold: timedelta = timedelta(minutes=2)
    stuck: timedelta = timedelta(minutes=1)
    forgotten: timedelta = timedelta(days=1)  # a webhook that is configured no more is silent, and no trouble


PARTS: Final[tuple[Part, ...]] = ("alerting", "notifier")


def troubles(
    said: Iterable[Health], now: datetime, patience: Patience, watched_since: datetime
) -> Iterator[tuple[str, str]]:
    """(key, sentence) of what is wrong at `now`; the key stays the same while it lasts.

    Nobody is missed who had no time to speak since `watched_since`.
    """
    signs = list(said)
    for part in PARTS:
        newest = _newest(signs, part, watched_since)
        if now - newest > patience.silent:
            yield f"{part} stopped", f"No {part} process has given a sign since {_at(newest)}: alerts are not told."
    for one in signs:
        if one.part == "notifier" and now - one.at < patience.forgotten:
            yield from _of_notifier(one, now, patience, watched_since)


def known(said: Iterable[Health], now: datetime, patience: Patience, watched_since: datetime) -> dict[str, str]:
    """What is wrong by one look at all signs: what the watch found, and that it is gone, which it cannot say itself."""
    signs = list(said)
    found = dict(troubles(signs, now, patience, watched_since))
    newest = _newest(signs, "watch", watched_since)
    if now - newest > patience.silent:
        found["watch stopped"] = f"No watch (peacewatch record) has given a sign since {_at(newest)}: nobody is warned."
    for one in signs:
        if one.part == "watch" and now - one.at <= patience.silent:
            found |= one.troubles
    return found


def _newest(signs: Iterable[Health], part: Part, watched_since: datetime) -> datetime:
    return max([watched_since, *(one.at for one in signs if one.part == part)])


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _of_notifier(one: Health, now: datetime, patience: Patience, watched_since: datetime) -> Iterator[tuple[str, str]]:
    if now - max(one.at, watched_since) > patience.silent:
        yield f"notifier {one.name} stopped", f"The notifier of the webhook {one.name} is silent."
    if one.dead:
        says = f"takes nothing more ({one.dead}): {one.untold} alerts wait until its URL is replaced."
        yield f"webhook {one.name} dead", f"The webhook {one.name} {says}"
    elif one.oldest is not None and now - one.oldest > patience.untold:
        yield (
            f"webhook {one.name} late",
            f"{one.untold} alerts wait for the webhook {one.name}, the oldest {now - one.oldest}.",
        )


class Stuck:
    """Finds a consumer that has something to read and does not move."""

    def __init__(self) -> None:
        self._moved: dict[str, tuple[int, datetime]] = {}

    def look(
        self, passed: Mapping[str, tuple[int, int]], now: datetime, patience: Patience
    ) -> Iterator[tuple[str, str]]:
        """`passed`: by group, the sum of its offsets and its lag."""
        for group, (offset, lag) in passed.items():
            before, since = self._moved.get(group, (-1, now))
            if offset != before or lag == 0:
                self._moved[group] = (offset, now)
            elif now - since > patience.stuck:
                yield (
                    f"{group} stuck",
                    f"{group} has {lag} messages to read and has not moved since {since:%H:%M:%S} UTC.",
                )
