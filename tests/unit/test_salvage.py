"""What is read from a message that is not a report: each alert in it once, with what is known, none that it denies."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.alerts.alert import Alert
from fleet.alerts.salvage import ALERT_BYTES, DEPTH, FEW, LOOKS, MOST, salvaged
from fleet.errors import RejectedReport
from fleet.reports import report as reports
from fleet.reports.report import Report

AT = datetime(2026, 11, 24, 8, tzinfo=UTC)
PLACE = ("topic-id", 3, 17)


def report(**changes: Any) -> dict[str, Any]:
    values = {"report_id": "r1", "drone_id": "d1", "reported_at": AT.isoformat(), "alert": True, "city": "Berlin"}
    where = {"country": "Germany", "latitude": 52.5, "longitude": 13.4, "battery": 80.0}
    return {**values, **where, "citizens": [], "message": "shouting", **changes}


WHOLE = json.dumps(report(), separators=(",", ":")).encode()
TWO = [report(), report(drone_id="d2", city="Paris", country="France")]
NESTED = report()
for _ in range(DEPTH - 1):
    NESTED = {"payload": NESTED}


def read(value: Any) -> list[Alert]:
    return salvaged(value if isinstance(value, bytes | None) else json.dumps(value).encode(), PLACE, AT)


@pytest.mark.parametrize(
    ("value", "drones"),
    [
        (WHOLE[:-1], ["d1"]),
        (WHOLE.replace(b'"battery":80.0', b'"battery":800'), ["d1"]),
        (WHOLE.replace(b"shouting", b"\xff\xfe"), ["d1"]),
        (TWO, ["d1", "d2"]),
        ({"payload": report()}, ["d1"]),
        ({"payload": json.dumps(report())}, ["d1"]),
        ({"batch": {"reports": TWO, "n": 2}}, ["d1", "d2"]),
        (b"\n".join(json.dumps(one).encode() for one in TWO), ["d1", "d2"]),
        (b"\r\n".join([WHOLE[:-1], WHOLE]), ["d1", "d1"]),
        (WHOLE + WHOLE, ["d1", "d1"]),
        (WHOLE + b", " + WHOLE[:-1], ["d1", "d1"]),
        (NESTED, ["d1"]),
        ({"payload": NESTED}, []),
        (report(alert=1), ["d1"]),
        (report(alert="true"), ["d1"]),
        (report(alert=" True "), ["d1"]),
        (report(alert="1"), ["d1"]),
        (WHOLE[:-1].replace(b"true", b"1"), ["d1"]),
        (WHOLE[:-1].replace(b"true", b'"TRUE"'), ["d1"]),
        (report(drone_id=7), ["7"]),
        (report(drone_id=None, city=None), ["unknown"]),
        (b'{"alert" : true}', ["unknown"]),
        (b"[" * 10_000 + b'"alert":true', ["unknown"]),
        (report(alert={"alert": True}), ["unknown"]),
        *(
            (report(alert=word), ["d1"])
            for word in ("yes", "JA", "oui", "verdadero", "да", "是", "１", "1.0", "true\0", "हाँ")
        ),
        *((json.dumps(report()).encode(code), ["d1"]) for code in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")),
        *((json.dumps(report()).encode(code), ["d1"]) for code in ("utf-32", "utf-32-le", "utf-32-be")),
        (str(report()).encode(), ["d1"]),  # as Python prints it
        (json.dumps(json.dumps(json.dumps(report()))).encode(), ["d1"]),
        (json.dumps({"payload": json.dumps(report())}).encode()[:-1], ["d1"]),
        (b"\x1e" + WHOLE + b"\n\x1e" + WHOLE, ["d1", "d1"]),  # RFC 7464
    ],
)
def test_each_alert_is_raised_once_with_what_is_known(value: Any, drones: list[str]) -> None:
    alerts = read(value)
    assert [alert.drone_id for alert in alerts] == drones
    assert not any(alert.verified for alert in alerts)
    assert len({alert.alert_id for alert in alerts}) == len(alerts)
    assert {alert.city for alert in alerts} <= {"Berlin", "Paris", "unknown"}


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"", b"true", b'{"alert":false}', b'{"alert":0}', b'{"alert":"0"}', b'{"alert":"no"}', b'{"alert":10}'),
        *(
            b'{"alert":1.5',
            b'{"meta":{"alert":true},"alert":false}',
            b"[" * 60_000,
            b'{"alert":false',
            b'{"alert":null}',
            b'{"alert":"maybe"}',
            b'{"alert":"nein"}',
            b'{"alert":"' + b"y" * 100_000 + b'"}',
            b"{'alert': False",
            '{"alert":false}'.encode("utf-16"),
        ),
    ],
)
def test_message_without_alert_flag_raises_no_alert(value: bytes | None) -> None:
    assert read(value) == []


def test_a_salvaged_alert_never_has_the_id_of_a_report() -> None:
    """Whatever ids the message claims: an attacker cannot suppress the report that they belong to."""
    (alert,) = read({"alert": True, "drone_id": "lyon-3", "report_id": "42"})
    assert alert.alert_id == "unrest/salvaged/topic-id/3/17/0"
    assert (alert.drone_id, alert.report_id) == ("lyon-3", "42")


def test_alerts_of_one_message_are_bounded_and_the_last_says_so() -> None:
    assert len(read([report()] * MOST)) == MOST
    assert read([report()] * MOST)[-1].note == ""
    alerts = read([report()] * (MOST + 1))
    assert len(alerts) == MOST
    assert alerts[-1].note == f"the message has more than {MOST} alerts"


@pytest.mark.parametrize(
    ("flags", "padding", "alerts"),
    [(1, 0, 1), (FEW, 0, FEW), (FEW + 1, 0, FEW), (50, 0, 6), (50, 5 * MOST, 8), (50, ALERT_BYTES * MOST, MOST)],
)
def test_a_short_message_raises_few_alerts(flags: int, padding: int, alerts: int) -> None:
    """So that what a flood of flags costs the neighbours grows with its bytes."""
    found = read(json.dumps([{"alert": 1}] * flags, separators=(",", ":")).encode() + b" " * padding)
    assert len(found) == alerts
    assert (found[-1].note == "") is (alerts == flags)


def test_looks_are_bounded() -> None:
    assert len(read([0] * (LOOKS - 2) + [report()])) == 1
    assert read([0] * LOOKS + [report()]) == []


def test_the_place_is_of_the_nearest_city_where_none_is_named() -> None:
    value = json.dumps(report(city=None, country=None)).encode()
    (alert,) = salvaged(value, PLACE, AT, lambda _latitude, _longitude: ("Nearby", "Somewhere"))
    assert (alert.city, alert.country) == ("Nearby", "Somewhere")


def test_a_report_ahead_of_its_time_alerts_with_the_brokers_time() -> None:
    value = json.dumps(report(reported_at=(AT + timedelta(days=400)).isoformat())).encode()
    with pytest.raises(RejectedReport):
        reports.decode(value, AT)
    assert read(value)[0].reported_at == AT


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+14:00"])
def test_a_time_before_all_reports_is_not_believed(time: str) -> None:
    """The year 1 east of Greenwich has no UTC date: MongoDB and the lake cannot hold it."""
    assert read(b'{"alert": true, "reported_at": "%b"}' % time.encode())[0].reported_at == AT


ESCAPED = WHOLE.replace(b'"alert"', b'"\\u0061l\\u0065rt"')


@pytest.mark.parametrize(
    "value",
    [
        ESCAPED.replace(b"80.0", b"800"),
        b"noise\n" + ESCAPED.replace(b"80.0", b"800"),
        json.dumps({"payload": ESCAPED.decode()}).encode(),
    ],
)
def test_a_flag_whose_name_is_written_in_escapes_is_one(value: bytes) -> None:
    assert [alert.drone_id for alert in read(value)] == ["d1"]


@pytest.mark.parametrize("name", ["battery", "latitude", "longitude"])
@pytest.mark.parametrize("number", ["9" * 400, "-" + "9" * 4000, "9" * 5000, "1e400", "-1e400", "1e-400", "NaN", "-0"])
def test_a_number_that_no_float_holds_costs_the_number_not_the_alert(name: str, number: str) -> None:
    value = f'{{"alert": true, "drone_id": "d1", "message": "help", "{name}": {number}}}'.encode()
    (alert,) = read(value)
    assert (alert.drone_id, alert.message) == ("d1", "help")
    assert getattr(alert, name) in (None, 0.0)


of_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**500), 10**500) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*report()]), inner, max_size=9),
)


@given(of_json)
def test_a_flagged_object_is_an_alert_whatever_else_it_says(fields: Any) -> None:
    said = {**(fields if isinstance(fields, dict) else {"payload": fields}), "alert": True}
    (alert,) = read(said)
    assert not alert.verified


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["alert", "drone_id", "battery", "citizens", "x"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_nothing_makes_it_raise(value: bytes) -> None:
    for alert in salvaged(value + b'"alert":true', PLACE, AT) + salvaged(value, PLACE, AT):
        assert isinstance(alert, Alert)


def test_a_whole_report_is_none_of_its_business() -> None:
    assert isinstance(reports.decode(WHOLE, AT), Report)


@pytest.mark.parametrize("battery", ["1e999", "1E2", "80000", "12.5.1", "NaN", "Infinity", "-0x10", "true"])
def test_a_number_that_is_not_wholly_read_is_none(battery: str) -> None:
    (alert,) = read(WHOLE[:-1].replace(b'"battery":80.0', b'"battery":' + battery.encode()))
    assert alert.battery is None
