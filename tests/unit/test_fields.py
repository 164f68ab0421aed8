"""One range and one rounding of each number: the same at the edges for report, salvage, rules and figures."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.alerts.salvage import salvaged
from fleet.errors import RejectedReport
from fleet.reports import fields
from fleet.reports.report import decode

NOW = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)
REPORT: dict[str, Any] = {
    **{"report_id": "17", "drone_id": "drone-42", "reported_at": "2026-11-24T08:15:00Z"},
    **{"latitude": 1.0, "longitude": 2.0, "battery": 71.5, "citizens": [], "message": "", "alert": False},
}


def message(**changes: Any) -> bytes:
    return json.dumps({**REPORT, **changes}).encode()


@pytest.mark.parametrize(
    ("sent", "kept", "low", "shown"),
    [
        (0, 0.0, True, "0 %"),
        (-0.0, 0.0, True, "0 %"),
        (19.96, 19.96, True, "19 %"),
        (19.9994, 19.999, True, "19 %"),
        (19.9997, 20.0, False, "20 %"),
        (20, 20.0, False, "20 %"),
        (99.99999, 100.0, False, "100 %"),
        (100, 100.0, False, "100 %"),
    ],
)
def test_a_battery_has_one_rounding(sent: float, kept: float, low: bool, shown: str) -> None:
    battery = decode(message(battery=sent), NOW).battery
    (alert,) = salvaged(message(battery=sent, alert=True, citizens=None), ("topic", 3, 17), NOW)
    assert battery == alert.battery == kept
    assert math.copysign(1, battery) == 1.0
    assert fields.is_low(battery) is low
    assert fields.battery_text(battery) == shown


@pytest.mark.parametrize("sent", [-1, -0.001, 100.001, 1e308])
def test_a_battery_beyond_its_range_is_none(sent: float) -> None:
    with pytest.raises(RejectedReport):
        decode(message(battery=sent), NOW)
    (alert,) = salvaged(message(battery=sent, alert=True), ("topic", 3, 17), NOW)
    assert alert.battery is None


@pytest.mark.parametrize("text", ["3.0", "3e0", "30e-1"])
def test_a_whole_peace_score_is_taken_however_it_is_written(text: str) -> None:
    citizens = b'"citizens": [{"name": "A", "peace_score": %s}, {"name": "B", "peace_score": 4}]' % text.encode()
    report = decode(message().replace(b'"citizens": []', citizens), NOW)
    assert [(one.peace_score, type(one.peace_score)) for one in report.citizens] == [(3, int), (4, int)]


@pytest.mark.parametrize("text", ["3.5", "11.0", "0.0", '"3"', "true", "null", "1e999"])
def test_no_other_peace_score_is(text: str) -> None:
    citizens = b'"citizens": [{"name": "A", "peace_score": %s}]' % text.encode()
    with pytest.raises(RejectedReport):
        decode(message().replace(b'"citizens": []', citizens), NOW)


def test_times_of_any_zone_are_utc() -> None:
    report = decode(message(reported_at="2026-11-24T09:15:00+01:00"), NOW)
    assert (report.reported_at, report.reported_at.tzinfo) == (NOW, UTC)


@pytest.mark.parametrize(
    ("at", "reason"), [("9999-12-31T23:59:59-14:00", "ahead of time"), ("0001-01-01T00:00:00+14:00", "too old")]
)
def test_a_time_that_is_none_in_utc_is_rejected_as_what_it_is(at: str, reason: str) -> None:
    with pytest.raises(RejectedReport) as caught:
        decode(message(reported_at=at), NOW)
    assert caught.value.reason == reason
