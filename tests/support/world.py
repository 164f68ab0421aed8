"""A log of alerts, a channel that may delete, refuse and forget, and a notifier that may die at any point."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fleet.alerts.alert import Alert, Severity, alert_id
from fleet.notifications import delivery as deliveries
from fleet.notifications.delivery import Delivery
from fleet.notifications.incident import Intervals
from fleet.notifications.message import digest_embed, incident_embeds
from fleet.notifications.notification import Call
from fleet.notifications.policy import Allowance, Policy, next_call
from fleet.notifications.state import Book
from fleet.reports.report import Citizen

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
ALL = Allowance(first=True, urgent=True, edit=True)


def alert(number: int, at: datetime, city: int = 0, severity: Severity = "high") -> Alert:
    return Alert(
        alert_id=alert_id("unrest", f"d{number}", f"r{number}", START),
        kind="unrest",
        severity=severity,
        incident_key=f"unrest/Germany/City {city}",
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
    log: list[Alert] = field(default_factory=list)
    ledger: list[bytes] = field(default_factory=list)
    shown: dict[str, int] = field(default_factory=dict)  # newest form: the sum of its fields `Alerts`
    posted: int = 0
    repeated: int = 0
    book: Book = field(init=False)

    def __post_init__(self) -> None:
        self.book = Book(intervals=self.intervals)

    def raise_alert(self, city: int = 0, severity: Severity = "high") -> None:
        self.log.append(alert(len(self.log), self.now, city, severity))
        self.book.fold(self.log[-1], (0, len(self.log) - 1))

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.book.refresh(self.now)

    def call(self, allowance: Allowance = ALL) -> Call | None:
        return next_call(self.book, self.policy, self.now, allowance)

    def take(self, call: Call) -> str:
        """The channel shows the call's form."""
        if call.digest is not None:
            embeds = [digest_embed(call.digest, "http://page")]
        else:
            embeds = incident_embeds(call.slots, self.book.incidents, call.message_id, self.book.plain)
        assert sum(embed.units for embed in embeds) <= 6000
        assert 1 <= len(embeds) <= 10
        message_id = call.message_id
        if call.method == "post":
            self.posted += 1
            message_id = f"m{self.posted}"
        self.shown[message_id] = sum(int(dict(embed.fields)["Alerts"]) for embed in embeds)
        return message_id

    def tell(self, call: Call, message_id: str) -> None:
        self.ledger.append(deliveries.encode(self.book.told(call, message_id, self.now)))

    def step(self) -> bool:
        call = self.call()
        if call is None:
            return False
        if call.method == "edit" and call.message_id not in self.shown:
            self.book.gone(call.message_id)
        else:
            self.tell(call, self.take(call))
        return True

    def crash(self) -> None:
        """A new notifier: the ledger, then every alert again. It knows told ones by their ids."""
        self.book = Book(intervals=self.intervals)
        for written in self.ledger:
            self.book.replay(deliveries.decode(written))
        self.book.recovered()
        for number, known in enumerate(self.log):
            self.book.fold(known, (0, number))

    def drain(self) -> None:
        for _ in range(4000):
            if not self.step():
                if not (self.book.waiting or self.book.lost or self.book.dirty or self.book.digest_dirty):
                    return
                self.wait(1)
        raise AssertionError("alerts wait for ever")

    @property
    def told(self) -> list[str]:
        return [id_ for written in self.ledger for id_ in deliveries.decode(written).alert_ids]

    def delivered(self) -> list[Delivery]:
        return [deliveries.decode(written) for written in self.ledger]
