"""What one sender can do to landing with the right to write to `reports`, on the shipped command: a neighbour's report
is in the lake and in the figures all the same, and what the flood leaves behind is bounded."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from bson import BSON
from deltalake import DeltaTable
from pymongo import MongoClient

from fleet import topics
from fleet.figures.cube import HOURS
from fleet.reports.counted_places import COUNTRY_BYTES, NAME_BYTES, OTHER
from fleet.reports.pseudonyms import Pseudonyms
from infra.kafka import clients
from infra.mongo import live
from laptop import ports
from laptop.services import kafka as kafka_server
from laptop.supervision import processes
from laptop.supervision.processes import Child
from speed_layer.landing.batch import COMMIT_HOURS
from tests.support import raw_kafka
from tests.support.kafka_messages import messages
from tests.support.landing import check_exactly_once, landed, report, unlanded
from tests.support.raw_kafka import RawRecord
from tests.support.slow import slow
from tests.support.waiting import wait_for

PARTITIONS = 6
NEIGHBOURS = 200
LARGEST_DOCUMENT = 16 * 1024 * 1024


class Lab:
    """`peacewatch land` on a Kafka of its own."""

    def __init__(self, bootstrap: str, mongo_uri: str, folder: Path) -> None:
        self.bootstrap, self.folder, self.lake = bootstrap, folder, folder / "lake"
        self.database = MongoClient[dict[str, Any]](mongo_uri, tz_aware=True).get_default_database()
        self.env = {
            "PEACEWATCH_KAFKA_BOOTSTRAP": bootstrap,
            "PEACEWATCH_LAKE": str(self.lake),
            "PEACEWATCH_MONGO_URI": mongo_uri,
        }
        self.children: list[Child] = []

    def start(self) -> Child:
        log = self.folder / f"land-{len(self.children)}.log"
        self.children.append(processes.start("land", [sys.executable, "-m", "cli", "land"], log, env=self.env))
        return self.children[-1]

    def send(self, values: Any, key: bytes = b"flood", **producer: Any) -> None:
        with_defaults = {"acks": "all", "max_request_size": 900_000_000, "linger_ms": 100, **producer}
        sender = clients.producer(self.bootstrap, **with_defaults)
        try:
            for value in values:
                sender.send(topics.REPORTS, json.dumps(value).encode() if isinstance(value, dict) else value, key=key)
        finally:
            sender.flush()
            sender.close()

    def neighbours(self, first: int = 0) -> None:
        """A report of each of so many honest drones, on all partitions."""
        sender = clients.producer(self.bootstrap, acks="all")
        for number in range(first, first + NEIGHBOURS):
            honest = report(number, drone_id=f"honest-{number}", country="France", city="Paris")
            sender.send(topics.REPORTS, json.dumps(honest).encode(), key=honest["drone_id"].encode())
        sender.flush()
        sender.close()

    def wait_landed(self, seconds: float = 150) -> None:
        wait_for(lambda: unlanded(self.bootstrap, topics.REPORTS, self.lake) == 0, seconds, f"landing\n{self.logs()}")

    def figures(self) -> dict[str, int]:
        """Reports by country, of the live documents up to the table's version."""
        version = DeltaTable(self.lake / "reports").version()
        wait_for(lambda: not live.missing(self.database, -1, version), 90, f"live documents\n{self.logs()}")
        cells = [live.cells_of(self.database, document) for document in self.database.live.find()]
        counted = HOURS.merge(cells).group_by("country").aggregate([("reports", "sum")])
        return dict(zip(counted["country"].to_pylist(), counted["reports_sum"].to_pylist(), strict=True))

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("land-*.log")))


@pytest.fixture
def lab(mongo_uri: str, mongo_database: Any, tmp_path: Path) -> Iterator[Lab]:
    with broker(tmp_path) as bootstrap:
        made = Lab(bootstrap, mongo_uri, tmp_path)
        try:
            yield made
        finally:
            for child in made.children:
                child.kill()
            made.database.client.close()


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    server = kafka_server.start(folder / "kafka", ports.free_port())
    try:
        kafka_server.create_topics(server.address)
        yield server.address
    finally:
        server.kill()


def hostile(number: int, **changes: Any) -> dict[str, Any]:
    return report(number, drone_id="flood", reported_at=datetime.now(UTC).isoformat(), **changes)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("many", [300, pytest.param(40_000, marks=pytest.mark.slow)])
def test_invented_countries_of_800_bytes(lab: Lab, many: int) -> None:
    """Also over a restart in the middle: the second process knows which names of the hour are counted."""
    hour = datetime.now(UTC) - timedelta(hours=2)

    def flood(first: int) -> Iterator[dict[str, Any]]:
        for number in range(first, first + many // 2):
            name = f"{number:06}" + chr(0x1F300 + number % 500) * 194
            yield {**hostile(number, country=name, city=name), "reported_at": hour.isoformat()}

    lab.start()
    lab.send(flood(0), batch_size=900_000)
    lab.wait_landed()
    lab.children[0].kill()
    lab.start()
    lab.send(flood(many // 2), batch_size=900_000)
    lab.neighbours()
    lab.wait_landed()
    figures = lab.figures()
    own = [country for country in figures if country not in ("France", OTHER)]
    assert figures["France"] == NEIGHBOURS
    assert figures[OTHER] == many - len(own)
    assert 1 <= len(own) <= COUNTRY_BYTES // (NAME_BYTES + 6 + 4 * 194)
    assert len(landed(lab.lake, "reported_country", "where reported_country is not null")) >= figures[OTHER]
    assert all(len(BSON.encode(one)) < LARGEST_DOCUMENT for one in lab.database.live.find())
    check_exactly_once(lab.bootstrap, topics.REPORTS, topics.REJECTED, lab.lake)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("many", slow(300, 1500))
def test_reports_of_distinct_hours(lab: Lab, many: int) -> None:
    lab.start()
    start = datetime(2020, 1, 1, tzinfo=UTC)
    lab.send(report(n, drone_id="flood", reported_at=(start + timedelta(hours=n)).isoformat()) for n in range(many))
    lab.neighbours()
    lab.wait_landed()
    added = [live_version_files(lab, version) for version in range(1, DeltaTable(lab.lake / "reports").version() + 1)]
    assert max(added) <= COMMIT_HOURS
    assert sum(added) >= many
    assert landed(lab.lake, "count(*)", "where drone_id like 'honest-%'") == [(NEIGHBOURS,)]
    assert sum(lab.figures().values()) == many + NEIGHBOURS
    check_exactly_once(lab.bootstrap, topics.REPORTS, topics.REJECTED, lab.lake)


def live_version_files(lab: Lab, version: int) -> int:
    lines = (lab.lake / "reports/_delta_log" / f"{version:020}.json").read_text().splitlines()
    return sum('"add"' in line for line in lines)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_batch_that_unpacks_to_300_megabytes(lab: Lab) -> None:
    lander = lab.start()
    lab.neighbours()
    lab.wait_landed()
    before = psutil.Process(lander.process.pid).memory_info().rss
    peak = before
    text = "x" * 1_000_000
    lab.send(
        (json.dumps(hostile(n, message=text)).encode() for n in range(300)),
        compression_type="zstd",
        batch_size=400_000_000,
        linger_ms=3000,
    )
    lab.neighbours(NEIGHBOURS)
    deadline = time.monotonic() + 200
    while unlanded(lab.bootstrap, topics.REPORTS, lab.lake) and time.monotonic() < deadline:
        peak = max(peak, psutil.Process(lander.process.pid).memory_info().rss)
    assert unlanded(lab.bootstrap, topics.REPORTS, lab.lake) == 0, lab.logs()
    assert len(lab.children) == 1
    assert lander.alive
    assert lab.figures()["France"] >= 2 * NEIGHBOURS
    assert peak - before < 1_200_000_000


@pytest.mark.timeout(400)
def test_a_report_under_somebody_elses_identity(lab: Lab) -> None:
    """The forged one comes first, so it lands; the real one is kept, and said to be in conflict."""
    lab.start()
    real = report(1, drone_id="honest", message="they are shooting", alert=True)
    lab.send(
        [{**real, "message": "all is calm", "alert": False}, real, real, {**real, "report_id": "r2"}], key=b"honest"
    )
    lab.neighbours()
    lab.wait_landed()
    assert landed(lab.lake, "report_id", "where drone_id = 'honest' order by 1") == [("r1",), ("r2",)]
    rejected = messages(lab.bootstrap, topics.REJECTED)
    assert [(dict(one.headers)["reason"], json.loads(one.value)["message"]) for one in rejected] == [
        (b"conflict", "they are shooting"),
        (b"conflict", "they are shooting"),
    ]
    check_exactly_once(lab.bootstrap, topics.REPORTS, topics.REJECTED, lab.lake)


@pytest.mark.timeout(400)
def test_records_that_no_library_makes(lab: Lab) -> None:
    """Each stopped its partition for ever, also in a new process; a neighbour's report in the same batch lands."""
    hour = datetime.now(UTC).isoformat()
    poison = [
        RawRecord(b"{}", headers=[(b"\xff\xfe", b"")]),
        RawRecord(b"{}", attributes=0x80),
        RawRecord(b"{}", offset_delta=2**31 - 1),
        RawRecord(b"{}", raw_headers=raw_kafka.empty_headers(1000)),
        RawRecord(None),
    ]
    lab.start()
    for number, record in enumerate(poison):
        real = report(number, drone_id="in the batch", reported_at=hour, country="France", city="Paris")
        batch = raw_kafka.batch([record, RawRecord(json.dumps(real).encode()), record])
        assert raw_kafka.send(lab.bootstrap, topics.REPORTS, number, batch) == 0
    lab.neighbours()
    lab.wait_landed()
    lab.children[0].kill()
    lab.start()
    lab.neighbours(NEIGHBOURS)
    lab.wait_landed()
    assert lab.figures()["France"] == 2 * NEIGHBOURS + len(poison)
    rejected = messages(lab.bootstrap, topics.REJECTED)
    assert len(rejected) == 2 * len(poison)
    check_exactly_once(lab.bootstrap, topics.REPORTS, topics.REJECTED, lab.lake)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_names_without_end_behind_a_pseudonyms_key_and_a_kill(lab: Lab) -> None:
    """Each message of the flood is a megabyte of names. Killed when it has come, every report lands once."""
    lab.env["PEACEWATCH_PSEUDONYM_KEY"] = "0123456789abcdef" * 2
    many = 40
    crowd = [{"name": f"Nobody {number}", "peace_score": 5} for number in range(22_000)]
    lab.start()
    lab.neighbours()
    lab.wait_landed()
    flood = [hostile(number, country="Chad", citizens=crowd) for number in range(many)]
    lab.send(flood[: many // 2], compression_type="lz4")
    lab.children[0].kill()
    lab.start()
    lab.send(flood[many // 2 :], compression_type="lz4")
    lab.neighbours(NEIGHBOURS)
    lab.wait_landed()
    check_exactly_once(lab.bootstrap, topics.REPORTS, topics.REJECTED, lab.lake)
    assert lab.figures()["France"] == 2 * NEIGHBOURS
    (names,) = landed(lab.lake, "DISTINCT citizens[1].name", "WHERE drone_id = 'flood'")
    assert names == (Pseudonyms(lab.env["PEACEWATCH_PSEUDONYM_KEY"]).of_name("Nobody 0"),)
