"""The notifier's book: open incidents, the messages that show them, and the alerts that wait to be told.

Pure. `fold` takes an alert in, `fleet.notifications.policy` says what to tell next, `told` enters a call that Discord
took and gives
the delivery to write down, `replay` enters a delivery that was written down before. What the book knows of told alerts
is in the deliveries, of untold ones in `alerts`: it can always be made again from the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from fleet.alerts.alert import Alert
from fleet.notifications import incident as incidents
from fleet.notifications.actions import Action, Silences, act
from fleet.notifications.delivery import Delivery, Digest, Method, Slot
from fleet.notifications.incident import Incident, Intervals
from fleet.notifications.notification import Call, Message, Source, Untold, Waiting
from fleet.recent_ids import RecentIds

REMEMBERED_ACTIONS: Final = 1000
"""Operators' actions kept for incidents that are not known yet: after a restart they are read before the alerts."""


LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Book:
    """See the module. `webhook` names the channel in deliveries."""

    webhook: str = "alerts"
    intervals: Intervals = field(default_factory=Intervals)
    incidents: dict[str, Incident] = field(default_factory=dict)
    by_key: dict[str, str] = field(default_factory=dict)
    messages: dict[str, Message] = field(default_factory=dict)
    waiting: Untold = field(default_factory=Untold)
    dirty: set[str] = field(default_factory=set)  # messages that show something that is no longer so
    lost: set[str] = field(default_factory=set)  # incidents whose message somebody deleted
    deleted: list[str] = field(default_factory=list)  # messages that no delivery has named as gone yet
    alone: set[str] = field(default_factory=set)  # incidents of a message that Discord refused
    plain: set[str] = field(default_factory=set)  # incidents that it refused alone, too: no word of a drone's in them
    unspeakable: set[str] = field(default_factory=set)  # incidents that it refused even so: only a digest counts them
    again: set[str] = field(default_factory=set)  # incidents to be told again, since nobody has taken them up
    silences: Silences = field(default_factory=Silences)
    actions: dict[str, Action] = field(default_factory=dict)  # on incidents that are not known yet
    digest: Digest | None = None
    digest_message: str = ""
    digest_edited_at: datetime | None = None
    digest_dirty: bool = False  # its message may show something else
    digest_plain: bool = False  # Discord refused the one with names of places
    seen: RecentIds = field(default_factory=RecentIds)
    pace: timedelta = timedelta(seconds=10)
    post_due: datetime = LONG_AGO  # when as many messages are due as were posted (a GCRA)

    def fold(self, alert: Alert, source: Source) -> Incident | None:
        """Takes an alert in; None when it is a copy of a known one, or clears an incident."""
        if alert.clears:
            self._clear(alert)
            return None
        if not self.seen.add(alert.alert_id):
            return None
        current = self.incidents.get(self.by_key.get(alert.incident_key, ""))
        if current is None or not incidents.takes(current, alert, self.intervals):
            current = incidents.first(alert)
            self.incidents[current.incident_id] = current
            self.by_key[current.key] = current.incident_id
            if current.incident_id in self.actions:
                act(current, self.actions.pop(current.incident_id))
        incidents.grow(current, alert, self.intervals)
        waiting = Waiting(alert.alert_id, alert.severity, alert.received_at, alert.reported_at, source)
        self.waiting.setdefault(current.incident_id, []).append(waiting)
        return current

    def act(self, action: Action) -> None:
        """Takes an operator's action in."""
        if action.action in ("silence", "unsilence"):
            self.silences.enter(action)
            return
        one = self.incidents.get(action.target.incident_id)
        if one is None:
            self.actions[action.target.incident_id] = action
            if len(self.actions) > REMEMBERED_ACTIONS:
                del self.actions[next(iter(self.actions))]
        elif act(one, action) and one.message_id in self.messages:
            self.dirty.add(one.message_id)

    def kept_back(self, incident_id: str, now: datetime) -> str:
        """Why an incident gets no message of its own, only a digest counts it; empty: it gets one.

        `refused` in every form, `over` before anybody was told, or `silenced` by an operator.
        """
        one = self.incidents[incident_id]
        if incident_id in self.unspeakable:
            return "refused"
        if one.message_id:
            return ""
        if one.cleared:
            return "over"
        return "silenced" if self.silences and self.silences.covers(one, now) else ""

    def told(self, call: Call, message_id: str, now: datetime, held: str = "") -> Delivery:
        """Enters a call that Discord took, after failures of the kind `held`; gives the delivery."""
        told = [(incident_id, one) for incident_id, waiting in call.telling.items() for one in waiting]
        kept_back = {id_: why for id_ in call.telling if call.digest and (why := self.kept_back(id_, now))}
        self._enter(call, message_id, now)
        listed = list(dict.fromkeys([*(slot.incident_id for slot in call.slots), *call.telling]))
        index = {incident_id: position for position, incident_id in enumerate(listed)}
        return Delivery(
            delivery_id=f"{self.webhook}/{message_id}/{int(now.timestamp() * 1000)}",
            webhook=self.webhook,
            method=call.method,
            message_id=message_id,
            delivered_at=now,
            incidents=[self._as_told(incident_id) for incident_id in listed],
            alert_ids=[one.alert_id for _, one in told],
            digest=call.digest is not None,
            alert_incidents=[index[incident_id] for incident_id, _ in told],
            broker_ms=[_ms(now - one.received_at) for _, one in told],
            drone_ms=[_ms(now - one.reported_at) for _, one in told],
            slots=call.slots,
            counted=call.digest,
            gone=self._name_deleted(),
            held=held,
            kept_back=kept_back,
        )

    def replay(self, delivery: Delivery) -> None:
        """Enters a delivery of an earlier notifier. Its message may be older than what a dying one sent: edit anew."""
        for message_id in delivery.gone:
            self.gone(message_id)
        self.deleted.clear()
        for known in delivery.incidents:
            if known.message_id:
                self.lost.discard(known.incident_id)
            self.incidents[known.incident_id] = known
            newest = self.incidents.get(self.by_key.get(known.key, ""))
            if newest is None or newest.since <= known.since:
                self.by_key[known.key] = known.incident_id
        for alert_id in delivery.alert_ids:
            self.seen.add(alert_id)
        if delivery.counted is not None:
            self._enter_digest(delivery.counted, delivery.message_id, delivery.delivered_at)
            self.digest_dirty = True
        else:
            self.messages[delivery.message_id] = Message(delivery.message_id, delivery.slots, delivery.delivered_at)
            self.dirty.add(delivery.message_id)
        if delivery.method == "post":
            self.post_due = max(self.post_due, delivery.delivered_at) + self.pace

    def refresh(self, now: datetime) -> None:
        """Marks the messages whose incidents have changed by time alone, and drops what is over and told."""
        for message in list(self.messages.values()):
            shown = [self.incidents[slot.incident_id] for slot in message.slots]
            states = [incidents.state(one, now, self.intervals) for one in shown]
            if any(one.state != current for one, current in zip(shown, states, strict=True)):
                self.dirty.add(message.message_id)
            elif set(states) == {"resolved"} and self._is_settled(message):
                self._close(message)
        kept = {slot.incident_id for message in self.messages.values() for slot in message.slots}
        kept |= self.waiting.keys() | self.lost
        self.silences.expire(now)
        self.again = {id_ for id_, one in self.incidents.items() if incidents.is_due_again(one, now, self.intervals)}
        for one in [one for one in self.incidents.values() if one.incident_id not in kept]:
            if incidents.state(one, now, self.intervals) == "resolved":
                self._forget(one)

    def recovered(self) -> None:
        """Call after the last `replay`: messages that were told to be over need no edit."""
        for message in list(self.messages.values()):
            if all(self.incidents[slot.incident_id].state == "resolved" for slot in message.slots):
                self._close(message)

    def gone(self, message_id: str) -> None:
        """Somebody deleted the message: what it stood for must be told anew."""
        self.dirty.discard(message_id)
        self.deleted.append(message_id)
        if message_id == self.digest_message:
            self.digest_message, self.digest_edited_at, self.digest_dirty = "", None, True
            return
        for slot in self.messages.pop(message_id).slots if message_id in self.messages else ():
            one = self.incidents[slot.incident_id]
            if one.message_id == message_id:
                one.message_id = ""
                self.lost.add(one.incident_id)
            elif one.message_id in self.messages:  # it went on in a newer message, which now stands for these, too
                self._add_to_slot(self.messages[one.message_id], slot)
            else:
                one.embedded += slot.alerts
                self.lost.add(one.incident_id)

    def refused(self, call: Call) -> None:
        """Discord refused the form of `call`: its incidents are told alone, then plainly, then counted in a digest."""
        shown = {slot.incident_id for slot in call.slots}
        if call.digest is not None:
            self.digest_plain = True
            return
        if call.method == "post":
            step = self.alone if len(shown) > 1 else self.unspeakable if shown <= self.plain else self.plain
            step.update(shown)
            return
        self.dirty.discard(call.message_id)
        self.messages.pop(call.message_id, None)  # it stays as it is; what goes on goes on in new messages
        for slot in call.slots:
            one = self.incidents[slot.incident_id]
            if one.message_id == call.message_id:
                one.message_id, one.embedded = "", 0
        self.alone.update(shown)

    def _name_deleted(self) -> list[str]:
        named, self.deleted = self.deleted, []
        return named

    def _clear(self, alert: Alert) -> None:
        one = self.incidents.get(self.by_key.get(alert.incident_key, ""))
        if one is not None and alert.received_at >= one.last:  # a copy of an old clearing changes nothing
            one.cleared = True

    def known(self, delivery: Delivery) -> None:
        """Another channel's delivery: its alerts are told."""
        for alert_id in delivery.alert_ids:
            self.seen.add(alert_id)

    def _enter(self, call: Call, message_id: str, now: datetime) -> None:
        self.waiting.tell(call.telling)
        if call.method == "post":
            self.post_due = max(self.post_due, now) + self.pace
        if call.digest is not None:
            self._enter_digest(call.digest, message_id, now)
            return
        self.dirty.discard(message_id)
        self.messages[message_id] = Message(message_id, call.slots, now)
        for slot in call.slots:
            self._enter_slot(slot, call.method, message_id, now)

    def _enter_slot(self, slot: Slot, method: Method, message_id: str, now: datetime) -> None:
        one = self.incidents[slot.incident_id]
        if method == "post":
            if one.message_id in self.messages and one.message_id != message_id:
                self.dirty.add(one.message_id)  # it must say that the incident goes on elsewhere
            one.message_id, one.told_at = message_id, now
            for marks in (self.lost, self.alone, self.again):
                marks.discard(slot.incident_id)
        if one.message_id == message_id:
            one.embedded = slot.alerts

    def _add_to_slot(self, message: Message, more: Slot) -> None:
        message.slots = [
            Slot(slot.incident_id, slot.alerts + more.alerts) if slot.incident_id == more.incident_id else slot
            for slot in message.slots
        ]
        self.dirty.add(message.message_id)

    def _enter_digest(self, digest: Digest, message_id: str, now: datetime) -> None:
        self.digest, self.digest_message, self.digest_edited_at, self.digest_dirty = digest, message_id, now, False

    def _as_told(self, incident_id: str) -> Incident:
        """As it is without the alerts that still wait: those will be folded again by whoever replays."""
        one = self.incidents[incident_id]
        return msgspec.structs.replace(one, alerts=one.alerts - len(self.waiting.get(incident_id, ())))

    def _is_settled(self, message: Message) -> bool:
        if message.message_id in self.dirty:
            return False
        return not any(slot.incident_id in self.waiting for slot in message.slots)

    def _close(self, message: Message) -> None:
        """No edit of it any more; what may still come of its incidents is told in a new message."""
        self.dirty.discard(message.message_id)
        del self.messages[message.message_id]
        for slot in message.slots:
            one = self.incidents[slot.incident_id]
            if one.message_id == message.message_id:
                one.message_id, one.embedded = "", 0

    def _forget(self, one: Incident) -> None:
        del self.incidents[one.incident_id]
        if self.by_key.get(one.key) == one.incident_id:
            del self.by_key[one.key]


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
