"""A log of alerts, a channel that may delete, refuse and forget, and a notifier that may die at any point."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet.alerts.alert import Alert, Severity, alert_id
from fleet.notifications import delivery as deliveries
from fleet.notifications.delivery import Delivery
from fleet.notifications.incident import Incident, Intervals
from fleet.notifications.message import digest_embed, incident_embeds
from fleet.notifications.notification import Notification
from fleet.notifications.policy import Allowance, Policy, decide
from fleet.notifications.state import NotificationState, StateBounds
from fleet.reports.report import Citizen

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
ALL = Allowance(first=True, urgent=True, edit=True)


def alert(number: int, at: datetime, city: int = 0, severity: Severity = "high") -> Alert:
    return Alert(
        alert_id=alert_id("unrest", f"d{number}", f"r{number}", START),
        kind="unrest",
        severity=severity,
        incident_key=f"unrest/germany/city {city}",
        report_id=f"r{number}",
        drone_id=f"d{number}",
        reported_at=at,
        received_at=at,
        country="Germany",
        city=f"City {city}",
        latitude=53.5,
        longitude=9.9,
        battery=50.0,
        citizens=[Citizen("Ada", 3)],
        message="heard",
    )


@dataclass
class World:
    """A log of alerts, a channel and a notifier; deliveries go through their wire form, as in life."""

    now: datetime = START
    intervals: Intervals = field(default_factory=Intervals)
    policy: Policy = field(default_factory=Policy)
    bounds: StateBounds = field(default_factory=StateBounds)
    log: list[Alert] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=dict)  # newest form: the sum of its fields `Alerts`
    posted: int = 0
    repeated: int = 0
    state: NotificationState = field(init=False)

    def __post_init__(self) -> None:
        self.state = NotificationState(intervals=self.intervals, bounds=self.bounds)

    def raise_alert(self, city: int = 0, severity: Severity = "high") -> None:
        self.add(alert(len(self.log), self.now, city, severity))

    def add(self, raised: Alert) -> None:
        self.log.append(raised)
        self.state.add(raised, (0, len(self.log) - 1))

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.state.refresh(self.now)

    def next(self, allowance: Allowance = ALL) -> Notification | None:
        return decide(self.state, self.policy, self.now, allowance).notification

    def take(self, notification: Notification) -> str:
        """The channel shows the notification."""
        if notification.digest is not None:
            embeds = [digest_embed(notification.digest, "http://page")]
        else:
            shown, plain = notification.shown, notification.plain
            embeds = incident_embeds(notification.slots, shown, notification.message_id, plain)
        assert sum(embed.units for embed in embeds) <= 6000
        assert 1 <= len(embeds) <= 10
        message_id = notification.message_id
        if notification.method == "post":
            self.posted += 1
            message_id = f"m{self.posted}"
        self.shown[message_id] = sum(int(dict(embed.fields)["Alerts"]) for embed in embeds)
        return message_id

    def record(self, notification: Notification, message_id: str) -> None:
        self.written.append(deliveries.encode(self.state.record(notification, message_id, self.now)))

    def step(self) -> bool:
        notification = self.next()
        if notification is None:
            return False
        if notification.method == "edit" and notification.message_id not in self.shown:
            self.state.message_deleted(notification.message_id)
        else:
            self.record(notification, self.take(notification))
        return True

    def posts_now(self) -> int:
        """Sends all that may be sent at this moment. Returns how many new messages that made."""
        before = self.posted
        while self.step():
            pass
        return self.posted - before

    def crash(self) -> None:
        """A new notifier: the deliveries, then every alert again. It knows notified ones by their ids.

        Every other delivery is in its topic twice: a broker that died had it, and its answer was lost.
        """
        self.state = NotificationState(intervals=self.intervals, bounds=self.bounds)
        for number, written in enumerate(self.written):
            for _ in range(1 + number % 2):
                self.state.replay(deliveries.decode(written))
        self.state.finish_replay(self.now)
        for number, known in enumerate(self.log):
            self.state.add(known, (0, number))

    def drain(self) -> None:
        for _ in range(4000):
            if not self.step():
                if not self.is_busy:
                    return
                self.wait(1)
        raise AssertionError("alerts are pending for ever")

    @property
    def is_busy(self) -> bool:
        """Whether something is left to send."""
        state = self.state
        needs_edit = state.digest.needs_edit or any(message.needs_edit for message in state.messages.values())
        return bool(state.incidents.pending or state.incidents.reposts("message deleted") or needs_edit)

    @property
    def incidents(self) -> list[Incident]:
        return [entry.incident for entry in self.state.incidents]

    @property
    def notified(self) -> list[str]:
        return [id_ for written in self.written for id_ in deliveries.decode(written).alert_ids]

    def delivered(self) -> list[Delivery]:
        return [deliveries.decode(written) for written in self.written]


def delivered(*alerts: Alert, at: datetime = START) -> Delivery:
    """What the notifier writes when it notifies of these at once."""
    notified = World(now=at)
    for one in alerts:
        notified.add(one)
    notified.drain()
    return deliveries.decode(notified.written[0])
