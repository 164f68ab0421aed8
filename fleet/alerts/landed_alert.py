"""A landed alert: the columns of the lake's table `alerts`, and how they derive from an alert. Pure.

What statistics fold is derived once, when an alert lands: whether it counts, and whether an incident begins with it.
Both depend on the topic alone (the WINDOW offsets before the alert), so every process that lands it derives the same.

An alert with the id of another one and other content is a conflict: it counts as an alert of its own, and its row has
the id that the notifier and the recorder give it (`fleet.alerts.alert.conflict_id`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import pyarrow as pa

from fleet import identity
from fleet.alerts.alert import ENDED_BY_CLEARING, UNKNOWN_CONTENT, Alert, conflict_id, content_of, is_conflict
from fleet.reports.report import EARLIEST

SCHEMA: Final = pa.schema(
    [
        # the table's partition: the UTC date of `reported_at`, as in the table of reports
        pa.field("date", pa.date32(), nullable=False),
        # the alert as it came
        pa.field("alert_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("incident_key", pa.string(), nullable=False),
        pa.field("report_id", pa.string(), nullable=False),
        pa.field("drone_id", pa.string(), nullable=False),
        pa.field("reported_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("received_at", pa.timestamp("us", tz="UTC"), nullable=False),  # the broker's time of the report
        pa.field("country", pa.string(), nullable=False),
        pa.field("city", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("note", pa.string(), nullable=False),
        pa.field("clears", pa.bool_(), nullable=False),  # the end of an incident, and no alert
        # where it came from: the broker's time of the alert, and its place in the topic
        pa.field("raised_at", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("topic_id", pa.string(), nullable=False),
        pa.field("kafka_partition", pa.int32(), nullable=False),
        pa.field("kafka_offset", pa.int64(), nullable=False),
        # derived, 1 or 0
        pa.field("alert_count", pa.int32(), nullable=False),  # an alert, and no duplicate of one
        pa.field("unverified_count", pa.int32(), nullable=False),  # of those, taken from a message that is not a report
        pa.field("incident_count", pa.int32(), nullable=False),  # of those, the first of an incident
        pa.field(
            "content", pa.int64()
        ),  # checksum that distinguishes a conflict from a duplicate; null: landed before 0.2
    ]
)

PARTITION_BY: Final = ("date",)

WINDOW: Final = 100_000
"""Offsets of a partition: at 90 alerts a second over six partitions, two hours of duplicates and incidents."""


class AlertCounts(NamedTuple):
    """How an alert counts: `alerts` is 1 unless it is a duplicate or clears, `incidents` 1 when one begins with it."""

    alert_id: str  # another than the alert's own of a conflict
    alerts: int
    incidents: int


class Past:
    """The WINDOW offsets before an alert, of one partition, which has the alerts of an incident in order.

    An incident is over `over` after its last alert; one that only a clearing ends, `expire` after it.
    """

    def __init__(self, over: timedelta, expire: timedelta) -> None:
        self._over, self._expire = over, expire
        self._ids: dict[str, tuple[int, int]] = {}  # offset and content
        self._incidents: dict[str, tuple[int, datetime, bool]] = {}  # by key: offset, last alert or clearing, cleared

    def recall(self, rows: Iterable[tuple[int, str, str, datetime, bool, int | None]]) -> None:
        """Landed alerts in order: (offset, alert_id, incident_key, received_at, clears, content)."""
        for offset, alert_id, key, received_at, clears, content in rows:
            if clears:
                self._clear(offset, key, received_at)
            else:
                self._ids[alert_id] = offset, content or UNKNOWN_CONTENT
                self._continue(offset, key, received_at)

    def count(self, offset: int, alert: Alert) -> AlertCounts:
        """Offsets ascend."""
        alert_id, content = alert.alert_id, content_of(alert)
        if alert.clears:
            self._clear(offset, alert.incident_key, alert.received_at)
            return AlertCounts(alert_id, 0, 0)
        known = self._known(alert_id, offset)
        if known is not None and is_conflict(known, content):
            alert_id = conflict_id(alert)
            known = self._known(alert_id, offset)
        if known is not None:
            return AlertCounts(alert_id, 0, 0)
        self._ids[alert_id] = offset, content
        goes_on = self._continue(offset, alert.incident_key, alert.received_at)
        self._forget(offset)
        return AlertCounts(alert_id, 1, int(not goes_on))

    def _known(self, alert_id: str, offset: int) -> int | None:
        """The content of the alert with this id; None when there is none within the window."""
        before, content = self._ids.get(alert_id, (-WINDOW, UNKNOWN_CONTENT))
        return content if offset - before < WINDOW else None

    def _clear(self, offset: int, key: str, received_at: datetime) -> None:
        before, last, cleared = self._incidents.get(key, (-WINDOW, received_at, True))
        if offset - before < WINDOW and not cleared and received_at >= last:
            self._incidents[key] = offset, received_at, True

    def _continue(self, offset: int, key: str, received_at: datetime) -> bool:
        """Whether the incident of this key continues with an alert; else one begins."""
        before, last, cleared = self._incidents.get(key, (-WINDOW, received_at, True))
        lasts = self._over
        if not cleared and key.partition(identity.SEPARATOR)[0] in ENDED_BY_CLEARING:
            lasts = self._expire
        goes_on = offset - before < WINDOW and received_at - last < lasts
        self._incidents[key] = offset, max(received_at, last) if goes_on else received_at, False
        return goes_on

    def _forget(self, offset: int) -> None:
        if len(self._ids) > 2 * WINDOW:
            self._ids = {name: known for name, known in self._ids.items() if offset - known[0] < WINDOW}
            self._incidents = {key: state for key, state in self._incidents.items() if offset - state[0] < WINDOW}


def row(alert: Alert, raised_at: datetime, place: tuple[str, int, int], counted: AlertCounts) -> dict[str, Any]:
    """A row of SCHEMA; `place` is topic id, partition and offset."""
    names = ("kind", "severity", "incident_key", "report_id", "drone_id", "received_at", "country", "city")
    believed = alert.reported_at >= EARLIEST  # a time of the year 1 may have no UTC date, and would block all after it
    reported_at = (alert.reported_at if believed else alert.received_at).astimezone(UTC)
    return {
        "date": reported_at.date(),
        "alert_id": counted.alert_id,
        "reported_at": reported_at,
        **{name: getattr(alert, name) for name in (*names, "message", "note", "clears")},
        "raised_at": raised_at,
        **dict(zip(("topic_id", "kafka_partition", "kafka_offset"), place, strict=True)),
        "alert_count": counted.alerts,
        "unverified_count": counted.alerts and int(not alert.verified),
        "incident_count": counted.incidents,
        "content": content_of(alert),
    }
