"""Landing on a real Kafka, a real MongoDB and a real Delta table."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from pymongo.database import Database

from fleet import topics
from fleet.figures.cube import HOURS
from fleet.reports.counted_places import KnownPlaces
from fleet.reports.sealed import SEALED_THROUGH_KEY
from infra.mongo.packed import unpack
from speed_layer.landing import lander, rejected_file
from speed_layer.landing import rejected as rejected_messages
from speed_layer.landing.decoding import RejectedMessage
from speed_layer.landing.partition import Names
from tests.support.kafka_messages import messages
from tests.support.landing import check_exactly_once, config, landed, report, send, topic_id, unlanded
from tests.support.waiting import running, wait_for

Topic = Callable[..., str]


@pytest.fixture
def rejected(topic: Topic) -> str:
    return topic(topics.REJECTED, 1)


def test_every_report_lands_once_and_is_seen_live(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, mongo_database: Database[Any], tmp_path: Path
) -> None:
    reports = topic()
    landing = config(kafka, reports, rejected, tmp_path, mongo_uri)
    with running(lander.run, landing):
        send(kafka, reports, (report(n) for n in range(3000)))
        send(kafka, reports, [b"no json", None, b'{"report_id": 1}'])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    with running(lander.run, landing):  # a second process resumes from the table; duplicates are known
        send(kafka, reports, [*(report(n) for n in range(100)), *(report(n) for n in range(3000, 3100))])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    assert len(landed(tmp_path, "report_id")) == 3100
    assert [dict(record.headers)["reason"] for record in messages(kafka, rejected)] == [
        b"not json",
        b"empty",
        b"not a report",
    ]
    check_exactly_once(kafka, reports, rejected, tmp_path)
    table = DeltaTable(tmp_path / "reports")
    live = list(mongo_database["live"].find(sort=[("_id", 1)]))
    assert [one["_id"] for one in live] == list(range(table.version() + 1))
    merged = HOURS.merge(HOURS.from_document(one["cells"]) for one in live)
    assert merged.equals(HOURS.fold(table.to_pyarrow_table()))


def test_two_processes_share_the_partitions(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, mongo_database: Database[Any], tmp_path: Path
) -> None:
    reports = topic(partitions=4)
    landing = config(kafka, reports, rejected, tmp_path, mongo_uri, session_seconds=6.0)
    with running(lander.run, landing):
        send(kafka, reports, (report(n) for n in range(1000)))
        with running(lander.run, landing):  # joins while the first is at work
            for start in range(1000, 4000, 500):
                send(kafka, reports, [*(report(n) for n in range(start, start + 500)), b"bad"])
            wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
        send(kafka, reports, (report(n) for n in range(3900, 4500)))  # and has left
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    check_exactly_once(kafka, reports, rejected, tmp_path)
    assert len(landed(tmp_path, "report_id")) == 4500
    states = [row for one in mongo_database["drone_blocks"].find() for row in unpack(one["block"]).to_pylist()]
    wanted = landed(tmp_path, "drone_id, max(last_state)", "group by drone_id")
    assert sorted((row["drone_id"], row["last_state"]) for row in states) == sorted(wanted)


def test_a_partition_without_reports_is_known_to_be_landed(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, tmp_path: Path
) -> None:
    reports = topic(partitions=2)
    landing = config(kafka, reports, rejected, tmp_path, mongo_uri, quiet_seconds=0.5)
    before = time.time()
    with running(lander.run, landing):
        send(kafka, reports, (report(n) for n in range(10)), partition=0)
        keys = {f"{topic_id(kafka, reports)}/{partition}" for partition in (0, 1)}
        wait_for(lambda: landed_through(tmp_path).keys() == keys, what="a word on both partitions")
        first = landed_through(tmp_path)
        wait_for(lambda: all(at > first[key] for key, at in landed_through(tmp_path).items()), what="time going on")
    assert all(before - 3600 < at / 1000 < time.time() for at in landed_through(tmp_path).values())
    assert len(landed(tmp_path, "report_id")) == 10


def landed_through(lake: Path) -> dict[str, int]:
    """The newest word of the commits on each partition."""
    if not (lake / "reports" / "_delta_log").exists():
        return {}
    words = [commit.get("peacewatch.landed_through") for commit in DeltaTable(lake / "reports").history()]
    found: dict[str, int] = {}
    for word in reversed([json.loads(word) for word in words if word]):
        found |= word
    return found


def test_rejected_messages_are_listed_corrected_and_replayed(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, tmp_path: Path
) -> None:
    reports = topic(partitions=1)
    landing = config(kafka, reports, rejected, tmp_path / "lake", mongo_uri)
    broken = report(7, battery=101)
    with running(lander.run, landing):
        send(kafka, reports, [broken, b"\xff\xfe", None])
        wait_for(lambda: unlanded(kafka, reports, tmp_path / "lake") == 0)
    found = list(rejected_messages.read(kafka, rejected))
    assert [(one.headers["reason"], one.value) for one in found] == [
        ("not a report", json.dumps(broken, ensure_ascii=False).encode()),
        ("not json", b"\xff\xfe"),
        ("empty", None),
    ]
    assert found[0].key == b"drone-7"
    assert (
        found[0].headers.items()
        >= {
            "topic": reports,
            "topic_id": topic_id(kafka, reports),
            "partition": "0",
            "offset": "0",
        }.items()
    )
    file = tmp_path / "mended.jsonl"
    file.write_text("\n".join(rejected_file.line(one).replace("101", "99") for one in found), encoding="utf-8")
    again = list(rejected_file.read(file))
    assert [one.value for one in again[1:]] == [b"\xff\xfe", None], "what is no text comes through as it was"
    assert rejected_messages.replay(kafka, again[:1], reports) == 1
    with running(lander.run, landing):
        wait_for(lambda: unlanded(kafka, reports, tmp_path / "lake") == 0)
    assert landed(tmp_path / "lake", "report_id, battery") == [("r7", 99.0)]


def test_a_message_without_key_and_value_is_rejected_like_others(kafka: str, rejected: str) -> None:
    """Kafka's own clients can send one, the one in use here cannot."""
    with closing(rejected_messages.RejectedProducer(kafka, topics.REPORTS, "id", rejected)) as sender:
        sender.send([RejectedMessage("empty", "the message has no value", 0, 5, 0, None, None)])
    (found,) = rejected_messages.read(kafka, rejected)
    assert (found.headers["reason"], found.key, found.value) == ("empty", None, b"")
    assert found.source == ("id", "0", "5")


@pytest.mark.parametrize("most", [{"most_rows": 50}, {"most_bytes": 5000}])
def test_a_batch_is_committed_when_it_is_large_whatever_the_time(
    kafka: str, topic: Topic, rejected: str, tmp_path: Path, most: dict[str, int]
) -> None:
    reports, nowhere = topic(partitions=1), "mongodb://127.0.0.1:1/peacewatch?serverSelectionTimeoutMS=500"
    patient = config(kafka, reports, rejected, tmp_path, nowhere, seconds=3600, idle_seconds=3600, **most)
    with running(lander.run, patient):
        send(kafka, reports, (report(n) for n in range(49)))
        send(kafka, reports, [report(n, message="x" * 200) for n in range(49, 60)])
        wait_for(lambda: len(landed(tmp_path, "report_id") if (tmp_path / "reports").exists() else []) >= 50)
    assert len(landed(tmp_path, "report_id")) == 60, "what waits is landed at the end"


def test_a_report_of_a_sealed_day_is_rejected_and_its_neighbours_land(
    kafka: str, topic: Topic, rejected: str, tmp_path: Path
) -> None:
    """Sealed while landing runs; the lake alone says so, MongoDB is away."""
    reports = topic(partitions=1)
    nowhere = "mongodb://127.0.0.1:1/peacewatch?serverSelectionTimeoutMS=500"
    with running(lander.run, config(kafka, reports, rejected, tmp_path, nowhere)):
        send(kafka, reports, [report(1, reported_at="2025-03-01T12:00:00Z")])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
        table = DeltaTable(tmp_path / "reports")
        table.alter.set_table_properties({SEALED_THROUGH_KEY: "2025-03-01"}, raise_if_not_exists=False)
        late = [report(n, reported_at=f"2025-03-0{n}T23:59:59Z") for n in (1, 2)]
        send(kafka, reports, [{**one, "report_id": f"late {n}"} for n, one in enumerate(late, 1)])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    check_exactly_once(kafka, reports, rejected, tmp_path)
    assert sorted(landed(tmp_path, "report_id")) == [("late 2",), ("r1",)]
    [message] = messages(kafka, rejected)
    assert dict(message.headers)["reason"] == b"too old"
    assert b"is of a sealed day; 2025-03-02 is open" in dict(message.headers)["detail"]


def test_odd_messages_cost_their_neighbours_nothing(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, tmp_path: Path
) -> None:
    reports = topic(partitions=1)
    limit = 1024 * 1024 - 200  # the broker counts the batch's own bytes, too
    odd: list[dict[str, Any] | bytes | None] = [
        b'{"x":' * 10_000 + b"1" + b"}" * 10_000,
        report(1, message="x" * 1_000_000),
        report(2, citizens=[{"name": f"c{n}", "peace_score": 10} for n in range(10_000)]),
        b"x" * limit,
        report(3, reported_at="2999-01-01T00:00:00Z"),
        report(4, reported_at="1970-01-01T00:00:00Z"),
        report(5, country=None, city=None),
    ]
    landing = config(kafka, reports, rejected, tmp_path, mongo_uri, names=Names(lambda *_: ("Bonn", "Germany")))
    with running(lander.run, landing):
        for number, one in enumerate(odd):
            send(kafka, reports, [report(100 + number), one])
        send(kafka, reports, [report(99)])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    check_exactly_once(kafka, reports, rejected, tmp_path)
    assert sorted(landed(tmp_path, "report_id")) == sorted((f"r{n}",) for n in [1, 2, 4, 5, 99, *range(100, 107)])
    assert landed(tmp_path, "city, country").count(("Bonn", "Germany")) == 1
    reasons = [dict(record.headers)["reason"].decode() for record in messages(kafka, rejected)]
    assert reasons == ["not json", "not json", "ahead of time"]


def test_another_process_knows_duplicates_conflicts_and_reboots(
    kafka: str, topic: Topic, rejected: str, mongo_uri: str, tmp_path: Path
) -> None:
    reports = topic(partitions=1)
    known = KnownPlaces([("France", "Paris")], ["France"])
    landing = config(kafka, reports, rejected, tmp_path, mongo_uri, names=Names(known=lambda: known))
    sent = [report(n, country="FRANCE", battery=n + 0.12345) for n in range(5)]
    with running(lander.run, landing):
        send(kafka, reports, sent)
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    forged = {**sent[1], "message": "all is well"}
    rebooted = {**sent[2], "reported_at": "2026-11-20T00:00:00Z", "message": "I am up again"}
    with running(lander.run, landing):
        send(kafka, reports, [sent[0], forged, rebooted, sent[4]])
        wait_for(lambda: unlanded(kafka, reports, tmp_path) == 0)
    assert sorted(landed(tmp_path, "kafka_offset")) == [(0,), (1,), (2,), (3,), (4,), (7,)]
    assert set(landed(tmp_path, "country, reported_country")) == {("France", "FRANCE")}
    [conflict] = messages(kafka, rejected)
    assert json.loads(conflict.value) == forged
    assert (dict(conflict.headers)["reason"], dict(conflict.headers)["offset"]) == (b"conflict", b"6")
