"""What to tell next: new incidents at once, growth by edits, and what the budget cannot carry as a digest. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from fleet.alerts.alert import Severity
from fleet.notifications import incident as incidents
from fleet.notifications.delivery import Digest, Row, Slot
from fleet.notifications.incident import RANK, Incident
from fleet.notifications.notification import Call, Waiting
from fleet.notifications.state import Book

EMBEDS: Final = 10
"""Embeds a message holds (Discord's documentation, Create Message)."""

CALL_BYTES: Final = 400_000
"""Ids of alerts in one delivery: with its incidents it stays below Kafka's default of 1 MB a message."""

CALL_INCIDENTS: Final = 600
"""Incidents in one digest call, for the same reason."""

ROWS: Final = 200
"""Places that a digest remembers by name; more than any message can show."""

HEAD_START: Final = timedelta(minutes=1)
"""For each step of severity: the worst goes first, but after a minute or two nothing is passed over any more."""


@dataclass(frozen=True)
class Policy:
    """How much a person is asked to read, and how long an alert may wait for an embed before a digest counts it."""

    burst: int = 6
    """New messages at once; then one every `Book.pace`, ten seconds: 12 in any minute, what one person can follow."""
    patience: dict[Severity, timedelta] = field(
        default_factory=lambda: {
            "critical": timedelta(seconds=6),
            "high": timedelta(seconds=30),
            "moderate": timedelta(seconds=60),
        }
    )
    crowd: int = 10
    """A digest only when more incidents than this wait: fewer fit the next message."""
    digest_every: timedelta = timedelta(seconds=5)
    digest_life: timedelta = timedelta(minutes=10)
    """Then a new digest is begun, so that the newest stands where people read."""


@dataclass(frozen=True)
class Allowance:
    """What the budget lets through now: a first post or digest, an edit that is overdue, any other edit."""

    first: bool
    urgent: bool
    edit: bool


def next_call(book: Book, policy: Policy, now: datetime, allowance: Allowance) -> Call | None:
    """The call to make now, or None. It tells every waiting alert of each incident in it, up to CALL_BYTES."""
    if allowance.first:
        call = _digest(book, policy, now) or _post(book, policy, now)
        if call is not None:
            return call
    return _edit(book, policy, now, allowance)


def _post(book: Book, policy: Policy, now: datetime) -> Call | None:
    fresh = _fresh(book)
    fresh = [one for one in fresh if not book.kept_back(one.incident_id, now)]
    if not fresh or not _may_post(book, policy, now):
        return None
    fresh.sort(key=lambda one: _urgency(book, one, now), reverse=True)
    single = book.alone | book.plain
    chosen = fresh[:1] if fresh[0].incident_id in single else [one for one in fresh if one.incident_id not in single]
    telling = _take(book, chosen[:EMBEDS])
    slots = []
    for one in chosen[:EMBEDS]:
        if one.incident_id in book.waiting and one.incident_id not in telling:
            continue  # no room for its ids in this delivery
        one.state = incidents.state(one, now, book.intervals)
        before = one.embedded if one.incident_id in book.lost else 0
        slots.append(Slot(one.incident_id, before + len(telling.get(one.incident_id, ()))))
    return Call("post", "", slots, telling)


def _edit(book: Book, policy: Policy, now: datetime, allowance: Allowance) -> Call | None:
    due: dict[str, float] = {}
    for incident_id in book.waiting:
        one = book.incidents[incident_id]
        if one.message_id in book.messages and one.incident_id not in book.alone:
            due[one.message_id] = max(due.get(one.message_id, 0), _urgency(book, one, now))
    for message_id in book.dirty:
        due.setdefault(message_id, -1.0)
    ready = {
        id_: urgency for id_, urgency in due.items() if now - book.messages[id_].edited_at >= book.intervals.update
    }
    for message_id in sorted(ready, key=lambda id_: ready[id_], reverse=True):
        if allowance.edit or (allowance.urgent and _is_overdue(book, policy, message_id, now)):
            return _edit_of(book, message_id, now)
    return None


def _edit_of(book: Book, message_id: str, now: datetime) -> Call:
    book.dirty.add(message_id)  # until the edit is through, however often it fails
    slots, current = [], []
    for slot in book.messages[message_id].slots:
        one = book.incidents[slot.incident_id]
        if one.message_id == message_id:
            one.state = incidents.state(one, now, book.intervals)
            current.append(one)
    telling = _take(book, current)
    for slot in book.messages[message_id].slots:
        one = book.incidents[slot.incident_id]
        more = len(telling.get(one.incident_id, ())) if one.message_id == message_id else 0
        slots.append(Slot(one.incident_id, slot.alerts + more))
    return Call("edit", message_id, slots, telling)


def _digest(book: Book, policy: Policy, now: datetime) -> Call | None:
    lost = book.digest is not None and not book.digest_message
    chosen = _crowded_out(book, policy, now)
    if not chosen and not book.digest_dirty:
        return None
    if book.digest_edited_at is not None and now - book.digest_edited_at < policy.digest_every:
        return None
    chosen.sort(key=lambda one: _urgency(book, one, now), reverse=True)
    telling = _take(book, chosen[:CALL_INCIDENTS])
    old = book.digest if _goes_on(book, chosen, policy, now) else None
    told = [(book.incidents[id_], one) for id_, waiting in telling.items() for one in waiting]
    digest = _count(old or Digest(alerts=0, since=now, last=now), told, now)
    if old is None or lost:
        return Call("post", "", [], telling, digest)
    return Call("edit", book.digest_message, [], telling, digest)


def _goes_on(book: Book, chosen: list[Incident], policy: Policy, now: datetime) -> bool:
    """Whether the present digest grows, or a new one is begun; nobody is disturbed by what was silenced."""
    if book.digest is None:
        return False
    young = now - book.digest.since < policy.digest_life
    return young or book.digest_dirty or all(book.kept_back(one.incident_id, now) for one in chosen)


def _crowded_out(book: Book, policy: Policy, now: datetime) -> list[Incident]:
    """The incidents that a digest must count: many wait, and some longer than they may; those near to it go too.

    And those that get no message of their own.
    """
    outcast = {id_ for id_ in book.waiting if book.kept_back(id_, now)}
    if len(book.waiting) <= policy.crowd:
        return [book.incidents[id_] for id_ in outcast]
    ages = {id_: now - waiting[0].received_at for id_, waiting in book.waiting.items()}
    patience = {id_: policy.patience[book.incidents[id_].severity] for id_ in ages}
    if all(ages[id_] < patience[id_] for id_ in ages):
        return [book.incidents[id_] for id_ in outcast]
    return [book.incidents[id_] for id_ in ages if ages[id_] >= patience[id_] / 2 or id_ in outcast]


def _count(digest: Digest, told: Iterable[tuple[Incident, Waiting]], now: datetime) -> Digest:
    rows = {(row.kind, row.severity, row.country, row.city): msgspec.structs.replace(row) for row in digest.rows}
    added = 0
    for one, alert in told:
        place = (one.kind, alert.severity, one.country, one.city)
        row = rows.setdefault(place, Row(*place, alerts=0, first=alert.alert_id, last=alert.alert_id))
        row.alerts, row.last = row.alerts + 1, alert.alert_id
        added += 1
    order = sorted(rows.values(), key=lambda row: (-RANK[row.severity], -row.alerts, row.country, row.city, row.kind))
    others = Counter(digest.others)
    for row in order[ROWS:]:
        others[row.kind] += row.alerts
    return Digest(digest.alerts + added, digest.since, now, order[:ROWS], dict(others))


def _take(book: Book, chosen: Iterable[Incident]) -> dict[str, list[Waiting]]:
    """The waiting alerts of the chosen incidents, as far as one delivery can hold their ids."""
    room = CALL_BYTES
    taken: dict[str, list[Waiting]] = {}
    for one in chosen:
        for count, alert in enumerate(book.waiting.get(one.incident_id, ())):
            room -= len(alert.alert_id) + 24
            if room < 0:
                break
            if count == 0:
                taken[one.incident_id] = []
            taken[one.incident_id].append(alert)
    return taken


def _fresh(book: Book) -> list[Incident]:
    """Incidents that need a new message: never told, their message deleted, or told long ago and still going on."""
    new = [id_ for id_ in book.waiting if not book.incidents[id_].message_id]
    new += [id_ for id_ in book.lost if id_ not in book.waiting]
    return [book.incidents[id_] for id_ in new or book.again]


def _may_post(book: Book, policy: Policy, now: datetime) -> bool:
    """A bucket of `burst`, refilled by one every `pace` of the book (the generic cell rate algorithm)."""
    return book.post_due - now <= (policy.burst - 1) * book.pace


def _urgency(book: Book, one: Incident, now: datetime) -> float:
    waiting = book.waiting.get(one.incident_id)
    age = (now - waiting[0].received_at).total_seconds() if waiting else 0.0
    return age + RANK[one.severity] * HEAD_START.total_seconds()


def _is_overdue(book: Book, policy: Policy, message_id: str, now: datetime) -> bool:
    for slot in book.messages[message_id].slots:
        waiting = book.waiting.get(slot.incident_id)
        severity = book.incidents[slot.incident_id].severity
        if waiting and now - waiting[0].received_at >= policy.patience[severity]:
            return True
    return False
