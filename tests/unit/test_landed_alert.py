"""What is derived of alerts as they land: duplicates count nothing, and incidents begin where the notifier's begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fleet.alerts import landed_alert
from fleet.alerts.alert import Alert, Kind
from fleet.alerts.landed_alert import ALERTS, SCHEMA, WINDOW, Past
from fleet.alerts.rules import incident_key
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
    ),
    max_size=30,
)


def alerts(drawn: list[tuple[int, int, bool]]) -> list[Alert]:
    found, at = [], START
    reported: dict[int, datetime] = {}  # a duplicate says the same time again
    for number, seconds, clears in drawn:
        at += timedelta(seconds=seconds)
        kind: Kind = ("unrest", "low_battery", "silent")[number % 3]
        known = {"alert_id": f"a{number}", "kind": kind, "drone_id": f"d{number % 2}", "city": f"c{number % 2}"}
        times = {"received_at": at, "reported_at": at if clears else reported.setdefault(number, at)}
        alert = msgspec.structs.replace(BASE, **known, **times, clears=clears)
        key = incident_key(kind, alert.drone_id, (alert.city, alert.country))
        found.append(msgspec.structs.replace(alert, incident_key=key))
    return found


@given(drawn=steps)
def test_an_incident_begins_where_the_notifier_opens_one(drawn: list[tuple[int, int, bool]]) -> None:
    state, past, opened = NotificationState(), Past(), set()
    for offset, alert in enumerate(alerts(drawn)):
        one = state.add(alert, (0, offset))
        counted = past.counts(offset, alert)
        assert counted == (int(one is not None), int(one is not None and one.incident_id not in opened))
        opened |= {one.incident_id} if one else set()


@given(drawn=steps, split=st.integers(0, 30))
def test_who_takes_over_counts_the_same(drawn: list[tuple[int, int, bool]], split: int) -> None:
    whole, first, second = Past(), Past(), Past()
    expected = [whole.counts(offset, alert) for offset, alert in enumerate(alerts(drawn))]
    counted, landed = [], []
    for offset, alert in enumerate(alerts(drawn)):
        if offset == split:
            second.recall(landed)
        counted.append((first if offset < split else second).counts(offset, alert))
        if counted[-1][0] or alert.clears:
            landed.append((offset, alert.alert_id, alert.incident_key, alert.received_at, alert.clears))
    assert counted == expected


def test_beyond_the_window_nothing_is_known() -> None:
    past = Past()
    assert past.counts(0, BASE) == (1, 1)
    assert past.counts(WINDOW - 1, BASE) == (0, 0)
    assert past.counts(WINDOW, BASE) == (1, 1)


def test_a_row_has_the_tables_columns_and_folds() -> None:
    unverified = msgspec.structs.replace(BASE, verified=False, severity="critical")
    rows = [
        landed_alert.row(alert, START, ("topic", 0, offset), counts)
        for offset, (alert, counts) in enumerate([(BASE, (1, 1)), (unverified, (1, 0)), (unverified, (0, 0))])
    ]
    cells = ALERTS.fold(pa.Table.from_pylist(rows, schema=SCHEMA))
    assert cells.to_pylist() == [
        {"kind": "unrest", "severity": "critical", "country": "Mali", "alerts": 1, "unverified": 1, "incidents": 0},
        {"kind": "unrest", "severity": "high", "country": "Mali", "alerts": 1, "unverified": 0, "incidents": 1},
    ]


def test_a_time_without_a_utc_date_stops_nobody() -> None:
    first = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    row = landed_alert.row(msgspec.structs.replace(BASE, reported_at=first), START, ("topic", 0, 0), (1, 1))
    assert (row["date"], row["reported_at"]) == (START.date(), START)
