"""What is a report and what is not; whatever the bytes, the answer is a report or one of the stated reasons."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import RejectedReport
from fleet.reports import report
from fleet.reports.report import MAX_AHEAD, REASONS, Citizen, Report

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "report_id": "17",
    "drone_id": "drone-42",
    "reported_at": "2026-11-24T11:59:00Z",
    "latitude": 48.8566,
    "longitude": 2.3522,
    "battery": 71.5,
    "citizens": [{"name": "Zoë Nuñez", "peace_score": 3}],
    "message": "they are shouting",
    "alert": True,
    "country": "France",
    "city": "Paris",
}
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=50)
reports = st.builds(
    Report,
    report_id=texts,
    drone_id=texts,
    reported_at=st.datetimes(datetime(1970, 1, 1), datetime(2026, 11, 24), timezones=st.just(UTC)),
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
    battery=st.floats(0, 100),
    citizens=st.lists(st.builds(Citizen, name=st.text(st.characters(codec="utf-8")), peace_score=st.integers(1, 10))),
    message=st.text(st.characters(codec="utf-8")),
    alert=st.booleans(),
    country=st.none() | texts,
    city=st.none() | texts,
)


def message(**changes: Any) -> bytes:
    """The bytes of a good report with `changes`; a field that is ... is left out."""
    return json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not ...}).encode()


def reason(value: bytes | None) -> str:
    with pytest.raises(RejectedReport) as raised:
        report.decode(value, NOW)
    assert raised.value.reason in REASONS
    assert len(raised.value.detail) <= 600
    return raised.value.reason


def test_a_good_report() -> None:
    found = report.decode(message(), NOW)
    assert found == Report(
        report_id="17",
        drone_id="drone-42",
        reported_at=datetime(2026, 11, 24, 11, 59, tzinfo=UTC),
        latitude=48.8566,
        longitude=2.3522,
        battery=71.5,
        citizens=[Citizen("Zoë Nuñez", 3)],
        message="they are shouting",
        alert=True,
        country="France",
        city="Paris",
    )


@given(reports)
def test_encoding_round_trip(sent: Report) -> None:
    assert report.decode(report.encode(sent), NOW) == report.normal(sent)


@pytest.mark.parametrize(
    "changes",
    [
        {"country": ..., "city": ...},
        {"country": None, "city": None},
        {"citizens": []},
        {"message": ""},
        {"firmware": "2.1", "extra": {"deep": [1, 2]}},
        {"latitude": -90, "longitude": 180, "battery": 0},
        {"reported_at": "2026-11-24T12:10:00Z"},
        {"reported_at": "1970-01-01T00:00:00Z"},
        {"reported_at": "2026-11-24T13:59:00.123456+02:00"},
        {"report_id": "x" * 200},
        {"message": "x" * 1_000_000},
        {"citizens": [{"name": "", "peace_score": 10}] * 10_000},
    ],
    ids=",".join,
)
def test_accepted(changes: dict[str, Any]) -> None:
    assert report.decode(message(**changes), NOW).drone_id == "drone-42"


@pytest.mark.parametrize("field", [name for name in GOOD if name not in ("country", "city")])
@pytest.mark.parametrize("value", [..., None, [], {}], ids=["absent", "null", "list", "object"])
def test_each_field_must_be_there_with_its_type(field: str, value: Any) -> None:
    if (field, value) == ("citizens", []):
        return  # a drone may see nobody
    assert reason(message(**{field: value})) == "not a report"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("report_id", ""),
        ("report_id", "x" * 201),
        ("drone_id", 7),
        ("reported_at", "2026-11-24T11:59:00"),
        ("reported_at", "yesterday"),
        ("reported_at", 1_700_000_000),
        ("latitude", 90.01),
        ("latitude", "48.8"),
        ("longitude", -180.01),
        ("battery", -1),
        ("battery", 100.5),
        ("battery", 10**400),
        ("citizens", [{"name": "Zoë", "peace_score": 0}]),
        ("citizens", [{"name": "Zoë", "peace_score": 11}]),
        ("citizens", [{"name": "Zoë", "peace_score": 3.5}]),
        ("citizens", [{"name": "x" * 1001, "peace_score": 3}]),
        ("citizens", [{"name": "Zoë"}]),
        ("alert", 1),
        ("alert", "true"),
        ("country", ""),
        ("city", "x" * 201),
    ],
)
def test_a_field_beyond_its_range_is_no_report(field: str, value: Any) -> None:
    assert reason(message(**{field: value})) == "not a report"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"hello", "not json"),
        (b'{"report_id": ', "not json"),
        (message() + message(), "not json"),
        (b"[" * 10_000, "not a report"),
        (message(extra=0).replace(b"0}", b"[" * 10_000 + b"]" * 10_000 + b"}"), "not json"),
        (message(latitude=0).replace(b'"latitude": 0', b'"latitude": NaN'), "not json"),
        (b"42", "not a report"),
        (b"[]", "not a report"),
        (b"null", "not a report"),
        (message(message="?").replace(b"?", b"\xff\xfe"), "not utf-8"),
        (message(reported_at="2026-11-24T12:10:00.000001Z"), "ahead of time"),
        (message(reported_at="9999-12-31T23:59:59Z"), "ahead of time"),
        (message(reported_at="1969-12-31T23:59:59Z"), "too old"),
        (message(reported_at="0001-01-01T00:00:00Z"), "too old"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_reason(value: bytes | None, why: str) -> None:
    assert reason(value) == why


@given(st.binary(max_size=200))
def test_garbage_is_rejected_and_nothing_else(garbage: bytes) -> None:
    reason(garbage)


@given(st.data())
def test_a_damaged_report_is_a_report_or_rejected(data: st.DataObject) -> None:
    good = bytearray(message())
    for _ in range(data.draw(st.integers(1, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RejectedReport):  # any other error fails the test
        report.decode(bytes(good), NOW)


def test_a_clock_may_run_ahead_a_little() -> None:
    report.check_time(NOW + MAX_AHEAD, NOW)
    with pytest.raises(RejectedReport, match="ahead of time"):
        report.check_time(NOW + MAX_AHEAD + timedelta(microseconds=1), NOW)


@given(st.integers(-14, 14))
def test_the_zone_of_a_time_does_not_matter(hours: int) -> None:
    late = (NOW + MAX_AHEAD + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=hours)))
    with pytest.raises(RejectedReport, match="ahead of time"):
        report.check_time(late, NOW)


@pytest.mark.parametrize(("scores", "worst"), [([], 0), ([10], 10), ([5, 1, 9], 1)])
def test_worst_score(scores: list[int], worst: int) -> None:
    found = report.decode(message(citizens=[{"name": "x", "peace_score": score} for score in scores]), NOW)
    assert report.worst_score(found) == worst
