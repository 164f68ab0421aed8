"""The register of incidents: each with the form of its notification and its pending alerts, found by id or by key.

Pure. What else must change with an incident changes here: the index by key, the alerts that are pending, the quotas of
drones and places, and the actions of operators that came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Final, Literal

from fleet.alerts.alert import Alert, Severity
from fleet.notifications import actions, incident
from fleet.notifications.actions import Action
from fleet.notifications.delivery import without_words
from fleet.notifications.incident import Incident, Intervals
from fleet.notifications.notification import PendingAlert, Source
from fleet.notifications.quota import Quotas
from fleet.places import place_key

Form = Literal["grouped", "alone", "plain", "digest only"]
"""How an incident is notified. With each refusal by Discord it takes the next form: in a message of its own, then
without any text from drones, then only counted in a digest."""

Repost = Literal["", "message deleted", "confirmed", "unacknowledged"]
"""Why an incident that was notified needs a new message; `confirmed`: a known drone reports what only newcomers did."""

REMEMBERED_ACTIONS: Final = 1000
"""Operators' actions kept for incidents that are not known yet: after a restart they are read before the alerts."""

MOST_INCIDENTS: Final = 20_000
"""Notified incidents that are remembered. Past it, those that only a digest counts are forgotten, first those of the
lowest precedence: a later alert of theirs opens another incident."""

KNOWN: Final = 3
"""The precedence of an incident of known drones, within their quotas."""


@dataclass
class IncidentEntry:
    """An incident and its notification: forgetting the entry forgets all of it.

    `pending`: its alerts that nobody was notified of, in the order in which they came. `clearing`: where its end is in
    `alerts`, until a delivery says that it is over. `within_quota` is False if its drone or its place had opened too
    many incidents, `drone_floods` is True if its drone had: both go after others.
    """

    incident: Incident
    form: Form = "grouped"
    pending: list[PendingAlert] = field(default_factory=list)
    clearing: Source | None = None
    repost: Repost = ""
    within_quota: bool = True
    drone_floods: bool = False
    silenced: bool = False  # a digest counted it while it was silenced, and no message has shown it since

    @property
    def incident_id(self) -> str:
        return self.incident.incident_id

    @property
    def in_digest(self) -> Incident:
        """The incident as a digest's delivery has it: without words if it is of newcomers or over its quota, so that a
        flood fits into few deliveries."""
        is_whole = self.within_quota and not self.incident.newcomers_only
        return self.incident if is_whole else without_words(self.incident)

    @property
    def precedence(self) -> int:
        """The higher it is, the sooner the incident is notified: KNOWN, 2 for a place over its quota, 1 for newcomers,
        0 for a flooder."""
        if self.incident.newcomers_only:
            return 1 if self.within_quota else 0
        if self.within_quota:
            return KNOWN
        return 0 if self.drone_floods else 2


class IncidentRegister:
    """The entries, in the order in which they were opened; `most` and `most_actions` bound what is remembered."""

    def __init__(
        self, intervals: Intervals, most: int = MOST_INCIDENTS, most_actions: int = REMEMBERED_ACTIONS
    ) -> None:
        self._intervals = intervals
        self._most = most
        self._most_actions = most_actions
        self._entries: dict[str, IncidentEntry] = {}
        self._pending: dict[str, IncidentEntry] = {}  # those of them that have pending alerts
        self._newest: dict[str, str] = {}  # by key the id of its newest incident
        self._early_actions: dict[tuple[str, str], Action] = {}  # by incident that is not known yet, and what it does
        self._quotas = Quotas()
        self._newcomers = Quotas()  # of their own: invented drones must not use up a real place's
        self.pending_newcomers = 0  # alerts

    def __getitem__(self, incident_id: str) -> IncidentEntry:
        return self._entries[incident_id]

    def __iter__(self) -> Iterator[IncidentEntry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    # what is known

    @property
    def pending(self) -> Mapping[str, IncidentEntry]:
        """Entries with pending alerts, by id; the one that came first is the first."""
        return self._pending

    @property
    def pending_alerts(self) -> int:
        """How many alerts are pending."""
        return sum(len(entry.pending) for entry in self._pending.values())

    @property
    def refused(self) -> int:
        """Incidents that Discord accepts only in a digest."""
        return sum(entry.form == "digest only" for entry in self)

    def oldest_pending(self, severities: Iterable[Severity]) -> datetime | None:
        """The broker's time of the oldest pending alert of these severities."""
        wanted = set(severities)
        times = [alert.received_at for alert in self._pending_alerts() if alert.severity in wanted]
        return min(times, default=None)

    def notified_through(self, positions: Mapping[int, int], *, of_newcomers: bool = True) -> dict[int, int]:
        """By partition of `alerts` the offset below which nothing is pending; `positions` are the next to read.
        Without `of_newcomers`, alerts of newcomers may be pending below it.

        A clearing is pending until the incident's message shows it: a notifier that starts in between reads it again.
        """
        through = dict(positions)
        clearings = (entry.clearing for entry in self if entry.clearing and entry.incident.message_id)
        pending = (alert.source for alert in self._pending_alerts() if of_newcomers or not alert.newcomer)
        for partition, offset in chain(pending, clearings):
            through[partition] = min(through.get(partition, offset), offset)
        return through

    def reposts(self, why: Repost) -> list[IncidentEntry]:
        """Entries that need a new message for this reason."""
        return [entry for entry in self if entry.repost == why]

    # what changes an incident

    def add(self, alert: Alert, content: int, source: Source) -> Incident:
        """Adds a new alert to its incident, where it is pending; `content` is its checksum."""
        entry = self._entry_of(alert)
        was_of_newcomers = entry.incident.newcomers_only
        incident.grow(entry.incident, alert, self._intervals)
        if was_of_newcomers and not alert.newcomer:
            self._confirm(entry, alert)
        self.pending_newcomers += alert.newcomer
        entry.pending.append(
            PendingAlert(
                alert.alert_id,
                alert.severity,
                alert.received_at,
                alert.reported_at,
                source,
                content,
                alert.drone_id,
                alert.newcomer,
            )
        )
        self._pending[entry.incident_id] = entry
        return entry.incident

    def clear(self, alert: Alert, source: Source) -> Incident | None:
        """Ends the incident that `alert` clears; None when that changes none."""
        entry = self._newest_of(incident.key_of(alert))
        if entry is None or not incident.clear(entry.incident, alert):
            return None
        entry.clearing = entry.clearing or source
        return entry.incident

    def remove_clearings(self, notified: Iterable[str]) -> None:
        """A delivery has these incidents as they are."""
        for incident_id in notified:
            self._entries[incident_id].clearing = None

    def apply(self, action: Action) -> Incident | None:
        """Acknowledges or resolves an incident, now or once it is known; the incident when that changed it."""
        entry = self._entries.get(action.target.incident_id)
        if entry is not None:
            return entry.incident if actions.apply(entry.incident, action) else None
        early = action.target.incident_id, action.action
        self._early_actions.pop(early, None)  # in the order of the actions
        self._early_actions[early] = action
        if len(self._early_actions) > self._most_actions:
            del self._early_actions[next(iter(self._early_actions))]
        return None

    def remove_pending(self, notified: Mapping[str, list[PendingAlert]]) -> None:
        """Removes alerts that people were notified of, by incident: the first of those that are pending."""
        for incident_id, alerts in notified.items():
            entry = self._entries[incident_id]
            self.pending_newcomers -= sum(alert.newcomer for alert in alerts)
            del entry.pending[: len(alerts)]
            if not entry.pending:
                del self._pending[incident_id]

    def replay(self, known: Incident, *, refused: bool) -> None:
        """Enters an incident as an earlier delivery has it; `refused`: Discord accepts it only in a digest."""
        known.key = incident.key_of_known(known)
        entry = self._entries.get(known.incident_id)
        if entry is None:
            entry = self._entries[known.incident_id] = IncidentEntry(known)
            self._spend(entry, known.drones[-1] if known.drones else "", known.since)
        entry.incident = known
        if known.message_id:
            entry.repost = ""
        if refused:
            entry.form = "digest only"
        newest = self._newest_of(known.key)
        if newest is None or newest.incident.since <= known.since:
            self._newest[known.key] = known.incident_id

    # what time changes

    def find_unacknowledged(self, now: datetime, is_silenced: Callable[[Incident], bool]) -> None:
        """Marks for a new message what was notified long ago, or while it was silenced, and is neither acknowledged nor
        silenced now."""
        for entry in self:
            if entry.repost in ("", "unacknowledged"):
                is_due = entry.within_quota and (
                    incident.is_due_again(entry.incident, now, self._intervals)
                    or (entry.silenced and incident.is_unattended(entry.incident, now, self._intervals))
                )
                entry.repost = "unacknowledged" if is_due and not is_silenced(entry.incident) else ""

    def forget(self, now: datetime, shown: Collection[str]) -> None:
        """Forgets what is notified and over, and what is past the bound; never those that open messages show."""
        spare = [
            entry
            for incident_id, entry in self._entries.items()
            if incident_id not in shown and incident_id not in self._pending and entry.repost != "message deleted"
        ]
        for entry in spare:
            if not incident.can_go_on(entry.incident, now, self._intervals):
                self._remove(entry)
        too_many = len(self._entries) - len(self._pending) - self._most
        if too_many > 0:
            spare = [entry for entry in spare if entry.incident_id in self._entries]
            spare.sort(key=lambda entry: (entry.precedence, entry.incident.last))
            for entry in spare[:too_many]:
                self._remove(entry)

    def _entry_of(self, alert: Alert) -> IncidentEntry:
        """The open incident that the alert belongs to, or the one that it opens."""
        entry = self._newest_of(incident.key_of(alert))
        if entry is not None and incident.takes(entry.incident, alert, self._intervals):
            if not entry.within_quota and alert.drone_id not in entry.incident.drones:  # another drone saw it, too
                quotas = self._newcomers if alert.newcomer else self._quotas
                entry.within_quota = quotas.drones.spend(alert.drone_id, alert.received_at)
            return entry
        entry = IncidentEntry(incident.first(alert))
        if entry.incident_id in self._entries:  # its first alert was known so long ago that it came as a new one
            return self._entries[entry.incident_id]
        self._spend(entry, alert.drone_id, alert.received_at)
        self._entries[entry.incident_id] = entry
        self._newest[entry.incident.key] = entry.incident_id
        for early in [early for early in self._early_actions if early[0] == entry.incident_id]:
            actions.apply(entry.incident, self._early_actions.pop(early))
        return entry

    def _confirm(self, entry: IncidentEntry, alert: Alert) -> None:
        """A known drone reports what only newcomers did: the incident is as if the drone had opened it."""
        self._spend(entry, alert.drone_id, alert.received_at)
        if entry.incident.message_id:
            entry.repost = entry.repost or "confirmed"

    def _spend(self, entry: IncidentEntry, drone_id: str, at: datetime) -> None:
        """Counts the opening of an incident; whether its drone and its place are within their quotas."""
        opened = entry.incident
        quotas = self._newcomers if opened.newcomers_only else self._quotas
        entry.drone_floods = not quotas.drones.spend(drone_id, at)
        is_place_within = quotas.places.spend(place_key(opened.country, opened.city), at)
        entry.within_quota = is_place_within and not entry.drone_floods

    def _newest_of(self, key: str) -> IncidentEntry | None:
        return self._entries.get(self._newest.get(key, ""))

    def _pending_alerts(self) -> Iterator[PendingAlert]:
        return (alert for entry in self._pending.values() for alert in entry.pending)

    def _remove(self, entry: IncidentEntry) -> None:
        del self._entries[entry.incident_id]
        if self._newest.get(entry.incident.key) == entry.incident_id:
            del self._newest[entry.incident.key]
