"""What landing depends on goes away or changes under it: nothing is lost, nothing lands twice, and it says so."""

from __future__ import annotations

import random
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from kafka import TopicPartition
from pymongo import MongoClient

from fleet import topics
from infra.kafka import clients
from infra.kafka.topics import TopicSettings
from laptop import ports
from laptop.services import kafka as kafka_server
from laptop.services import mongo as mongo_server
from tests.support.kafka_messages import messages
from tests.support.lander_processes import Landers, landers
from tests.support.landing import landed, report, send, topic_id
from tests.support.waiting import wait_for


@pytest.fixture
def lab(kafka: str, topic: Callable[..., str], mongo_uri: str, tmp_path: Path) -> Iterator[Landers]:
    with landers(kafka, topic(), topic(topics.REJECTED, 1), mongo_uri, tmp_path) as made:
        yield made


def test_the_broker_is_killed_and_comes_back(tmp_path: Path, mongo_uri: str) -> None:
    port = ports.free_port()
    broker = kafka_server.start(tmp_path, port)
    try:
        kafka_server.create_topics(broker.address)
        with landers(broker.address, topics.REPORTS, topics.REJECTED, mongo_uri, tmp_path, quiet_seconds=1) as lab:
            lander = lab.start()
            send(lab.bootstrap, lab.reports, [*(report(n) for n in range(200)), b"bad"])
            broker.kill()
            wait_for(lambda: "level=warning" in lab.logs() or "error" in lab.logs(), what="a word in the log")
            broker = kafka_server.start(tmp_path, port)
            send(lab.bootstrap, lab.reports, [*(report(n) for n in range(150, 400)), b"bad"])
            lab.wait_landed()
            lab.check()
            assert len(landed(lab.lake, "report_id")) == 400
            assert lander.alive
    finally:
        broker.kill()


def test_mongodb_away_stops_nothing(kafka: str, topic: Callable[..., str], tmp_path: Path) -> None:
    port = ports.free_port()
    uri = f"mongodb://127.0.0.1:{port}/peacewatch?replicaSet=peacewatch"
    with landers(kafka, topic(), topic(topics.REJECTED, 1), uri, tmp_path) as lab:
        lab.start()
        for start in (0, 100, 200):
            send(lab.bootstrap, lab.reports, (report(n) for n in range(start, start + 100)))
            lab.wait_landed()
        server = mongo_server.start(tmp_path, port)
        try:
            with MongoClient[dict[str, Any]](uri) as client:
                live, version = client.get_default_database()["live"], DeltaTable(f"{lab.lake}/reports").version()
                wait_for(lambda: live.count_documents({}) == version + 1, what="a live document a version")
                assert sum(sum(one["cells"]["reports"]) for one in live.find()) == 300
        finally:
            server.kill()


def test_a_topic_created_again_lands_from_its_beginning(lab: Landers) -> None:
    lander = lab.start()
    send(lab.bootstrap, lab.reports, [*(report(n) for n in range(300)), b"bad"])
    lab.wait_landed()
    old, kept = topic_id(lab.bootstrap, lab.reports), len(landed(lab.lake, "report_id"))
    remake(lab)
    send(lab.bootstrap, lab.reports, (report(n) for n in range(1000, 1040)))
    lab.wait_landed()
    new = topic_id(lab.bootstrap, lab.reports)
    assert new != old
    rows = landed(lab.lake, "topic_id, report_id")
    assert sorted(row[1] for row in rows if row[0] == new) == sorted(f"r{n}" for n in range(1000, 1040))
    assert len(rows) == kept + 40
    assert lander.alive


def remake(lab: Landers) -> None:
    with closing(clients.admin(lab.bootstrap)) as admin:
        admin.delete_topics([lab.reports])
        wait_for(lambda: lab.reports not in admin.list_topics(), what="the topic's end")
    kafka_server.create_topics(lab.bootstrap, {lab.reports: TopicSettings(2)})


def test_reports_that_expired_before_they_landed_are_logged_and_counted(lab: Landers, mongo_uri: str) -> None:
    first = lab.start()
    send(lab.bootstrap, lab.reports, (report(n) for n in range(50)), partition=0)
    lab.wait_landed()
    first.stop()
    send(lab.bootstrap, lab.reports, (report(n) for n in range(50, 150)), partition=0)
    with closing(clients.admin(lab.bootstrap)) as admin:
        admin.delete_records({TopicPartition(lab.reports, 0): 120})
    lab.start()
    lab.wait_landed()
    key = f"{topic_id(lab.bootstrap, lab.reports)}/0"
    assert sorted(landed(lab.lake, "kafka_offset")) == [(n,) for n in [*range(50), *range(120, 150)]]
    assert "reports are lost" in lab.logs()
    losses = [commit.get("peacewatch.lost") for commit in DeltaTable(f"{lab.lake}/reports").history()]
    assert [loss for loss in losses if loss] == [f'{{"{key}": [50, 120]}}']
    ((first,),) = landed(lab.lake, "epoch_ms(received_at)", "where kafka_offset = 120")
    before = [commit.get("peacewatch.lost_before") for commit in DeltaTable(f"{lab.lake}/reports").history()]
    assert [one for one in before if one] == [f'{{"{key}": {first}}}']
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        hints = client.get_default_database()["landing"]
        wait_for(lambda: (hints.find_one({"_id": key}) or {}).get("lost") == [[50, 120]], what="the hint")


@contextmanager
def little_room(lab: Landers) -> Iterator[Callable[[], None]]:
    """A lake on a disk of 2 MB; call what it gives for more. Without the right to mount: files of 100 kB at most."""
    Path(lab.lake).mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", lab.lake]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    lander = lab.start()
    if mounted.returncode:
        resource.prlimit(lander.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

        def unlimited() -> None:
            resource.prlimit(lander.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

        yield unlimited
        return

    def larger() -> None:
        subprocess.run(["mount", "-o", "remount,size=200m", lab.lake], check=True)

    try:
        yield larger
    finally:
        lander.kill()
        subprocess.run(["umount", lab.lake], check=True)


def test_a_full_disk_is_named_and_landing_goes_on_when_there_is_room(lab: Landers) -> None:
    with little_room(lab) as make_room:
        for start in range(0, 3000, 500):
            numbers = range(start, start + 500)  # their messages do not compress
            noisy = (report(n, message=random.Random(n).randbytes(1500).hex()) for n in numbers)
            send(lab.bootstrap, lab.reports, noisy)
        wait_for(lambda: "the lake's disk is full" in lab.logs(), what="a word in the log")
        make_room()
        lab.wait_landed()
        lab.check()
        assert len(landed(lab.lake, "report_id")) == 3000
        named = {Path(path).name for path in DeltaTable(f"{lab.lake}/reports").file_uris()}
        assert {path.name for path in Path(lab.lake).rglob("*.parquet")} == named, "a full disk needs the room"


def test_rejected_messages_are_acknowledged_before_their_offset_is_passed(lab: Landers) -> None:
    """The topic of rejected messages is not there: landing waits, and lands no further than the rejected message."""
    with closing(clients.admin(lab.bootstrap)) as admin:
        admin.delete_topics([lab.rejected])
    lab.start()
    send(lab.bootstrap, lab.reports, [report(1), b"bad", report(2)], partition=0)
    wait_for(lambda: "landing waits for a service" in lab.logs(), what="a word in the log")
    assert landed(lab.lake, "report_id") == []
    kafka_server.create_topics(lab.bootstrap, {lab.rejected: TopicSettings(1)})
    lab.wait_landed()
    lab.check()
    assert [record.value for record in messages(lab.bootstrap, lab.rejected)] == [b"bad"]
