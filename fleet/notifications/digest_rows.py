"""What a digest counts, by place: which places it names, and which are only in its remainder. Pure.

Newcomers (fleet.alerts.newcomer) are named in the rows that known drones leave free, so that neither takes a row from
an honest one nor begins another digest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fleet import wire
from fleet.notifications.delivery import ROWS_BYTES, Digest, DigestRow, without
from fleet.notifications.incident import RANK, Incident
from fleet.notifications.notification import PendingAlert
from fleet.notifications.quota import DRONE_QUOTA

ROWS: Final = 200
"""Places that a digest remembers by name; more than any message can show."""

SHOWN_ROWS: Final = 35
"""Rows that a digest's message shows in any case: 110 UTF-16 units each, without ids (message.py). Past it a new digest
begins, once this one is NAMED_FOR old, so that every place is named in some message while that can be read."""

NAMED_FOR: Final = timedelta(minutes=1)


def count(digest: Digest, notified: Iterable[tuple[Incident, PendingAlert]], now: datetime) -> Digest:
    """The digest with these alerts, each of its incident."""
    rows = {(row.kind, row.severity, row.country, row.city): msgspec.structs.replace(row) for row in digest.rows}
    added = 0
    for known, alert in notified:
        place = (known.kind, alert.severity, known.country, known.city)
        new = DigestRow(
            *place,
            alerts=0,
            first=alert.alert_id,
            last=alert.alert_id,
            drone=alert.drone_id,
            newcomers=known.newcomers_only,
        )
        row = rows.setdefault(place, new)
        row.alerts, row.last = row.alerts + 1, alert.alert_id
        row.drone = row.drone if row.drone == alert.drone_id else ""
        row.newcomers = row.newcomers and known.newcomers_only
        added += 1
    kept, rest = _fit(_in_order(rows.values()))
    return msgspec.structs.replace(without(digest, rest), alerts=digest.alerts + added, last=now, rows=kept)


def is_full(digest: Digest, now: datetime) -> bool:
    """Whether its message no longer shows all places of known drones, and has shown the first ones for long enough."""
    return sum(not row.newcomers for row in digest.rows) > SHOWN_ROWS and now - digest.since >= NAMED_FOR


def is_of_newcomers(digest: Digest) -> bool:
    """Whether no known drone raised any of what it counts."""
    return all(row.newcomers for row in digest.rows) and not digest.others


def _in_order(rows: Iterable[DigestRow]) -> list[DigestRow]:
    """The order in which a message names them: known drones before newcomers, the worst severity first, within it
    places with few alerts first. The rows of one drone beyond DRONE_QUOTA come last."""
    order = sorted(
        rows, key=lambda row: (row.newcomers, -RANK[row.severity], row.alerts, row.country, row.city, row.kind)
    )
    of_drone: Counter[str] = Counter()
    first: list[DigestRow] = []
    later: list[DigestRow] = []
    for row in order:
        of_drone[row.drone] += 1
        (later if row.drone and of_drone[row.drone] > DRONE_QUOTA else first).append(row)
    return first + later


def _fit(rows: list[DigestRow]) -> tuple[list[DigestRow], list[DigestRow]]:
    """The rows that a digest remembers by name, and those that it only counts."""
    kept: list[DigestRow] = []
    rest: list[DigestRow] = []
    room = ROWS_BYTES
    for row in rows:
        size = wire.size(row) + 1
        if len(kept) < (SHOWN_ROWS if row.newcomers else ROWS) and size <= room:
            kept.append(row)
            room -= size
        else:
            rest.append(row)
            room = room if row.newcomers else 0  # else a less urgent place would be named instead of a known drone's
    return kept, rest
