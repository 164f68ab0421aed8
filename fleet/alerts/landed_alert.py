"""A landed alert: the columns of the lake's table `alerts`, and how they derive from an alert. Pure.

What statistics fold is derived once, at landing: whether the alert counts, and whether an incident begins with it. Both
depend on the topic alone (the WINDOW offsets before the alert), so every process that lands it derives the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from fleet import identity
from fleet.alerts.alert import Alert
from fleet.figures.cube import Cube, Measure
from fleet.notifications.incident import ENDED_BY_CLEARING, Intervals
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
        pa.field("unverified_count", pa.int32(), nullable=False),  # of those, read out of a message that is no report
        pa.field("incident_count", pa.int32(), nullable=False),  # of those, the first of an incident
    ]
)

PARTITION_BY: Final = ("date",)

ALERTS: Final = Cube(
    name="alert_days",
    keys=(("kind", pa.string()), ("severity", pa.string()), ("country", pa.string())),
    measures=(
        Measure("alerts", "sum", "alert_count"),
        Measure("unverified", "sum", "unverified_count"),
        Measure("incidents", "sum", "incident_count"),
    ),
)
"""Alerts by kind, and the incidents that began with them: an incident's severity is that of its first alert."""

WINDOW: Final = 100_000
"""Offsets of a partition: at 90 alerts a second over six partitions, two hours of duplicates and incidents."""


class Past:
    """What is known of the WINDOW offsets before an alert, of one partition: its incidents keep their order in it."""

    def __init__(self, intervals: Intervals = Intervals()) -> None:
        self._intervals = intervals
        self._ids: dict[str, int] = {}
        self._incidents: dict[str, tuple[int, datetime, bool]] = {}  # by key: offset, last alert or clearing, cleared

    def recall(self, rows: Iterable[tuple[int, str, str, datetime, bool]]) -> None:
        """Landed alerts in order: (offset, alert_id, incident_key, received_at, clears)."""
        for offset, alert_id, key, received_at, clears in rows:
            self._take(offset, alert_id, key, received_at, clears=clears)

    def counts(self, offset: int, alert: Alert) -> tuple[int, int]:
        """(1 unless it is a duplicate or clears, 1 when an incident begins with it). Offsets ascend."""
        return self._take(offset, alert.alert_id, alert.incident_key, alert.received_at, clears=alert.clears)

    def _take(self, offset: int, alert_id: str, key: str, received_at: datetime, *, clears: bool) -> tuple[int, int]:
        known, last, cleared = self._incidents.get(key, (-WINDOW, datetime.min.replace(tzinfo=UTC), True))
        is_known = offset - known < WINDOW
        if clears:
            if is_known and not cleared and received_at >= last:
                self._incidents[key] = offset, received_at, True
            return 0, 0
        duplicate_of = self._ids.get(alert_id)
        if duplicate_of is not None and offset - duplicate_of < WINDOW:
            return 0, 0
        self._ids[alert_id] = offset
        lasts = self._intervals.over
        if not cleared and key.partition(identity.SEPARATOR)[0] in ENDED_BY_CLEARING:
            lasts = self._intervals.expire
        goes_on = is_known and received_at - last < lasts
        self._incidents[key] = offset, max(received_at, last) if goes_on else received_at, False
        self._forget(offset)
        return 1, int(not goes_on)

    def _forget(self, offset: int) -> None:
        if len(self._ids) > 2 * WINDOW:
            self._ids = {name: at for name, at in self._ids.items() if offset - at < WINDOW}
            self._incidents = {key: state for key, state in self._incidents.items() if offset - state[0] < WINDOW}


def row(alert: Alert, raised_at: datetime, place: tuple[str, int, int], counts: tuple[int, int]) -> dict[str, Any]:
    """A row of SCHEMA; `place` is topic id, partition and offset, `counts` is what `Past.counts` said."""
    names = ("alert_id", "kind", "severity", "incident_key", "report_id", "drone_id", "received_at", "country", "city")
    believed = alert.reported_at >= EARLIEST  # one of the year 1 may have no UTC date, and would stop all after it
    reported_at = (alert.reported_at if believed else alert.received_at).astimezone(UTC)
    return {
        "date": reported_at.date(),
        "reported_at": reported_at,
        **{name: getattr(alert, name) for name in (*names, "message", "note", "clears")},
        "raised_at": raised_at,
        **dict(zip(("topic_id", "kafka_partition", "kafka_offset"), place, strict=True)),
        "alert_count": counts[0],
        "unverified_count": counts[0] and int(not alert.verified),
        "incident_count": counts[1],
    }
