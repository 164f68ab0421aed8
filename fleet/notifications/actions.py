"""What an operator does about incidents. One JSON object a message on the topic `operator-actions`. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from fleet import wire
from fleet.alerts.alert import Kind
from fleet.alerts.rules import incident_key
from fleet.notifications.incident import NAME_BYTES, Incident
from fleet.places import place_key


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """One incident; or, for a silence, every incident of the kind, place and drone that are named."""

    incident_id: str = ""
    kind: Kind | None = None
    country: str = ""
    city: str = ""
    drone_id: str = ""

    def meets(self, incident: Incident) -> bool:
        """Whether `incident` is meant. A target that names nothing means no incident. Places are compared by key."""
        if self.incident_id:
            return self.incident_id == incident.incident_id
        if not (self.kind or self.country or self.city or self.drone_id):
            return False
        if self.kind and self.kind != incident.kind:
            return False
        if self.drone_id and incident.key != incident_key(incident.kind, self.drone_id, ("", "")):
            return False
        country, city = self.country or incident.country, self.city or incident.city
        return place_key(country, city) == place_key(incident.country, incident.city)


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """A silence ends at `until`, or by an `unsilence` that names its id in `ends`; without `ends` all silences of the
    target end. `by` is who acted, `at` when; the same `id` again is a duplicate."""

    id: str
    action: Literal["acknowledge", "resolve", "silence", "unsilence"]
    target: Target
    by: str
    at: Annotated[datetime, Meta(tz=True)]
    note: str = ""
    until: Annotated[datetime, Meta(tz=True)] | None = None
    ends: str = ""


_codec = wire.Codec(Action, "an operator's action")
encode, decode = _codec.encode, _codec.decode


def apply(incident: Incident, action: Action) -> bool:
    """Enters an acknowledgement or a resolution. Returns whether it changes the incident."""
    before = incident.acknowledged_by, incident.acknowledgement, incident.resolved_by
    by, note = wire.cut(action.by, NAME_BYTES), wire.cut(action.note, NAME_BYTES)
    if action.action == "acknowledge":
        incident.acknowledged_by, incident.acknowledgement = by, note
    elif action.action == "resolve" and action.at >= incident.since:
        incident.resolved_by = by
        incident.acknowledged_by = incident.acknowledged_by or by
        incident.acknowledgement = note or incident.acknowledgement
    return before != (incident.acknowledged_by, incident.acknowledgement, incident.resolved_by)


MOST_SILENCES: Final = 1000
"""Silences in force. Past it the one that would end first ends now: people get too many messages then, never too
few."""


class SilenceOrders:
    """The silences in force. A target may have several: a shorter one does not end a longer one."""

    def __init__(self) -> None:
        self._silences: dict[tuple[Target, str], datetime] = {}  # by target and id

    def enter(self, action: Action) -> None:
        if action.action == "silence" and action.until is not None:
            self._silences[action.target, action.id] = action.until
            if len(self._silences) > MOST_SILENCES:
                del self._silences[min(self._silences, key=self._silences.__getitem__)]
        elif action.action == "unsilence":
            for target, id_ in list(self._silences):
                if target == action.target and action.ends in ("", id_):
                    del self._silences[target, id_]

    def covers(self, incident: Incident, now: datetime) -> bool:
        return any(until > now and target.meets(incident) for (target, _), until in self._silences.items())

    def expire(self, now: datetime) -> None:
        self._silences = {key: until for key, until in self._silences.items() if until > now}

    def __bool__(self) -> bool:
        return bool(self._silences)
