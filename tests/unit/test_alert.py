"""An alert on the wire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from fleet.alerts import alert
from fleet.alerts.alert import Alert, alert_id
from fleet.reports.report import Citizen

TIME = datetime(2026, 11, 24, 12, tzinfo=UTC)
LEAST = Alert(
    alert_id=alert_id("unrest", "drone-42", "17", TIME),
    kind="unrest",
    severity="high",
    incident_key="unrest/france/paris",
    report_id="17",
    drone_id="drone-42",
    reported_at=TIME,
    received_at=TIME,
    country="France",
    city="Paris",
)
FULL = msgspec.structs.replace(
    LEAST,
    latitude=48.8566,
    longitude=2.3522,
    battery=71.5,
    citizens=[Citizen("Zoë <b>@everyone</b>", 3)],
    message="they are shouting",
    verified=False,
    note="a note",
)


@pytest.mark.parametrize("sent", [LEAST, FULL], ids=["least", "full"])
def test_encoding_round_trip(sent: Alert) -> None:
    assert alert.decode(alert.encode(sent)) == sent


def test_unknown_fields_are_not_sent() -> None:
    assert set(msgspec.json.decode(alert.encode(LEAST))) == {
        *("alert_id", "kind", "severity", "incident_key", "report_id", "drone_id", "reported_at", "received_at"),
        *("country", "city"),
    }


def test_a_copy_has_the_same_id_and_another_kind_another() -> None:
    assert alert_id("unrest", "drone-42", "17", TIME) == LEAST.alert_id
    assert (
        len({alert_id(kind, "drone-42", "17", TIME) for kind in ("unrest", "low_battery", "watchword", "silent")}) == 4
    )


def test_a_report_is_known_by_its_time_too() -> None:
    """A drone that restarts its ids after a reboot does not repeat itself."""
    assert alert_id("unrest", "d", "17", TIME + timedelta(milliseconds=1)) != alert_id("unrest", "d", "17", TIME)
    assert alert_id("unrest", "d", "17", TIME.astimezone(timezone(timedelta(hours=2)))) == "unrest/d/17/1795521600000"


def test_two_reports_never_have_one_id() -> None:
    ids = {alert_id("unrest", *names, TIME) for names in (("paris", "7/18"), ("paris/7", "18"), ("paris%2F7", "18"))}
    assert len(ids) == 3


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{}",
        b"hello",
        b"\xff\xff",
        alert.encode(LEAST).replace(b'"drone-42"', b'"\xff"', 1),
        alert.encode(LEAST)[:-1] + b',"newer":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        alert.encode(LEAST).replace(b'"high"', b'"terrible"'),
        alert.encode(LEAST).replace(b'"unrest"', b'"joy"'),
        alert.encode(LEAST).replace(b'"2026-11-24T12:00:00Z"', b'"2026-11-24T12:00:00"'),
    ],
)
def test_decoding_of_other_bytes_raises(value: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        alert.decode(value)
