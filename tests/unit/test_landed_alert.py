"""What is derived of alerts as they land: duplicates count nothing, and incidents begin where the notifier's begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fleet.alerts import landed_alert
from fleet.alerts.alert import Alert, Kind, conflict_id
from fleet.alerts.landed_alert import SCHEMA, WINDOW, AlertCounts, Past
from fleet.alerts.rules import incident_key
from fleet.figures.views import ALERTS
from fleet.notifications.incident import Intervals
from fleet.notifications.state import NotificationState

START = datetime(2026, 11, 24, 8, tzinfo=UTC)
BASE = Alert("unrest/d/r", "unrest", "high", "unrest/Mali/Bamako", "r", "d", START, START, "Mali", "Bamako")

steps = st.lists(
    st.tuples(
        st.integers(0, 30),  # which alert, and so of which incident: the same again is a duplicate
        st.sampled_from(
            [0, 1, 60, 34 * 60, 35 * 60, 36 * 60, 24 * 3600 - 1, 24 * 3600]
        ),  # seconds since the one before
        st.sampled_from([False, False, False, True]),  # clears
        st.sampled_from(["", "", "other words"]),  # other content under a known id is a conflict
    ),
    max_size=30,
)


Step = tuple[int, int, bool, str]
NAMES = ("alert_id", "incident_key", "received_at", "clears", "content")


def past_of_nothing() -> Past:
    return Past(Intervals().over, Intervals().expire)


def alerts(drawn: list[Step]) -> list[Alert]:
    raised, at = [], START
    reported: dict[int, datetime] = {}  # a duplicate says the same time again
    for number, seconds, clears, message in drawn:
        at += timedelta(seconds=seconds)
        kind: Kind = ("unrest", "low_battery", "silent")[number % 3]
        known = {"alert_id": f"a{number}", "kind": kind, "drone_id": f"d{number % 2}", "city": f"c{number % 2}"}
        times = {"received_at": at, "reported_at": at if clears else reported.setdefault(number, at)}
        alert = msgspec.structs.replace(BASE, **known, **times, clears=clears, message=message)
        key = incident_key(kind, alert.drone_id, (alert.city, alert.country))
        raised.append(msgspec.structs.replace(alert, incident_key=key))
    return raised


@given(drawn=steps)
def test_an_incident_begins_where_the_notifier_opens_one(drawn: list[Step]) -> None:
    state, past, opened = NotificationState(), past_of_nothing(), set()
    for offset, alert in enumerate(alerts(drawn)):
        incident = state.add(alert, (0, offset))
        counted = past.count(offset, alert)
        is_first = incident is not None and incident.incident_id not in opened
        assert (counted.alerts, counted.incidents) == (int(incident is not None), int(is_first))
        opened |= {incident.incident_id} if incident else set()


@given(drawn=steps, split=st.integers(0, 30))
def test_successor_counts_the_same(drawn: list[Step], split: int) -> None:
    whole, first, second = (past_of_nothing() for _ in range(3))
    expected = [whole.count(offset, alert) for offset, alert in enumerate(alerts(drawn))]
    counted = []
    landed: list[Any] = []
    for offset, alert in enumerate(alerts(drawn)):
        if offset == split:
            second.recall(landed)
        counted.append((first if offset < split else second).count(offset, alert))
        if counted[-1].alerts or alert.clears:
            row = landed_alert.row(alert, alert.received_at, ("topic", 0, offset), counted[-1])
            landed.append((offset, *(row[name] for name in NAMES)))
    assert counted == expected


def test_beyond_the_window_nothing_is_known() -> None:
    past = past_of_nothing()
    assert past.count(0, BASE) == AlertCounts(BASE.alert_id, 1, 1)
    assert past.count(WINDOW - 1, BASE) == AlertCounts(BASE.alert_id, 0, 0)
    assert past.count(WINDOW, BASE) == AlertCounts(BASE.alert_id, 1, 1)


def test_other_content_under_a_known_id_counts_as_an_alert_of_its_own() -> None:
    past = past_of_nothing()
    other = msgspec.structs.replace(BASE, message="other words")
    past.count(0, BASE)
    counted = past.count(1, other)
    assert counted == AlertCounts(conflict_id(other), 1, 0)
    assert past.count(2, other) == AlertCounts(conflict_id(other), 0, 0)  # a duplicate of the conflict
    assert past.count(3, BASE) == AlertCounts(BASE.alert_id, 0, 0)
    row = landed_alert.row(other, START, ("topic", 0, 1), counted)
    assert (row["alert_id"], row["alert_count"]) == (conflict_id(other), 1)


def test_an_alert_named_by_its_place_is_no_conflict_however_it_is_read() -> None:
    past = past_of_nothing()
    salvaged = msgspec.structs.replace(BASE, verified=False)
    past.count(0, salvaged)
    assert past.count(1, msgspec.structs.replace(salvaged, message="read better")).alerts == 0


def test_a_row_has_the_tables_columns_and_folds() -> None:
    unverified = msgspec.structs.replace(BASE, verified=False, severity="critical")
    rows = [
        landed_alert.row(alert, START, ("topic", 0, offset), AlertCounts(alert.alert_id, *counts))
        for offset, (alert, counts) in enumerate([(BASE, (1, 1)), (unverified, (1, 0)), (unverified, (0, 0))])
    ]
    cells = ALERTS.fold(pa.Table.from_pylist(rows, schema=SCHEMA))
    assert cells.to_pylist() == [
        {"kind": "unrest", "severity": "critical", "country": "Mali", "alerts": 1, "unverified": 1, "incidents": 0},
        {"kind": "unrest", "severity": "high", "country": "Mali", "alerts": 1, "unverified": 0, "incidents": 1},
    ]


def test_a_time_without_a_utc_date_stops_nobody() -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    row = landed_alert.row(
        msgspec.structs.replace(BASE, reported_at=first), START, ("topic", 0, 0), AlertCounts("a", 1, 1)
    )
    assert (row["date"], row["reported_at"]) == (START.date(), START)
