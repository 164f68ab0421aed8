"""Rows of the lake against a slow reference that reads each message with Python's own json, one column at a time."""

from __future__ import annotations

import json
from collections import namedtuple
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.reports.landed import SCHEMA, last_state
from fleet.reports.report import EARLIEST, REASONS
from speed_layer.landing.decoding import CHUNK, CHUNK_HOURS, LARGEST, Decoded
from speed_layer.landing.deduplication import RecentReports
from speed_layer.landing.landed_rows import rows
from tests.support.examples import examples

Record = namedtuple("Record", "partition offset timestamp key value")

RECEIVED = datetime(2026, 11, 24, 8, 15, 0, 512_000, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "report_id": "17",
    "drone_id": "drone-42",
    "reported_at": "2026-11-24T08:15:00Z",
    "latitude": 48.8566,
    "longitude": 2.3522,
    "battery": 71.5,
    "citizens": [{"name": "Zoë Nuñez", "peace_score": 3}],
    "message": "they are shouting",
    "alert": True,
    "country": "France",
    "city": "Paris",
}


def nearest(latitude: float, _longitude: float) -> tuple[str, str] | None:
    return ("Northtown", "Northland") if latitude > 0 else None


def decode(*values: bytes | None, received: datetime = RECEIVED, opens_at: datetime = EARLIEST) -> Decoded:
    decoded = Decoded()
    stamp = int(received.timestamp() * 1000)
    records = [Record(3, 100 + n, stamp, b"k", value) for n, value in enumerate(values)]
    decoded.take(records, RecentReports(), nearest, opens_at)
    return decoded


def message(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **changes}.items() if value is not None}).encode()


def reference(value: bytes, offset: int) -> dict[str, Any]:
    """A landed row, by the definitions in fleet.reports.landed and docs/contracts.md."""
    sent = json.loads(value)
    at = datetime.fromisoformat(sent["reported_at"]).astimezone(UTC)
    scores = [citizen["peace_score"] for citizen in sent["citizens"]]
    battery = round(sent["battery"] * 1000) / 1000
    known = sent.get("country"), sent.get("city")
    guess = nearest(sent["latitude"], 0)
    if None in known and guess and known[0] in (None, guess[1]):
        known = guess[1], known[1] or guess[0]
    return {
        "date": at.date(),
        "hour": at.hour,
        **{name: sent[name] for name in ("report_id", "drone_id", "message", "alert")},
        "reported_at": at,
        **{name: float(sent[name]) for name in ("latitude", "longitude")},
        "battery": battery,
        "citizens": [{"name": one["name"], "peace_score": one["peace_score"]} for one in sent["citizens"]],
        "country": known[0] or "unknown",
        "city": known[1] or "unknown",
        "reported_country": None,
        "reported_city": None,
        "received_at": RECEIVED,
        "topic_id": "id",
        "kafka_partition": 3,
        "kafka_offset": offset,
        "event_hour": int((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(hours=1)),
        "alert_count": int(sent["alert"]),
        "battery_millipercent": round(battery * 1000),
        "low_battery_count": int(battery < 20),
        "citizen_count": len(scores),
        "peace_score_sum": sum(scores),
        "worst_score": min(scores, default=0),
        "last_state": last_state(
            (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1), round(battery * 1000)
        ),
    }


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
times = st.datetimes(
    datetime(1970, 1, 2),
    datetime(2026, 11, 24, 8),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
).filter(lambda at: at <= RECEIVED)
reports = st.fixed_dictionaries(
    {
        "report_id": ids,
        "drone_id": ids,
        "reported_at": times.map(lambda at: at.isoformat()),
        "latitude": st.floats(-90, 90),
        "longitude": st.floats(-180, 180) | st.integers(-180, 180),
        "battery": st.floats(0, 100) | st.integers(0, 100),
        "citizens": st.lists(st.fixed_dictionaries({"name": texts, "peace_score": st.integers(1, 10)}), max_size=4),
        "message": texts,
        "alert": st.booleans(),
    },
    optional={"country": ids, "city": ids, "newer": st.none() | st.lists(texts), "firmware": texts},
)


@settings(max_examples=examples(300))
@given(
    st.lists(reports, min_size=1, max_size=8, unique_by=lambda one: (one["drone_id"], one["report_id"])), st.booleans()
)
def test_rows_are_what_the_reference_says(sent: list[dict[str, Any]], ascii_only: bool) -> None:
    values = [json.dumps(one, ensure_ascii=ascii_only).encode() for one in sent]
    table = rows(decode(*values), "id", 3)
    assert table.schema == SCHEMA
    assert table.to_pylist() == [reference(value, 100 + n) for n, value in enumerate(values)]


@settings(max_examples=examples(300))
@given(st.lists(st.binary(max_size=40) | st.none() | reports.map(lambda one: json.dumps(one).encode()), max_size=8))
def test_every_message_is_a_row_a_rejected_message_or_a_duplicate(values: list[bytes | None]) -> None:
    decoded = decode(*values)
    assert len(decoded.lines) + len(decoded.rejected) + decoded.duplicates == len(values)
    assert rows(decoded, "id", 3).num_rows == len(decoded.lines)


NESTED = b'{"x":' * 10_000 + b"1" + b"}" * 10_000

FATES: list[tuple[str, bytes | None, str]] = [
    ("no value", None, "empty"),
    ("empty value", b"", "empty"),
    ("wrong UTF-8", message().replace(b"shouting", b"\xff\xfe"), "not utf-8"),
    ("half a surrogate pair", message().replace(b"shouting", b"\\ud800"), "not json"),
    ("nested 10,000 deep", NESTED, "not json"),
    ("a nest in an unknown field", message()[:-1] + b',"newer":' + NESTED + b"}", "not json"),
    ("two objects", message() + message(), "not json"),
    ("an array", b"[" + message() + b"]", "not a report"),
    ("a field missing", message(battery=None), "not a report"),
    ("no zone", message(reported_at="2026-11-24T08:15:00"), "not a report"),
    ("a battery beyond its range", message(battery=100.1), "not a report"),
    ("a latitude beyond its range", message(latitude=-90.5), "not a report"),
    ("a number beyond all ranges", message().replace(b"71.5", b"1e999"), "not a report"),
    ("a number that is none", message().replace(b"71.5", b"NaN"), "not json"),
    ("a peace score of 11", message(citizens=[{"name": "A", "peace_score": 11}]), "not a report"),
    ("a name of a thousand and one", message(citizens=[{"name": "A" * 1001, "peace_score": 1}]), "not a report"),
    ("an empty id", message(drone_id=""), "not a report"),
    ("an hour ahead", message(reported_at="2026-11-24T09:15:00Z"), "ahead of time"),
    ("year 9999", message(reported_at="9999-12-31T23:59:59-14:00"), "ahead of time"),
    ("ancient", message(reported_at="1969-12-31T23:59:59Z"), "too old"),
    ("year 1", message(reported_at="0001-01-01T00:00:00+14:00"), "too old"),
    ("larger than landing takes", message(message="x" * LARGEST), "too large"),
]


def test_a_report_of_a_sealed_day_is_too_old_and_the_next_moments_is_not() -> None:
    times = ("2026-11-22T23:59:59.999Z", "2026-11-23T00:00:00Z", "2026-11-23T00:30:00+01:00")
    sent = [message(report_id=at, reported_at=at) for at in times]
    decoded = decode(*sent, opens_at=datetime(2026, 11, 23, tzinfo=UTC))
    assert decoded.offsets == [101]
    assert [(message.offset, message.reason) for message in decoded.rejected] == [(100, "too old"), (102, "too old")]
    assert decoded.rejected[0].detail.endswith("is of a sealed day; 2026-11-23 is open")


@pytest.mark.parametrize(("value", "reason"), [case[1:] for case in FATES], ids=[case[0] for case in FATES])
def test_odd_messages_are_rejected_and_cost_neighbours_nothing(value: bytes | None, reason: str) -> None:
    decoded = decode(message(report_id="before"), value, message(report_id="after"))
    assert [(message.reason, message.offset) for message in decoded.rejected] == [(reason, 101)]
    assert decoded.rejected[0].detail
    assert decoded.rejected[0].value == (value if value is None else value[:LARGEST])
    assert rows(decoded, "id", 3)["report_id"].to_pylist() == ["before", "after"]


ACCEPTED = {
    "a million characters": message(message="x" * 1_000_000),
    "ten thousand citizens": message(citizens=[{"name": f"c{n}", "peace_score": 10} for n in range(10_000)]),
    "at the broker's limit": message(message="x" * (LARGEST - len(message(message="")))),
    "fifty years old": message(reported_at="1976-11-24T08:15:00Z"),
    "ten minutes ahead": message(reported_at="2026-11-24T08:25:00Z"),
    "newer firmware": message(newer={"deep": [[[[]]]]}),
    "white space and a line's end": json.dumps(GOOD, indent=2).encode(),
    "a NUL and line separators": message(message="a\x00b\u2028c\r\n"),
}


@pytest.mark.parametrize("value", list(ACCEPTED.values()), ids=list(ACCEPTED))
def test_odd_reports_land_whole(value: bytes) -> None:
    assert rows(decode(value), "id", 3).to_pylist() == [reference(value, 100)]


def test_duplicates_are_dropped_and_counted() -> None:
    again = message(reported_at="2026-11-24T09:15:00+01:00", newer="ignored")
    decoded = decode(message(), message(), again, message(report_id="18"), message(drone_id="other"))
    assert (decoded.duplicates, decoded.offsets, decoded.rejected) == (2, [100, 103, 104], [])


@pytest.mark.parametrize(
    "changed",
    [
        {"battery": 3},
        {"message": "x"},
        {"alert": False},
        {"citizens": []},
        {"latitude": 48.8},
        {"city": "Lyon"},
        {"citizens": [{"name": "Zoë Nuñez", "peace_score": 4}]},
        {"reported_at": "2026-11-24T08:15:00.000100Z"},
    ],
)
def test_the_same_identity_with_other_content_is_a_conflict(changed: dict[str, Any]) -> None:
    sent = message(**changed)
    decoded = decode(message(), sent, message())
    assert (decoded.duplicates, decoded.offsets) == (1, [100])
    [conflict] = decoded.rejected
    assert (conflict.reason, conflict.offset, conflict.value) == ("conflict", 101, sent)
    assert "'17' of drone 'drone-42' at 2026-11-24T08:15:00.000" in conflict.detail


def test_a_report_after_a_reboot_has_its_own_time_and_lands() -> None:
    decoded = decode(message(), message(reported_at="2026-11-24T08:15:00.001Z", message="up again"))
    assert (decoded.duplicates, decoded.rejected, decoded.offsets) == (0, [], [100, 101])


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ([message(report_id=str(n)) for n in range(CHUNK + 1)], CHUNK),
        ([message(report_id=str(n), message="x" * 1_000_000) for n in range(20)], 17),
        ([message(report_id=str(n), reported_at=f"2026-0{1 + n // 600}-{1 + n % 600 // 24:02}T{n % 24:02}:00:00Z")
          for n in range(CHUNK_HOURS + 1)], CHUNK_HOURS),
        ([b"x" * 1_000_000] * 20, 17),
        ([b"no json"] * (CHUNK + 1), CHUNK),
    ],
    ids=["messages", "bytes", "hours", "bytes of rejected messages", "rejected messages"],
)  # fmt: skip
def test_a_chunk_is_bounded(values: list[bytes], first: int) -> None:
    decoded, records = (
        Decoded(),
        [Record(3, n, int(RECEIVED.timestamp() * 1000), b"k", v) for n, v in enumerate(values)],
    )
    window = RecentReports()
    assert decoded.take(records, window, nearest) == first
    assert decoded.is_full
    assert decoded.take(records, window, nearest, start=first) == first, "nothing more fits"
    assert Decoded().take(records, window, nearest, start=first) == len(values)


few_ids = st.sampled_from(["1", "2", "3"])
few_times = st.integers(0, 3 * CHUNK_HOURS // 2).map(lambda hours: (RECEIVED - timedelta(hours=hours)).isoformat())
common = st.builds(lambda report_id, at: message(report_id=report_id, reported_at=at), few_ids, few_times)


@given(st.lists(common | st.sampled_from([b"", b"no json", message(message="x" * LARGEST)]), max_size=100))
def test_a_chunk_at_once_is_what_its_messages_give_one_by_one(values: list[bytes]) -> None:
    """With garbage, duplicates, conflicts and many hours among them."""
    stamp = int(RECEIVED.timestamp() * 1000)
    records = [Record(3, 100 + n, stamp, b"k", value) for n, value in enumerate(values)]
    at_once, one_by_one, windows = Decoded(), Decoded(), (RecentReports(), RecentReports())
    end = at_once.take(records, windows[0], nearest)
    taken = 0
    for position in range(len(records)):
        taken = one_by_one.take(records[: position + 1], windows[1], nearest, start=taken)
    assert at_once == one_by_one
    assert end == taken


def test_a_backlog_with_an_hour_a_message_is_judged_twice_at_most() -> None:
    values = [message(report_id=str(n), reported_at=(RECEIVED - timedelta(hours=n)).isoformat()) for n in range(CHUNK)]
    stamp = int(RECEIVED.timestamp() * 1000)
    records = [Record(3, n, stamp, b"k", value) for n, value in enumerate(values)]
    judged: list[int] = []

    class Counted(list[Record]):
        def __getitem__(self, part: Any) -> Any:
            taken = super().__getitem__(part)
            judged.append(len(taken))
            return taken

    decoded, window, position = Decoded(), RecentReports(), 0
    while True:
        position = decoded.take(Counted(records), window, nearest, start=position)
        if position == len(records):
            break
        decoded = Decoded(decoded.next_piece)
    assert sum(judged) <= CHUNK + 2 * CHUNK + CHUNK_HOURS, "the first chunk cannot know, each later one judges twice"
    assert decoded.piece < CHUNK


@pytest.mark.parametrize(("messages", "hours", "piece"), [(CHUNK, 1, CHUNK), (70, CHUNK_HOURS, 140), (10, 9, CHUNK)])
def test_the_next_chunk_is_judged_at_once_unless_hours_filled_this_one(messages: int, hours: int, piece: int) -> None:
    assert Decoded(messages=messages, hours=set(range(hours))).next_piece == piece


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
odd_reports = st.fixed_dictionaries(
    {}, optional={name: json_values | st.just(value) for name, value in GOOD.items()}
).map(lambda one: json.dumps({**GOOD, **one}, allow_nan=True).encode())
mutated = st.tuples(st.just(message()), st.integers(0, 400), st.binary(max_size=4)).map(
    lambda one: one[0][: one[1]] + one[2] + one[0][one[1] + len(one[2]) :]
)


@settings(max_examples=examples(500), deadline=None)
@given(st.lists(odd_reports | mutated | json_values.map(lambda one: json.dumps(one).encode()), max_size=6))
def test_a_message_of_any_shape_costs_its_neighbours_nothing(values: list[bytes]) -> None:
    decoded = decode(message(report_id="before"), *values, message(report_id="after"))
    assert len(decoded.lines) + len(decoded.rejected) + decoded.duplicates == len(values) + 2
    assert {decoded.offsets[0], decoded.offsets[-1]} == {100, 101 + len(values)}
    assert {one.reason for one in decoded.rejected} <= set(REASONS)
    assert rows(decoded, "id", 3)["kafka_offset"].to_pylist() == decoded.offsets
