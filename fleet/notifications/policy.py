"""The next notification: new incidents at once, growth by edits, and what the budget cannot carry as a digest. Pure.

`decide` reads the notification state and changes nothing. It looks first for a digest of what has waited too long, then
for a post of what has no message, then for an edit of what is outdated. Each gives a named reason.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import chain
from typing import Final

import msgspec

from fleet import wire
from fleet.alerts.alert import Severity
from fleet.notifications import digest_rows, incident
from fleet.notifications.delivery import ALERT_BYTES, ALERTS_BYTES, Digest, Slot
from fleet.notifications.incident import RANK, Incident
from fleet.notifications.incident_register import IncidentEntry
from fleet.notifications.notification import Message, Notification, PendingAlert
from fleet.notifications.state import NotificationState

EMBEDS: Final = 10
"""Embeds a message holds (Discord's documentation, Create Message)."""

DIGEST_INCIDENTS: Final = 600
"""Incidents in one notification of a digest: ALERTS_BYTES holds fewer unless the drones' texts are empty."""

REFUSED_FOR: Final = timedelta(seconds=30)
"""A digest that Discord refuses even without names has no other form. It is retried after this long; meanwhile new
incidents get their messages."""

NEWCOMERS_SHARE: Final = 0.5
"""Of the new messages at once: with six of them, newcomers get three, so that a known drone never waits for a flood of
invented ones. They are paced like all others."""

PASSED_OVER: Final = 2
"""Where known drones take all messages, a newcomer waits for its own at most this many times as long as its severity
allows; then a digest counts it, even if few are pending. Twice the 6 s of a critical one is just over one `pace`."""

HEAD_START: Final = timedelta(minutes=1)
"""For each step of severity: the worst goes first, but passes nothing that has waited a minute or two longer. Where not
all have room, half of it is for the worst, however long others have waited (`_in_turn`)."""


LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


class DecisionReason(Enum):
    """Why this notification, or why none."""

    NEW = "new incidents"
    DELETED = "message deleted"
    CONFIRMED = "a known drone reports what only newcomers did"
    UNACKNOWLEDGED = "nobody acknowledged it"
    GROWN = "pending alerts of a message's incidents"
    CHANGED = "a message is outdated"
    CROWDED = "more incidents are pending than messages can show"
    HELD = "incidents that get no message of their own"
    DIGEST_CHANGED = "the digest's message is outdated"
    DIGEST_REFUSED = "Discord refused the digest in every form a moment ago"
    NOTHING = "nothing is pending"
    PACED = "enough new messages for the moment"
    RECENT = "the message was edited a moment ago"
    NO_BUDGET = "Discord takes no more requests now"


@dataclass(frozen=True)
class Decision:
    """The notification to send now, or None, and why."""

    reason: DecisionReason
    notification: Notification | None = None


@dataclass(frozen=True)
class Policy:
    """How much a person is asked to read, and how long an alert may wait for an embed before a digest counts it."""

    burst: int = 6
    """New messages at once; then one every `pace`."""
    pace: timedelta = timedelta(seconds=10)
    """With `burst` at most 12 new messages in any minute: what one person can follow."""
    patience: dict[Severity, timedelta] = field(
        default_factory=lambda: {
            "critical": timedelta(seconds=6),
            "high": timedelta(seconds=30),
            "moderate": timedelta(seconds=60),
        }
    )
    crowd: int = 10
    """A digest only when more incidents than this are pending: fewer fit the next message."""
    digest_every: timedelta = timedelta(seconds=5)
    digest_life: timedelta = timedelta(minutes=10)
    """Then a new digest begins, so that the newest is at the end of the channel, where people read."""


@dataclass(frozen=True)
class Allowance:
    """Which requests the budget allows now: a first post or digest, an edit that is overdue, any other edit."""

    first: bool
    urgent: bool
    edit: bool


def decide(state: NotificationState, policy: Policy, now: datetime, allowance: Allowance) -> Decision:
    """What to send now. A notification has all pending alerts of each of its incidents, up to ALERTS_BYTES."""
    decisions = [Decision(DecisionReason.NO_BUDGET)]
    if allowance.first:
        decisions = [_digest(state, policy, now)]
        if decisions[0].notification is None:
            decisions.append(_post(state, policy, now))
    if decisions[-1].notification is None:
        decisions.append(_edit(state, policy, now, allowance))
    waits = [
        decision
        for decision in decisions
        if decision.notification is None and decision.reason is not DecisionReason.NOTHING
    ]
    return decisions[-1] if decisions[-1].notification or not waits else waits[0]


# a message for incidents that have none


def _post(state: NotificationState, policy: Policy, now: datetime) -> Decision:
    reason, fresh = _without_message(state, now)
    if not fresh:
        return Decision(DecisionReason.NOTHING)
    if _is_paced(state, policy, now, of_newcomers=fresh[0].incident.newcomers_only):  # then all are
        return Decision(DecisionReason.PACED)
    chosen = _in_turn(fresh, EMBEDS, now)
    if chosen[0].form != "grouped":
        chosen = chosen[:1]
    elif any(entry.form != "grouped" for entry in chosen):
        chosen = _in_turn([entry for entry in fresh if entry.form == "grouped"], EMBEDS, now)
    alerts = _take(chosen)
    chosen = [entry for entry in chosen if not entry.pending or entry.incident_id in alerts]  # the rest had no room
    slots = []
    for entry in chosen:
        before = entry.incident.embedded if entry.repost == "message deleted" else 0
        incident_id = entry.incident_id
        slots.append(Slot(incident_id, before + len(alerts.get(incident_id, ()))))
    return Decision(reason, _of_slots(state, "", slots, alerts, now))


def _is_paced(state: NotificationState, policy: Policy, now: datetime, *, of_newcomers: bool) -> bool:
    """Whether the pace allows no new message now."""
    at_once = max(1, int(policy.burst * (NEWCOMERS_SHARE if of_newcomers else 1)))
    return _post_due(state, policy) - now > (at_once - 1) * policy.pace


def _post_due(state: NotificationState, policy: Policy) -> datetime:
    """When all posts so far would have been made at one every `pace`; the next may be `burst` - 1 posts ahead (a
    GCRA)."""
    due = LONG_AGO
    for posted_at in state.posted:
        due = max(due, posted_at) + policy.pace
    return due


def _without_message(state: NotificationState, now: datetime) -> tuple[DecisionReason, list[IncidentEntry]]:
    """Incidents that need a new message: never notified, confirmed by a known drone, with a deleted message, or
    unacknowledged. Those of newcomers are returned only if no other needs one."""
    new = [entry for entry in state.incidents.pending.values() if not entry.incident.message_id]
    deleted = [entry for entry in state.incidents.reposts("message deleted") if not entry.pending]
    unacknowledged = state.incidents.reposts("unacknowledged")
    reasons = {
        DecisionReason.NEW: new,
        DecisionReason.CONFIRMED: state.incidents.reposts("confirmed"),
        DecisionReason.DELETED: deleted,
    }
    for is_of_newcomers in (False, True):
        of_these = {
            reason: [entry for entry in entries if entry.incident.newcomers_only == is_of_newcomers]
            for reason, entries in reasons.items()
        }
        incidents = [entry for entries in of_these.values() for entry in entries if not state.hold(entry, now)]
        if incidents:
            return next(reason for reason, entries in of_these.items() if entries), incidents
        again = [entry for entry in unacknowledged if entry.incident.newcomers_only == is_of_newcomers]
        again = [entry for entry in again if not state.hold(entry, now)]
        if again:
            return DecisionReason.UNACKNOWLEDGED, again
    return DecisionReason.NEW, []


# an edit of a message


def _edit(state: NotificationState, policy: Policy, now: datetime, allowance: Allowance) -> Decision:
    due = _messages_due(state, now)
    if not due:
        return Decision(DecisionReason.NOTHING)
    recent = [id_ for id_ in due if now - state.messages[id_].edited_at < state.intervals.update]
    for message_id in sorted(due.keys() - set(recent), key=lambda id_: due[id_], reverse=True):
        message = state.messages[message_id]
        if allowance.edit or (allowance.urgent and _is_overdue(state, policy, message, now)):
            return _edit_of(state, message, now)
    return Decision(DecisionReason.RECENT if len(recent) == len(due) else DecisionReason.NO_BUDGET)


def _messages_due(state: NotificationState, now: datetime) -> dict[str, tuple[int, float]]:
    """By message the urgency of its edit; a message with pending alerts goes before one that is only outdated."""
    due: dict[str, tuple[int, float]] = {}
    for entry in state.incidents.pending.values():
        message_id = entry.incident.message_id
        if message_id in state.messages and entry.form != "alone" and entry.repost != "confirmed":
            due[message_id] = max(due.get(message_id, (-1, 0.0)), _urgency(entry, now))
    for message in state.messages.values():
        if message.needs_edit:
            due.setdefault(message.message_id, (-1, -1.0))
    return due


def _edit_of(state: NotificationState, message: Message, now: datetime) -> Decision:
    current = [state.incidents[slot.incident_id] for slot in message.slots]
    current = [entry for entry in current if entry.incident.message_id == message.message_id]
    alerts = _take([entry for entry in current if entry.repost != "confirmed"])
    slots = [Slot(slot.incident_id, slot.alerts + len(alerts.get(slot.incident_id, ()))) for slot in message.slots]
    sent = _of_slots(state, message.message_id, slots, alerts, now)
    return Decision(DecisionReason.GROWN if alerts else DecisionReason.CHANGED, sent)


def _of_slots(
    state: NotificationState, message_id: str, slots: list[Slot], alerts: dict[str, list[PendingAlert]], now: datetime
) -> Notification:
    """Incidents that continue in a newer message are shown as they were."""
    shown = {slot.incident_id: state.incidents[slot.incident_id].incident for slot in slots}
    for incident_id, known in shown.items():
        if known.message_id == message_id or not message_id:
            shown[incident_id] = _as_it_is(state, known, now)
    plain = frozenset(id_ for id_ in shown if state.incidents[id_].form in ("plain", "digest only"))
    return Notification("edit" if message_id else "post", message_id, slots, alerts, shown=shown, plain=plain)


def _as_it_is(state: NotificationState, known: Incident, now: datetime) -> Incident:
    return msgspec.structs.replace(known, state=incident.state(known, now, state.intervals))


def _is_overdue(state: NotificationState, policy: Policy, message: Message, now: datetime) -> bool:
    for slot in message.slots:
        entry = state.incidents[slot.incident_id]
        if entry.pending and now - entry.pending[0].received_at >= policy.patience[entry.incident.severity]:
            return True
    return False


# a digest


def _digest(state: NotificationState, policy: Policy, now: datetime) -> Decision:
    waits = _digest_waits(state, policy, now)
    if waits is not None and len(state.incidents.pending) > policy.crowd:
        return Decision(waits)  # a flood's thousands of incidents are looked at only when a digest may go
    reason, chosen = _crowded_out(state, policy, now)
    if not chosen and not state.digest.needs_edit:
        return Decision(DecisionReason.NOTHING)
    if waits is not None:
        return Decision(waits)
    chosen = _in_turn(chosen, DIGEST_INCIDENTS, now)
    alerts = _take(chosen, in_digest=True)
    old = state.digest.counted if _goes_on(state, chosen, policy, now) else None
    notified = [(state.incidents[id_].incident, alert) for id_, pending in alerts.items() for alert in pending]
    counted = digest_rows.count(old or Digest(alerts=0, since=now, last=now), notified, now)
    shown = {id_: _as_it_is(state, state.incidents[id_].incident, now) for id_ in alerts}
    message_id = state.digest.message_id if old is not None else ""
    sent = Notification(
        "edit" if message_id else "post", message_id, [], alerts, counted, shown, is_plain=state.digest.is_plain
    )
    return Decision(reason if chosen else DecisionReason.DIGEST_CHANGED, sent)


def _digest_waits(state: NotificationState, policy: Policy, now: datetime) -> DecisionReason | None:
    """Why no digest may be sent now; None if it may."""
    if state.digest.refused_at is not None and now - state.digest.refused_at < REFUSED_FOR:
        return DecisionReason.DIGEST_REFUSED
    if state.digest.edited_at is not None and now - state.digest.edited_at < policy.digest_every:
        return DecisionReason.RECENT
    return None


def _goes_on(state: NotificationState, chosen: list[IncidentEntry], policy: Policy, now: datetime) -> bool:
    """Whether the present digest grows; else a new one begins. Incidents that are held begin none: nobody is
    disturbed."""
    counted = state.digest.counted
    if counted is None:
        return False
    if state.digest.needs_edit or all(state.hold(entry, now) for entry in chosen):
        return True
    return now - counted.since < policy.digest_life and not digest_rows.is_full(counted, now)


def _crowded_out(state: NotificationState, policy: Policy, now: datetime) -> tuple[DecisionReason, list[IncidentEntry]]:
    """The incidents that a digest must count: those that are held, and, if many are pending and one has waited as long
    as it may, all that have waited half as long. Newcomers crowd out only each other. Even a few of them are counted
    while known drones take all messages."""
    pending = state.incidents.pending.values()
    held = [entry for entry in pending if state.hold(entry, now)]
    known = [entry for entry in pending if not entry.incident.newcomers_only]
    newcomers = [entry for entry in pending if entry.incident.newcomers_only]
    crowded = _overdue(known, policy, now) if len(known) > policy.crowd else []
    if len(pending) > policy.crowd:
        crowded += _overdue(newcomers, policy, now)
    elif newcomers and _is_paced(state, policy, now, of_newcomers=True):
        crowded += _overdue(newcomers, policy, now, PASSED_OVER)
    if not crowded:
        return DecisionReason.HELD, held
    ids = {entry.incident_id for entry in crowded}
    return DecisionReason.CROWDED, crowded + [entry for entry in held if entry.incident_id not in ids]


def _overdue(pending: list[IncidentEntry], policy: Policy, now: datetime, times: int = 1) -> list[IncidentEntry]:
    """If one has waited `times` as long as it may, all that have waited half as long as that; else none."""
    ages = [
        (entry, now - entry.pending[0].received_at, times * policy.patience[entry.incident.severity])
        for entry in pending
    ]
    if all(age < patience for _, age, patience in ages):
        return []
    return [entry for entry, age, patience in ages if age >= patience / 2]


# what one delivery can hold


def _take(chosen: Sequence[IncidentEntry], *, in_digest: bool = False) -> dict[str, list[PendingAlert]]:
    """As many pending alerts of the chosen incidents as one delivery holds: the first of each, then the others, so that
    no incident keeps another out."""
    room = ALERTS_BYTES
    taken: dict[str, list[PendingAlert]] = {}
    for entry in chosen:
        if entry.pending:
            needed = wire.size(entry.in_digest if in_digest else entry.incident) + _size(entry.pending[0])
            if needed <= room:
                taken[entry.incident_id] = entry.pending[:1]
                room -= needed
    for entry in chosen:
        for alert in entry.pending[1:] if entry.incident_id in taken else ():
            room -= _size(alert)
            if room < 0:
                return taken
            taken[entry.incident_id].append(alert)
    return taken


def _size(alert: PendingAlert) -> int:
    return wire.size(alert.alert_id) + ALERT_BYTES


def _in_turn(entries: list[IncidentEntry], room: int, now: datetime) -> list[IncidentEntry]:
    """As many of the entries as `room`, the most urgent first. If there are more, the most severe and the most urgent
    take turns: tens of thousands of drones that are low on battery at once delay nothing critical, and a storm of
    critical alerts delays nothing in the other half that has waited a minute or two longer."""

    def severity(entry: IncidentEntry) -> tuple[int, int, float]:
        precedence, age = _urgency(entry, now)
        return precedence, RANK[entry.incident.severity], age

    urgent = heapq.nlargest(room, entries, key=lambda entry: _urgency(entry, now))
    if len(entries) <= room:
        return urgent
    by_turns = chain.from_iterable(zip(heapq.nlargest(room, entries, key=severity), urgent, strict=True))
    return list({entry.incident_id: entry for entry in by_turns}.values())[:room]


def _urgency(entry: IncidentEntry, now: datetime) -> tuple[int, float]:
    """A sort key, the greatest first: by precedence, then by severity and time waited."""
    age = (now - entry.pending[0].received_at).total_seconds() if entry.pending else 0.0
    return entry.precedence, age + RANK[entry.incident.severity] * HEAD_START.total_seconds()
