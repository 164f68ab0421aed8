"""What answers rest on: figures that another thread changes meanwhile, reads that fail, texts of anybody."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from flask import Flask
from pymongo.errors import AutoReconnect, PyMongoError

from fleet.alerts.alert import alert_id
from fleet.errors import BadInput, ServiceUnavailable
from fleet.figures import last_seen
from fleet.figures.cube import HOURS
from fleet.notifications.actions import Action
from serving.api.stream import LOOK_SECONDS, parts
from serving.api.times import between
from serving.app import create_app
from serving.config import Config
from serving.events.hub import Events
from serving.figures.drones import Drones
from serving.figures.merge import Merge
from serving.figures.served import Served, Wanted
from serving.http import paging
from serving.http.tables import table
from serving.operators.audit import Audit
from serving.rejected import RejectedMessages
from serving.services import connect

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_figures_are_those_that_were_judged() -> None:
    """Another thread's read may hold other hours: with them a range would be counted without some of its own."""
    merge = Merge(SimpleNamespace(), max_age=60)  # type: ignore[arg-type]

    class Judged(Served):
        def missing(self, wanted: Wanted) -> list[int]:
            missing = super().missing(wanted)
            merge._served = Served(version=2, first_hour=7, last_hour=7)
            return missing

    merge._served = Judged(version=1, first_hour=7, last_hour=7, hours={7: HOURS.empty()})
    merge._read_at = time.monotonic()
    held = merge.held(Wanted([7]))
    assert held is not None
    assert (held.version, list(held.hours)) == (1, [7])


class Blocks:
    """A collection of one block; reading it fails as often as the test wants."""

    def __init__(self, failures: int, seconds: float = 0) -> None:
        self.failures, self.seconds = failures, seconds
        self.tries = 0

    def find(self, _wanted: Any, shown: Any = None) -> list[dict[str, Any]]:
        if shown:
            return [{"_id": "a", "written_at": NOON}]
        self.tries += 1
        time.sleep(self.seconds)
        if self.tries <= self.failures:
            raise AutoReconnect("away")
        row = {name: [value] for name, value in zip(last_seen.SCHEMA.names, ("d1", 1, 0, 0, "", "", 0, 0), strict=True)}
        return [{"block": packed(row)}]


def packed(row: dict[str, list[Any]]) -> bytes:
    columns = {name: pa.array(row[name]).cast(kind) for name, kind in zip(row, last_seen.SCHEMA.types, strict=True)}
    rows = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())


def test_drones_of_a_block_whose_reading_failed_are_read_again() -> None:
    drones = Drones(SimpleNamespace(drone_blocks=Blocks(1)))  # type: ignore[arg-type]
    with pytest.raises(PyMongoError):
        drones.fleet()
    assert drones.fleet().rows["drone_id"].to_pylist() == ["d1"]


def test_requests_waiting_for_drones_share_the_failure() -> None:
    blocks = Blocks(99, seconds=0.2)
    drones = Drones(SimpleNamespace(drone_blocks=blocks))  # type: ignore[arg-type]
    assert together(drones.fleet) == [AutoReconnect] * 8
    assert blocks.tries <= 2


def test_requests_waiting_for_rejected_messages_share_the_failure() -> None:
    tries: list[int] = []

    def read() -> Any:
        tries.append(1)
        time.sleep(0.2)
        raise ServiceUnavailable("away")

    assert together(RejectedMessages(read).now) == [ServiceUnavailable] * 8
    assert len(tries) <= 2


def together(call: Callable[[], Any]) -> list[type[BaseException] | None]:
    """What eight calls at one time raise."""
    start = threading.Barrier(8)

    def outcome(_number: int) -> type[BaseException] | None:
        start.wait()
        try:
            call()
        except (PyMongoError, ServiceUnavailable) as error:
            return type(error)
        return None

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(outcome, range(8)))


class Away:
    """A collection of a MongoDB that is away."""

    def find_one(self, *_asked: Any) -> Any:
        raise AutoReconnect("away")

    def replace_one(self, *_asked: Any, **_more: Any) -> Any:
        raise AutoReconnect("away")


@pytest.mark.parametrize("what", ["acknowledge", "resolve"])
def test_an_incident_is_taken_up_while_mongodb_is_away(what: str) -> None:
    """Operators speak through Kafka, as alerts do."""
    sent: list[Action] = []
    config = Config(mongo_uri="mongodb://127.0.0.1:1/nothing?connect=false")
    services = connect(config)
    away: Any = SimpleNamespace(incidents=Away(), actions=Away())
    desk: Any = SimpleNamespace(send=sent.append)
    app = create_app(config, replace(services, database=away, audit=Audit(away, desk)))
    answer = app.test_client().post(f"/api/v1/incidents/i1/{what}", json={"by": "Ada"})
    services.close()
    assert answer.status_code == 202
    assert [(action.action, action.target.incident_id, action.by) for action in sent] == [(what, "i1", "Ada")]


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_a_table_says_that_its_form_was_chosen_and_names_the_next_page_as_an_address_does(accept: str) -> None:
    app = Flask(__name__)
    with app.test_request_context(headers={"Accept": accept}):
        answer = table({"rows": [], "version": 7, "as_of": NOON, "next": "дрон\n1"}, [], None)
    assert "Accept" in answer.vary
    if accept == "text/csv":
        named = {name: answer.headers[f"X-Peacewatch-{name}"] for name in ("Version", "As-Of", "Next")}
        assert named == {"Version": "7", "As-Of": "2026-11-24T12:00:00Z", "Next": "%D0%B4%D1%80%D0%BE%D0%BD%0A1"}


@pytest.mark.parametrize("text", ['[0, "\\ud800"]', "[0, 1]", '[1e300, "a"]', '["a", "b"]', "[]", "[" * 2500])
def test_a_cursor_that_is_none_is_named(text: str) -> None:
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    assert re.match(paging.CURSOR, cursor)
    with pytest.raises(BadInput, match="cursor"):
        paging.decode(cursor)


@pytest.mark.parametrize("letter", ["a", "д", "🕊", "\x01", '"'])
def test_the_longest_id_has_a_cursor(letter: str) -> None:
    longest = alert_id("low_battery", letter * 200, letter * 200, NOON, "cleared")
    cursor = paging.encode({"_id": longest, "at": NOON}, "at")
    assert re.match(paging.CURSOR, cursor)
    assert paging.decode(cursor) == (NOON, longest)


@pytest.mark.parametrize(
    ("since", "until", "field"),
    [("0001-01-01T00:00:00+14:00", None, "since"), (None, "9999-12-31T23:59:59-14:00", "until")],
)
def test_a_moment_outside_the_calendar_is_named(since: str | None, until: str | None, field: str) -> None:
    moments = [datetime.fromisoformat(text) if text else None for text in (since, until)]
    with pytest.raises(BadInput, match=field):
        between("at", *moments)


def test_stream_ends_when_its_session_has() -> None:
    now = 0.0
    let_in = iter([True, False])

    def events() -> Events:
        nonlocal now
        for _ in range(10):
            now += LOOK_SECONDS / 2
            yield b""

    texts = list(parts(events(), set(), lambda: next(let_in), lambda: now))
    assert texts == [b"retry: 1000\n\n", *[b": ping\n\n"] * 3], "asked at the second and the fourth, which is the end"
