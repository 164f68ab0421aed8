"""The notification state: open incidents, the messages that show them, and the alerts that are pending.

Pure. `add` takes an alert in, `fleet.notifications.policy` decides on the next notification, `record` enters one that
Discord took and gives the delivery to write, `replay` enters a delivery that was written before. What is known of
notified alerts is in the deliveries, of pending ones in `alerts`: the state can always be rebuilt from the two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from fleet import identity
from fleet.alerts.alert import Alert, Severity, conflict_id, content_of
from fleet.notifications import actions, incident
from fleet.notifications.actions import Action, SilenceOrders
from fleet.notifications.delivery import Delivery, Digest, Method, Slot, without_words
from fleet.notifications.incident import Incident, Intervals
from fleet.notifications.known_alerts import KnownAlerts
from fleet.notifications.notification import Message, Notification, PendingAlert, Source
from fleet.notifications.quota import DRONE_QUOTA, PLACE_QUOTA, Quota
from fleet.places import place_key

Form = Literal["grouped", "alone", "plain", "digest only"]
"""How an incident is notified. Each refusal of Discord's takes it one form further: in a message of its own, then
without a word of a drone's, then counted in a digest."""

Hold = Literal["", "refused", "over", "silenced"]
"""Why an incident gets no message of its own, only a digest counts it: refused by Discord in every form, over before
anybody was notified, silenced by an operator. Empty: it gets one."""

Repost = Literal["", "message deleted", "unacknowledged"]
"""Why an incident that was notified needs a new message."""

REMEMBERED_ACTIONS: Final = 1000
"""Operators' actions kept for incidents that are not known yet: after a restart they are read before the alerts."""

MOST_INCIDENTS: Final = 20_000
"""Incidents that are remembered once they are notified. Past it, those that only a digest counts are forgotten, of the
drones and places over their quota first: a later alert of theirs opens another incident."""

MOST_MESSAGES: Final = 1000
"""Messages that are still edited: twelve a minute for the 35 minutes of an incident are 420. Past it, the one edited
longest ago is left as it is."""

REMEMBERED_POSTS: Final = 100
"""Times of the newest posts, by which people's pace is kept: more than a minute of posts and digests."""

LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class StateBounds:
    """How much is remembered at most."""

    incidents: int = MOST_INCIDENTS
    messages: int = MOST_MESSAGES
    actions: int = REMEMBERED_ACTIONS


@dataclass
class IncidentDelivery:
    """An entry of the notification state: an incident and its delivery, so forgetting the entry forgets all of it.

    `pending`: its alerts that nobody was notified of, in the order in which they came. `within_quota` is False where
    its drone or its place had opened too many incidents: those of others go first.
    """

    incident: Incident
    form: Form = "grouped"
    pending: list[PendingAlert] = field(default_factory=list)
    repost: Repost = ""
    within_quota: bool = True

    @property
    def in_digest(self) -> Incident:
        """The incident in a digest's delivery: over its quota without words, so that a flood fits few deliveries."""
        return self.incident if self.within_quota else without_words(self.incident)


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
    """See the module. `webhook` names the channel in deliveries."""

    webhook: str = "alerts"
    intervals: Intervals = field(default_factory=Intervals)
    bounds: StateBounds = StateBounds()
    messages: dict[str, Message] = field(default_factory=dict)
    digest: DigestState = field(default_factory=DigestState)
    silences: SilenceOrders = field(default_factory=SilenceOrders)
    posted: deque[datetime] = field(default_factory=lambda: deque(maxlen=REMEMBERED_POSTS))  # when; the newest last
    conflicts: int = 0  # alerts that came with the id of another one
    _incidents: dict[str, IncidentDelivery] = field(default_factory=dict)
    _pending: dict[str, IncidentDelivery] = field(default_factory=dict)  # those of them that have pending alerts
    _by_key: dict[str, str] = field(default_factory=dict)
    _deleted: list[str] = field(default_factory=list)  # messages that no delivery has named as gone yet
    _actions: dict[str, Action] = field(default_factory=dict)  # on incidents that are not known yet
    _known: KnownAlerts = field(default_factory=KnownAlerts)
    _drones: Quota = field(default_factory=lambda: Quota(DRONE_QUOTA))
    _places: Quota = field(default_factory=lambda: Quota(PLACE_QUOTA))

    # what is known

    def __getitem__(self, incident_id: str) -> IncidentDelivery:
        return self._incidents[incident_id]

    @property
    def incidents(self) -> Mapping[str, Incident]:
        return {incident_id: entry.incident for incident_id, entry in self._incidents.items()}

    @property
    def pending(self) -> Mapping[str, IncidentDelivery]:
        """Incidents with pending alerts, by id; the one that came first is the first."""
        return self._pending

    @property
    def pending_alerts(self) -> int:
        return sum(len(entry.pending) for entry in self._pending.values())

    def oldest_pending(self, severities: Iterable[Severity]) -> datetime | None:
        """The broker's time of the oldest pending alert of these severities."""
        wanted = set(severities)
        times = [alert.received_at for alert in self._pending_alerts() if alert.severity in wanted]
        return min(times, default=None)

    def notified_through(self, positions: Mapping[int, int]) -> dict[int, int]:
        """By partition of `alerts` the offset below which nothing is pending; `positions` are the next to read."""
        through = dict(positions)
        for alert in self._pending_alerts():
            partition, offset = alert.source
            through[partition] = min(through.get(partition, offset), offset)
        return through

    @property
    def refused_incidents(self) -> int:
        """Incidents that Discord took in no form but a digest's."""
        return sum(entry.form == "digest only" for entry in self._incidents.values())

    def reposts(self, why: Repost) -> list[IncidentDelivery]:
        """Incidents that need a new message for this reason."""
        return [entry for entry in self._incidents.values() if entry.repost == why]

    def hold(self, incident_id: str, now: datetime) -> Hold:
        """Why the incident is kept back from a message of its own."""
        entry = self._incidents[incident_id]
        if entry.form == "digest only":
            return "refused"
        if entry.incident.message_id:
            return ""
        if entry.incident.cleared:
            return "over"
        return "silenced" if self.silences and self.silences.covers(entry.incident, now) else ""

    # what comes in

    def add(self, alert: Alert, source: Source) -> Incident | None:
        """Takes an alert in; None when it is a duplicate of a known one, or clears an incident."""
        if alert.clears:
            self._clear(alert)
            return None
        content = content_of(alert)
        met = self._known.meet(alert.alert_id, content)
        if met == "conflict":
            alert = msgspec.structs.replace(alert, alert_id=conflict_id(alert))
            met = self._known.meet(alert.alert_id, content)
            self.conflicts += met == "new"
        if met != "new":
            return None
        entry = self._incident_of(alert)
        incident.grow(entry.incident, alert, self.intervals)
        entry.pending.append(
            PendingAlert(
                alert.alert_id,
                alert.severity,
                alert.received_at,
                alert.reported_at,
                source,
                content,
                alert.drone_id,
            )
        )
        self._pending[entry.incident.incident_id] = entry
        return entry.incident

    def apply(self, action: Action) -> None:
        """Takes an operator's action in."""
        if action.action in ("silence", "unsilence"):
            self.silences.enter(action)
            return
        entry = self._incidents.get(action.target.incident_id)
        if entry is None:
            self._actions[action.target.incident_id] = action
            if len(self._actions) > self.bounds.actions:
                del self._actions[next(iter(self._actions))]
        elif actions.apply(entry.incident, action) and entry.incident.message_id in self.messages:
            self.messages[entry.incident.message_id].needs_edit = True

    def _incident_of(self, alert: Alert) -> IncidentDelivery:
        """The open incident that the alert belongs to, or the one that it opens."""
        entry = self._open_by_key(incident.key_of(alert))
        if entry is not None and incident.takes(entry.incident, alert, self.intervals):
            if not entry.within_quota and alert.drone_id not in entry.incident.drones:
                entry.within_quota = self._drones.spend(alert.drone_id, alert.received_at)  # somebody else saw it, too
            return entry
        entry = IncidentDelivery(incident.first(alert))
        incident_id = entry.incident.incident_id
        if incident_id in self._incidents:  # its first alert was known so long ago that it came as a new one
            return self._incidents[incident_id]
        entry.within_quota = self._spend(entry.incident, alert.drone_id)
        self._incidents[incident_id] = entry
        self._by_key[entry.incident.key] = incident_id
        if incident_id in self._actions:
            actions.apply(entry.incident, self._actions.pop(incident_id))
        return entry

    def _spend(self, opened: Incident, drone_id: str) -> bool:
        """Counts the opening of an incident; whether drone and place have opened few."""
        within = self._drones.spend(drone_id, opened.since)
        return self._places.spend(place_key(opened.country, opened.city), opened.since) and within

    def _open_by_key(self, key: str) -> IncidentDelivery | None:
        return self._incidents.get(self._by_key.get(key, ""))

    def _clear(self, alert: Alert) -> None:
        entry = self._open_by_key(incident.key_of(alert))
        if entry is not None:
            incident.clear(entry.incident, alert)

    def _pending_alerts(self) -> Iterator[PendingAlert]:
        return (alert for entry in self._pending.values() for alert in entry.pending)

    # what Discord did

    def record(self, sent: Notification, message_id: str, now: datetime, held: str = "") -> Delivery:
        """Enters a notification that Discord took, after failures of the kind `held`; gives the delivery."""
        alerts = [(incident_id, alert) for incident_id, pending in sent.alerts.items() for alert in pending]
        kept_back = {id_: why for id_ in sent.alerts if sent.digest and (why := self.hold(id_, now))}
        self._enter(sent, message_id, now)
        listed = list(dict.fromkeys([*(slot.incident_id for slot in sent.slots), *sent.alerts]))
        index = {incident_id: position for position, incident_id in enumerate(listed)}
        deleted, self._deleted = self._deleted, []
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
        """Somebody deleted the message: people must be notified again of what it stood for."""
        self._deleted.append(message_id)
        if message_id == self.digest.message_id:
            self.digest.message_id, self.digest.edited_at, self.digest.needs_edit = "", None, True
            return
        message = self.messages.pop(message_id, None)
        for slot in message.slots if message else ():
            entry = self._incidents[slot.incident_id]
            if entry.incident.message_id == message_id:
                entry.incident.message_id, entry.repost = "", "message deleted"
            elif (
                entry.incident.message_id in self.messages
            ):  # it goes on in a newer message, which stands for these, too
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
        forms = [self._incidents[slot.incident_id] for slot in sent.slots]
        if sent.method == "post" and len(forms) == 1:
            forms[0].form = "digest only" if forms[0].form == "plain" else "plain"
            return
        for entry in forms:
            entry.form = "alone" if entry.form == "grouped" else entry.form
        if sent.method == "edit":
            self._leave(sent.message_id)  # it stays as it is; what goes on goes on in new messages

    def _enter(self, sent: Notification, message_id: str, now: datetime) -> None:
        for incident_id, alerts in sent.alerts.items():
            entry = self._incidents[incident_id]
            del entry.pending[: len(alerts)]
            if not entry.pending:
                del self._pending[incident_id]
        if sent.method == "post":
            self.posted.append(now)
        for incident_id, shown in sent.shown.items():
            self._incidents[incident_id].incident.state = shown.state
        if sent.digest is not None:
            self._enter_digest(sent.digest, message_id, now)
            return
        self.messages[message_id] = Message(message_id, sent.slots, now)
        for slot in sent.slots:
            self._enter_slot(slot, sent.method, message_id, now)

    def _enter_slot(self, slot: Slot, method: Method, message_id: str, now: datetime) -> None:
        entry = self._incidents[slot.incident_id]
        if method == "post":
            old = self.messages.get(entry.incident.message_id)
            if old is not None and old.message_id != message_id:
                old.needs_edit = True  # it must say that the incident goes on elsewhere
            entry.incident.message_id, entry.incident.told_at = message_id, now
            entry.repost = ""
            entry.form = "grouped" if entry.form == "alone" else entry.form
        if entry.incident.message_id == message_id:
            entry.incident.embedded = slot.alerts

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
        """As it is without the pending alerts: a replay adds those again."""
        entry = self._incidents[incident_id]
        shown = entry.in_digest if in_digest else entry.incident
        return msgspec.structs.replace(shown, alerts=entry.incident.alerts - len(entry.pending))

    # what an earlier notifier did

    def replay(self, delivery: Delivery) -> None:
        """Enters a delivery of an earlier notifier. Its message is edited: a dying one may have sent a newer form."""
        for message_id in delivery.gone:
            self.message_deleted(message_id)
        self._deleted.clear()
        for known in delivery.incidents:
            self._replay_incident(known, refused=delivery.kept_back.get(known.incident_id) == "refused")
        self.replay_other_channel(delivery)
        if delivery.counted is not None:
            self._enter_digest(delivery.counted, delivery.message_id, delivery.delivered_at)
            self.digest.needs_edit = True
        else:
            message = Message(delivery.message_id, delivery.slots, delivery.delivered_at, needs_edit=True)
            self.messages[delivery.message_id] = message
        if delivery.method == "post":
            self.posted.append(delivery.delivered_at)

    def replay_other_channel(self, delivery: Delivery) -> None:
        """Another channel's delivery: its alerts are known."""
        contents = delivery.alert_contents or [0] * len(delivery.alert_ids)
        for alert_id, content in zip(delivery.alert_ids, contents, strict=True):
            self._known.meet(alert_id, content)

    def finish_replay(self, now: datetime) -> None:
        """Call after the last `replay`: messages whose incidents were notified as over need no edit."""
        for message in list(self.messages.values()):
            shown = [self._incidents[slot.incident_id].incident for slot in message.slots]
            if all(each.state == "resolved" and not incident.can_go_on(each, now, self.intervals) for each in shown):
                self._leave(message.message_id)

    def _replay_incident(self, known: Incident, *, refused: bool) -> None:
        known.key = incident.key_of_known(known)
        entry = self._incidents.get(known.incident_id)
        if entry is None:
            entry = self._incidents[known.incident_id] = IncidentDelivery(known)
            entry.within_quota = self._spend(known, known.drones[-1] if known.drones else "")
        entry.incident = known
        if known.message_id:
            entry.repost = ""
        if refused:
            entry.form = "digest only"
        newest = self._open_by_key(known.key)
        if newest is None or newest.incident.since <= known.since:
            self._by_key[known.key] = known.incident_id

    # what time does

    def refresh(self, now: datetime) -> None:
        """Finds what has changed by time alone, and forgets what is over and notified."""
        for message in list(self.messages.values()):
            shown = [self._incidents[slot.incident_id].incident for slot in message.slots]
            if any(each.state != incident.state(each, now, self.intervals) for each in shown):
                message.needs_edit = True
            elif self._is_settled(message) and not any(incident.can_go_on(each, now, self.intervals) for each in shown):
                self._leave(message.message_id)
        self.silences.expire(now)
        for entry in self._incidents.values():
            if entry.repost != "message deleted":
                is_due = entry.within_quota and incident.is_due_again(entry.incident, now, self.intervals)
                entry.repost = "unacknowledged" if is_due else ""
        self._leave_old_messages()
        self._forget_incidents(now)

    def _is_settled(self, message: Message) -> bool:
        return not message.needs_edit and not any(slot.incident_id in self._pending for slot in message.slots)

    def _leave_old_messages(self) -> None:
        spare = len(self.messages) - self.bounds.messages
        if spare > 0:
            oldest = sorted(self.messages.values(), key=lambda message: message.edited_at)
            for message in oldest[:spare]:
                self._leave(message.message_id)

    def _forget_incidents(self, now: datetime) -> None:
        kept = {slot.incident_id for message in self.messages.values() for slot in message.slots} | self._pending.keys()
        spare = [
            entry
            for incident_id, entry in self._incidents.items()
            if incident_id not in kept and entry.repost != "message deleted"
        ]
        over = [entry for entry in spare if not incident.can_go_on(entry.incident, now, self.intervals)]
        for entry in over:
            self._forget(entry.incident)
        too_many = len(self._incidents) - len(self._pending) - self.bounds.incidents
        if too_many > 0:
            spare = [entry for entry in spare if entry.incident.incident_id in self._incidents]
            spare.sort(key=lambda entry: (entry.within_quota, entry.incident.last))
            for entry in spare[:too_many]:
                self._forget(entry.incident)

    def _leave(self, message_id: str) -> None:
        """No edit of the message any more; what may still come of its incidents is notified in a new one."""
        message = self.messages.pop(message_id, None)
        for slot in message.slots if message else ():
            entry = self._incidents[slot.incident_id].incident
            if entry.message_id == message_id:
                entry.message_id, entry.embedded = "", 0

    def _forget(self, entry: Incident) -> None:
        del self._incidents[entry.incident_id]
        if self._by_key.get(entry.key) == entry.incident_id:
            del self._by_key[entry.key]


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
