"""Incidents and digests as Discord messages: embeds within every documented limit. Pure.

Every embed has a field named `Alerts`: the number of alerts that it represents. Over the latest version of all messages
these add up to the alerts that people were notified of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from fleet.alerts.alert import Kind, Severity
from fleet.notifications.delivery import Digest, DigestRow, Slot, without
from fleet.notifications.incident import RANK, Incident, is_expired, is_position, trend
from fleet.text import isolated, units

# Discord's documentation, "Embed Limits" and "Create Message"; all in UTF-16 code units.
TITLE: Final = 256
DESCRIPTION: Final = 4096
FIELDS: Final = 25
FIELD_NAME: Final = 256
FIELD_VALUE: Final = 1024
TOTAL: Final = 6000
EMBEDS: Final = 10

COLOURS: Final[dict[Severity, int]] = {"critical": 0xD92D20, "high": 0xF79009, "moderate": 0xFDD835}
REMAINDER: Final = 250
"""Units of a digest's description that its rows leave free: a line for each kind, and one for newcomers."""

RESOLVED: Final = 0x12B76A
EXPIRED: Final = 0x98A2B3

KINDS: Final[dict[Kind, str]] = {
    "unrest": "Unrest",
    "low_battery": "Low battery",
    "watchword": "Watchword",
    "silent": "Silent drone",
}

NOTES: Final[dict[Kind, str]] = {"low_battery": "Charging station", "watchword": "Watchword"}
"""The name of what a rule adds, by kind; `Note` for the others."""

QUOTED: Final[frozenset[Kind]] = frozenset({"unrest", "watchword"})
"""Kinds whose messages quote what was heard."""


@dataclass(frozen=True)
class Embed:
    """One embed. `fields` are name and value; `at` is shown by Discord in the reader's own time zone."""

    title: str
    description: str
    colour: int
    at: datetime
    url: str = ""
    fields: Sequence[tuple[str, str]] = field(default_factory=tuple)

    @property
    def units(self) -> int:
        """The units that count towards TOTAL."""
        return units(self.title) + units(self.description) + sum(units(n) + units(v) for n, v in self.fields)


def incident_embeds(
    slots: Sequence[Slot],
    incidents: Mapping[str, Incident],
    message_id: str = "",
    plain: AbstractSet[str] = frozenset(),
) -> list[Embed]:
    """The embeds of a message (at most EMBEDS slots); `message_id` is empty for a new one.

    An incident that continues in a newer message says so; one in `plain` has no text from drones.
    """
    room = TOTAL // max(1, len(slots))
    return [_embed(slot, incidents[slot.incident_id], message_id, slot.incident_id in plain, room) for slot in slots]


def digest_embed(digest: Digest, web_url: str, plain: bool = False) -> Embed:
    """The embed of a digest: as many of its rows as fit into a description, the worst first.

    A `plain` one has only numbers, because Discord may have refused a name or the link.
    """
    lines, rest = _rows([] if plain else digest.rows, DESCRIPTION - REMAINDER, _row)
    if rest:  # names matter more than ids
        lines, rest = _rows(digest.rows, DESCRIPTION - REMAINDER, _short_row)
    hidden = without(digest, digest.rows if plain else rest)
    lines += [f"**{count}** {KINDS[kind].lower()} · in other places" for kind, count in sorted(hidden.others.items())]
    if hidden.newcomers:
        lines.append(f"**{hidden.newcomers:,}** alerts of drones that are new to the fleet")
    worst: Severity = max((row.severity for row in digest.rows), key=RANK.__getitem__, default="moderate")
    url = "" if plain else _filter_url(digest, web_url)
    details = [("Details", f"[all alerts of that time]({url})")] if url else []
    return Embed(
        title=f"Digest: {digest.alerts:,} alerts without a message of their own",
        description="\n".join(lines),
        colour=COLOURS[worst],
        at=digest.last,
        url=url,
        fields=(
            ("Alerts", str(digest.alerts)),
            ("Since", _time(digest.since)),
            *details,
        ),
    )


def _embed(slot: Slot, incident: Incident, message_id: str, plain: bool, room: int) -> Embed:
    here = incident.message_id == message_id or not message_id
    title = f"{KINDS[incident.kind]} · {incident.severity}" if plain else _title(incident)
    parts = [("Alerts", str(slot.alerts))]
    if not here:
        parts.append(("State", "continues in a newer message"))
        return Embed(title, "", COLOURS[incident.severity], incident.last, fields=parts)
    parts += _facts(slot, incident)
    words = [] if plain else _words(incident)
    left = room - units(title) - sum(units(name) + units(value) for name, value in parts)
    for name, text in words:
        value = isolated(text, min(FIELD_VALUE, max(0, (left - 2) // 2) - units(name)))
        if value:
            parts.append((name, value))
            left -= units(name) + units(value)
    heard = isolated(incident.heard, min(DESCRIPTION, left - 2)) if incident.kind in QUOTED and not plain else ""
    return Embed(title, heard and f"“{heard}”", _colour(incident), incident.last, _map(incident), parts)


def _colour(incident: Incident) -> int:
    if is_expired(incident):
        return EXPIRED
    return RESOLVED if incident.state == "resolved" else COLOURS[incident.severity]


def _title(incident: Incident) -> str:
    mark = {"resolved": "Resolved: ", "quiet": "Quiet: "}.get(incident.state, "")
    mark = "No further news: " if is_expired(incident) else mark
    place = isolated(f"{incident.city}, {incident.country}", 100)
    return f"{mark}{KINDS[incident.kind]} in {place}" + ("" if incident.verified else " (unverified)")


def _facts(slot: Slot, incident: Incident) -> list[tuple[str, str]]:
    """Our own facts: numbers and times, bounded in length."""
    facts = [
        (
            "State",
            f"{incident.severity}, {incident.state}" + (f", {trend(incident)}" if incident.state == "growing" else ""),
        )
    ]
    if slot.alerts != incident.alerts:
        facts.append(("In all", str(incident.alerts)))
    if incident.flaps:
        facts.append(("Flapping", f"came back {incident.flaps} time{'s' if incident.flaps > 1 else ''}"))
    if incident.worst_score:
        facts.append(("Worst score", str(incident.worst_score)))
    if incident.battery is not None:
        facts.append(("Battery", percent(incident.battery)))
    if incident.newcomers_only:
        facts.append(("Caution", "drones new to the fleet only"))
    if incident.verified and incident.unverified:
        facts.append(("Unverified", f"{incident.unverified} of {incident.alerts} alerts"))
    facts.append(("Reported", _time(incident.reported_at)))
    if incident.alerts > 1:
        facts.append(("Since", _time(incident.since)))
    if _map(incident):
        facts.append(("Where", f"[{incident.latitude:.4f}, {incident.longitude:.4f}]({_map(incident)})"))
    return facts


def percent(battery: float) -> str:
    """Rounded down, so that a battery below a threshold is never shown as the threshold."""
    return f"{max(0, math.floor(battery))} %"


def _words(incident: Incident) -> list[tuple[str, str]]:
    """Text from drones and operators, the most important first: each gets at most half of the room that is left."""
    note = (NOTES.get(incident.kind, "Note"), incident.note)
    is_about_note = incident.kind == "low_battery"
    words = [
        note if is_about_note else ("", ""),
        (
            "Acknowledged",
            f"by {incident.acknowledged_by}. {incident.acknowledgement}" if incident.acknowledged_by else "",
        ),
        ("Resolved", f"by {incident.resolved_by}" if incident.resolved_by else ""),
        ("Who", ", ".join(f"{citizen.name[:80]} ({citizen.peace_score})" for citizen in incident.who)),
        ("", "") if is_about_note else note,
        ("Drone", ", ".join(incident.drones)),
    ]
    return [(name, text) for name, text in words if text]


def _map(incident: Incident) -> str:
    if not is_position(incident.latitude, incident.longitude):
        return ""
    at = f"{incident.latitude:.4f}", f"{incident.longitude:.4f}"
    return f"https://www.openstreetmap.org/?mlat={at[0]}&mlon={at[1]}#map=15/{at[0]}/{at[1]}"


def _rows(
    rows: Sequence[DigestRow], room: int, line_of: Callable[[DigestRow], str]
) -> tuple[list[str], Sequence[DigestRow]]:
    """As many lines as fit into `room`, and the rows that do not."""
    lines: list[str] = []
    for number, row in enumerate(rows):
        line = line_of(row)
        room -= units(line) + 1
        if room < 0:
            return lines, rows[number:]
        lines.append(line)
    return lines, []


def _row(row: DigestRow) -> str:
    ids = isolated(row.first, 90) + ("" if row.first == row.last else f" … {isolated(row.last, 90)}")
    return f"{_short_row(row)} · {ids}"


def _short_row(row: DigestRow) -> str:
    place = isolated(f"{row.city}, {row.country}", 70)
    return f"**{row.alerts}** {KINDS[row.kind].lower()} · {row.severity} · {place}"


def _filter_url(digest: Digest, web_url: str) -> str:
    span = {"from": _stamp(digest.since), "to": _stamp(digest.last)}
    kinds = {row.kind for row in digest.rows}
    if len(kinds) == 1:
        span["kind"] = kinds.pop()
    return f"{web_url}/?{urlencode(span)}"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
