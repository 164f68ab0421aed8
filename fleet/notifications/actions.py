"""What an operator does about incidents. One JSON object a message on the topic `operator-actions`. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from fleet import wire
from fleet.alerts.alert import Kind
from fleet.notifications.incident import Incident


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One incident; or, to silence, whatever has all of the kind, place and drone that are named."""

    incident_id: str = ""
    kind: Kind | None = None
    country: str = ""
    city: str = ""
    drone_id: str = ""

    def meets(self, one: Incident) -> bool:
        """Whether `one` is meant. A target that names nothing means nothing."""
        if self.incident_id:
            return self.incident_id == one.incident_id
        named = [
            (self.kind, one.kind),
            (self.country, one.country),
            (self.city, one.city),
            (self.drone_id, one.key.partition("/")[2] if one.kind != "unrest" else ""),
        ]
        wanted = [(want, has) for want, has in named if want]
        return bool(wanted) and all(want == has for want, has in wanted)


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """`until` ends a silence. `by` is who did it, `at` when; the same `id` again is a copy."""

    id: str
    action: Literal["acknowledge", "resolve", "silence", "unsilence"]
    target: Target
    by: str
    at: Annotated[datetime, Meta(tz=True)]
    note: str = ""
    until: Annotated[datetime, Meta(tz=True)] | None = None


_decoder = msgspec.json.Decoder(Action)
_encoder = msgspec.json.Encoder()


def encode(action: Action) -> bytes:
    return _encoder.encode(action)


def decode(value: bytes) -> Action:
    """Raises msgspec.MsgspecError when the bytes are no action."""
    return wire.decode(_decoder, value)


def act(one: Incident, action: Action) -> bool:
    """Enters an acknowledgement or a resolution; whether it changes the incident."""
    before = one.acknowledged_by, one.acknowledgement, one.resolved_by
    if action.action == "acknowledge":
        one.acknowledged_by, one.acknowledgement = action.by, action.note
    elif action.action == "resolve" and action.at >= one.since:
        one.resolved_by = action.by
        one.acknowledged_by, one.acknowledgement = one.acknowledged_by or action.by, action.note or one.acknowledgement
    return before != (one.acknowledged_by, one.acknowledgement, one.resolved_by)


class Silences:
    """The silences in force."""

    def __init__(self) -> None:
        self._silences: dict[Target, datetime] = {}

    def enter(self, action: Action) -> None:
        if action.action == "silence" and action.until is not None:
            self._silences[action.target] = action.until
        elif action.action == "unsilence":
            self._silences.pop(action.target, None)

    def covers(self, one: Incident, now: datetime) -> bool:
        return any(until > now and target.meets(one) for target, until in self._silences.items())

    def expire(self, now: datetime) -> None:
        self._silences = {target: until for target, until in self._silences.items() if until > now}

    def __bool__(self) -> bool:
        return bool(self._silences)
