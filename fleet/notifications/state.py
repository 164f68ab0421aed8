"""The notification state: the register of incidents, the messages that show them, and what happens to both.

Pure. `add` takes an alert in, `fleet.notifications.policy` decides on the next notification, `record` enters one that
Discord accepted and returns the delivery to write, `replay` enters a delivery that was written before. What is known of
notified alerts is in the deliveries, of pending ones in `alerts`: the state can always be rebuilt from the two.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert, conflict_id, content_of
from fleet.notifications import digest_rows, incident
from fleet.notifications.actions import Action, SilenceOrders
from fleet.notifications.delivery import Delivery, Digest, Method, Slot
from fleet.notifications.incident import Incident, Intervals
from fleet.notifications.incident_register import MOST_INCIDENTS, REMEMBERED_ACTIONS, IncidentEntry, IncidentRegister
from fleet.notifications.known_alerts import KnownAlerts
from fleet.notifications.notification import Message, Notification, Source

Hold = Literal["", "refused", "over", "silenced"]
"""Why only a digest counts an incident: refused by Discord in every form, over before anybody was notified, silenced by
an operator. Empty: it gets a message of its own."""

MOST_MESSAGES: Final = 1000
"""Messages that are still edited: twelve a minute for the 35 minutes of an incident are 420. Past it, the one edited
longest ago is left as it is."""

REMEMBERED_POSTS: Final = 100
"""Times of the newest posts, for the policy's pace: more than a minute of posts and digests."""


@dataclass(frozen=True)
class StateBounds:
    """How much is remembered at most."""

    incidents: int = MOST_INCIDENTS
    messages: int = MOST_MESSAGES
    actions: int = REMEMBERED_ACTIONS


@dataclass
class DigestState:
    """The current digest and its message; `is_plain`: Discord refused the form with names of places.

    `refused_at`: when Discord refused the plain form, too; None once it accepted one.
    """

    counted: Digest | None = None
    message_id: str = ""
    edited_at: datetime | None = None
    needs_edit: bool = False
    is_plain: bool = False
    refused_at: datetime | None = None


@dataclass
class NotificationState:
    """`webhook` names the channel in deliveries."""

    webhook: str = "alerts"
    intervals: Intervals = field(default_factory=Intervals)
    bounds: StateBounds = StateBounds()
    messages: dict[str, Message] = field(default_factory=dict)
    digest: DigestState = field(default_factory=DigestState)
    silences: SilenceOrders = field(default_factory=SilenceOrders)
    posted: deque[datetime] = field(default_factory=lambda: deque(maxlen=REMEMBERED_POSTS))  # when; the newest last
    conflicts: int = 0  # alerts that came with the id of another one
    _deleted: list[str] = field(default_factory=list)  # messages that no delivery has named as gone yet
    _known: KnownAlerts = field(default_factory=KnownAlerts)
    incidents: IncidentRegister = field(init=False)

    def __post_init__(self) -> None:
        self.incidents = IncidentRegister(self.intervals, self.bounds.incidents, self.bounds.actions)

    def hold(self, entry: IncidentEntry, now: datetime) -> Hold:
        """Why the incident is kept back from a message of its own."""
        if entry.form == "digest only":
            return "refused"
        if entry.incident.message_id and entry.repost != "confirmed":
            return ""
        if entry.incident.cleared and entry.repost != "message deleted":
            return "over"
        return "silenced" if self._is_silenced(entry.incident, now) else ""

    # what comes in

    def add(self, alert: Alert, source: Source) -> Incident | None:
        """Takes an alert in; None when it is a duplicate of a known one, or clears an incident."""
        if alert.clears:
            self._must_edit(self.incidents.clear(alert, source))
            return None
        content = content_of(alert)
        met = self._known.meet(alert.alert_id, content)
        if met == "conflict":
            alert = msgspec.structs.replace(alert, alert_id=conflict_id(alert))
            met = self._known.meet(alert.alert_id, content)
            self.conflicts += met == "new"
        if met != "new":
            return None
        return self.incidents.add(alert, content, source)

    def apply(self, action: Action) -> None:
        """Takes an operator's action in."""
        if action.action in ("silence", "unsilence"):
            self.silences.enter(action)
            return
        self._must_edit(self.incidents.apply(action))

    # what Discord did

    def record(self, sent: Notification, message_id: str, now: datetime, held: str = "") -> Delivery:
        """Enters a notification that Discord accepted, after failures of the kind `held`. Returns its delivery."""
        alerts = [(incident_id, alert) for incident_id, pending in sent.alerts.items() for alert in pending]
        kept_back = {id_: why for id_ in sent.alerts if sent.digest and (why := self.hold(self.incidents[id_], now))}
        for incident_id, why in kept_back.items():
            self.incidents[incident_id].silenced = why == "silenced"
        self._enter(sent, message_id, now)
        listed = list(dict.fromkeys([*(slot.incident_id for slot in sent.slots), *sent.alerts]))
        index = {incident_id: position for position, incident_id in enumerate(listed)}
        deleted, self._deleted = self._deleted, []
        self.incidents.remove_clearings(listed)
        return Delivery(
            delivery_id=identity.join(self.webhook, message_id, str(int(now.timestamp() * 1000))),
            webhook=self.webhook,
            method=sent.method,
            message_id=message_id,
            delivered_at=now,
            incidents=[self._as_notified(incident_id, sent.digest is not None) for incident_id in listed],
            alert_ids=[alert.alert_id for _, alert in alerts],
            digest=sent.digest is not None,
            alert_incidents=[index[incident_id] for incident_id, _ in alerts],
            broker_ms=[_ms(now - alert.received_at) for _, alert in alerts],
            drone_ms=[_ms(now - alert.reported_at) for _, alert in alerts],
            alert_contents=[alert.content for _, alert in alerts],
            slots=sent.slots,
            counted=sent.digest,
            gone=deleted,
            held=held,
            kept_back=dict(kept_back),
        )

    def message_deleted(self, message_id: str) -> None:
        """Somebody deleted the message: people must be notified again of what it showed."""
        self._deleted.append(message_id)
        if message_id == self.digest.message_id:
            self.digest.message_id, self.digest.edited_at, self.digest.needs_edit = "", None, True
            return
        message = self.messages.pop(message_id, None)
        for slot in message.slots if message else ():
            entry = self.incidents[slot.incident_id]
            if entry.incident.message_id == message_id:
                entry.incident.message_id, entry.repost = "", "message deleted"
            elif entry.incident.message_id in self.messages:  # a newer message shows it, and stands for these, too
                self._add_to_slot(self.messages[entry.incident.message_id], slot)
            else:
                entry.incident.embedded += slot.alerts
                entry.repost = "message deleted"

    def refused(self, sent: Notification) -> None:
        """Discord refused the notification: its incidents are tried in their next form."""
        if sent.digest is not None:
            self.digest.refused_at = sent.digest.last if sent.is_plain else None
            self.digest.is_plain = True
            return
        forms = [self.incidents[slot.incident_id] for slot in sent.slots]
        if sent.method == "post" and len(forms) == 1:
            forms[0].form = "digest only" if forms[0].form == "plain" else "plain"
            return
        for entry in forms:
            entry.form = "alone" if entry.form == "grouped" else entry.form
        if sent.method == "edit":
            self._leave(sent.message_id)  # it stays as it is; later alerts go into new messages

    def _enter(self, sent: Notification, message_id: str, now: datetime) -> None:
        self.incidents.remove_pending(sent.alerts)
        if sent.method == "post":
            self._note_post(now, sent.digest)
        for incident_id, shown in sent.shown.items():
            self.incidents[incident_id].incident.state = shown.state
        if sent.digest is not None:
            self._enter_digest(sent.digest, message_id, now)
            return
        self.messages[message_id] = Message(message_id, sent.slots, now)
        for slot in sent.slots:
            self._enter_slot(slot, sent.method, message_id, now)

    def _enter_slot(self, slot: Slot, method: Method, message_id: str, now: datetime) -> None:
        entry = self.incidents[slot.incident_id]
        if method == "post":
            old = self.messages.get(entry.incident.message_id)
            if old is not None and old.message_id != message_id:
                old.needs_edit = True  # it must say that the incident continues in a newer message
            entry.incident.message_id, entry.incident.told_at = message_id, now
            entry.repost, entry.silenced = "", False
            entry.form = "grouped" if entry.form == "alone" else entry.form
        if entry.incident.message_id == message_id:
            entry.incident.embedded = slot.alerts

    def _note_post(self, at: datetime, counted: Digest | None) -> None:
        """A digest of newcomers only is not paced: it would take a message from known drones."""
        if counted is None or not digest_rows.is_of_newcomers(counted):
            self.posted.append(at)

    def _add_to_slot(self, message: Message, more: Slot) -> None:
        message.slots = [
            Slot(slot.incident_id, slot.alerts + more.alerts) if slot.incident_id == more.incident_id else slot
            for slot in message.slots
        ]
        message.needs_edit = True

    def _enter_digest(self, counted: Digest, message_id: str, now: datetime) -> None:
        known = self.digest
        known.counted, known.message_id, known.edited_at, known.needs_edit = counted, message_id, now, False
        known.refused_at = None

    def _as_notified(self, incident_id: str, in_digest: bool) -> Incident:
        """The incident without its pending alerts, which a successor reads from `alerts`. What a known drone confirms
        among these is of newcomers only until its new message is posted, also for a successor."""
        entry = self.incidents[incident_id]
        shown = entry.in_digest if in_digest else entry.incident
        is_of_newcomers = shown.newcomers_only or (entry.repost == "confirmed" and bool(entry.pending))
        return msgspec.structs.replace(
            shown, alerts=entry.incident.alerts - len(entry.pending), newcomers_only=is_of_newcomers
        )

    # what an earlier notifier did

    def replay(self, delivery: Delivery) -> None:
        """Enters a delivery of an earlier notifier. Its message is edited: a dying one may have sent a newer form."""
        for message_id in delivery.gone:
            self.message_deleted(message_id)
        self._deleted.clear()
        for known in delivery.incidents:
            self.incidents.replay(known, refused=delivery.kept_back.get(known.incident_id) == "refused")
        self.replay_other_channel(delivery)
        if delivery.counted is not None:
            self._enter_digest(delivery.counted, delivery.message_id, delivery.delivered_at)
            self.digest.needs_edit = True
        else:
            message = Message(delivery.message_id, delivery.slots, delivery.delivered_at, needs_edit=True)
            self.messages[delivery.message_id] = message
        if delivery.method == "post" and delivery.delivered_at not in self.posted:  # the topic may have it twice
            self._note_post(delivery.delivered_at, delivery.counted)

    def replay_other_channel(self, delivery: Delivery) -> None:
        """Another channel's delivery: its alerts are known."""
        contents = delivery.alert_contents or [0] * len(delivery.alert_ids)
        for alert_id, content in zip(delivery.alert_ids, contents, strict=True):
            self._known.meet(alert_id, content)

    def finish_replay(self, now: datetime) -> None:
        """Call after the last `replay`: messages whose incidents were notified as over need no edit."""
        for message in list(self.messages.values()):
            shown = [self.incidents[slot.incident_id].incident for slot in message.slots]
            if all(each.state == "resolved" and not incident.can_go_on(each, now, self.intervals) for each in shown):
                self._leave(message.message_id)

    # what time does

    def refresh(self, now: datetime) -> None:
        """Marks messages that time alone has outdated, and forgets what is over and notified."""
        for message in list(self.messages.values()):
            shown = [self.incidents[slot.incident_id].incident for slot in message.slots]
            if any(each.state != incident.state(each, now, self.intervals) for each in shown):
                message.needs_edit = True
            elif self._is_settled(message) and not any(incident.can_go_on(each, now, self.intervals) for each in shown):
                self._leave(message.message_id)
        self.silences.expire(now)
        self.incidents.find_unacknowledged(now, lambda known: self._is_silenced(known, now))
        self._leave_old_messages()
        ids = {slot.incident_id for message in self.messages.values() for slot in message.slots}
        self.incidents.forget(now, shown=ids)

    def _must_edit(self, changed: Incident | None) -> None:
        if changed is not None and changed.message_id in self.messages:
            self.messages[changed.message_id].needs_edit = True

    def _is_silenced(self, known: Incident, now: datetime) -> bool:
        return bool(self.silences) and self.silences.covers(known, now)

    def _is_settled(self, message: Message) -> bool:
        return not message.needs_edit and not any(slot.incident_id in self.incidents.pending for slot in message.slots)

    def _leave_old_messages(self) -> None:
        spare = len(self.messages) - self.bounds.messages
        if spare > 0:
            oldest = sorted(self.messages.values(), key=lambda message: message.edited_at)
            for message in oldest[:spare]:
                self._leave(message.message_id)

    def _leave(self, message_id: str) -> None:
        """Edits the message no more; later alerts of its incidents are notified in a new one."""
        message = self.messages.pop(message_id, None)
        for slot in message.slots if message else ():
            entry = self.incidents[slot.incident_id].incident
            if entry.message_id == message_id:
                entry.message_id, entry.embedded = "", 0


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
