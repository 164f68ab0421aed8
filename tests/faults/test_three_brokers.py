"""Three brokers: each is killed under load and started again, so every leader dies; nothing is lost or doubled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake
from kafka.admin import NewTopic

from cli.doctor import kafka as doctor
from cli.doctor.finding import Finding
from fleet import topics
from infra.kafka import clients
from infra.kafka.address import KafkaConfig
from infra.kafka.topics import TOPICS, create_topics
from laptop import ports
from laptop.services import mongo
from tests.support import load, verdict
from tests.support.brokers import NODES, Brokers, three_brokers
from tests.support.product import UNLIMITED, Product
from tests.support.under_load import WAIT_SECONDS, settled, wait_more
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

RATE = 150
COMMANDS = ("land", "alerting", "notify", "record")


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with three_brokers(tmp_path_factory.mktemp("brokers")) as cluster:
        create_topics(cluster.address)
        yield cluster


@pytest.fixture
def product(brokers: Brokers, tmp_path: Path) -> Iterator[Product]:
    """Everything from a report to the lake and the channel."""
    database = mongo.start(tmp_path, ports.free_port())
    places = {"PEACEWATCH_KAFKA_BOOTSTRAP": brokers.address, "PEACEWATCH_MONGO_URI": database.uri}
    product = Product(tmp_path, places)
    try:
        product.start_standin(**UNLIMITED)
        for command in COMMANDS:
            product.start(command)
        yield product
    finally:
        product.close()
        database.kill()


def test_topics_that_we_create_have_the_brokers_replication(brokers: Brokers) -> None:
    for name in TOPICS:
        assert {len(partition["replica_nodes"]) for partition in brokers.partitions(name)} == {3}, name
    wrong = [one for one in doctor.check(KafkaConfig(brokers.address)) if one.verdict == "wrong"]
    assert [one for one in wrong if not one.what.endswith("in sync")] == []


def test_doctor_names_an_outside_topic_with_fewer_replicas_and_replicas_that_are_away(tmp_path: Path) -> None:
    """The topic was made by somebody else, before Peacewatch came."""
    with three_brokers(tmp_path) as cluster:
        with closing(clients.admin(cluster.address)) as admin:
            config = dict(TOPICS[topics.REPORTS].all_config)
            admin.create_topics([NewTopic(topics.REPORTS, 2, replication_factor=2, topic_configs=config)])
        create_topics(cluster.address)
        found = {one.what: one for one in doctor.check(KafkaConfig(cluster.address))}
        assert not [what for what in found if what.endswith("in sync")]
        cluster.kill(NODES[-1])

        lacking: dict[str, Finding] = {}

        def has_seen_it() -> bool:
            lacking.update((one.what, one) for one in doctor.check(KafkaConfig(cluster.address)))
            return f"{topics.ALERTS}: in sync" in lacking

        wait_for(has_seen_it, WAIT_SECONDS, "the missing replica")
        assert "lack a replica" in lacking[f"{topics.ALERTS}: in sync"].said
        assert (lacking["reachable"].verdict, lacking["brokers"].said) == ("fine", f"[{NODES[-1]}] do not answer")
    assert found[f"{topics.REPORTS}: replicas"].verdict == "wrong"
    assert found[f"{topics.REPORTS}: replicas"].said.startswith("2, of which 2 must have a message; 2 partitions")
    assert "to 3 replicas" in found[f"{topics.REPORTS}: replicas"].mend
    assert found[f"{topics.ALERTS}: replicas"].verdict == "fine"


def test_every_leader_is_killed_under_load_and_nothing_is_lost_or_doubled(
    brokers: Brokers, product: Product, tmp_path: Path
) -> None:
    notes = tmp_path / "acknowledged.csv"
    running = load.start(brokers.address, notes, rate=RATE, alerts=0.02)
    product.wait(lambda: notes.exists() and notes.stat().st_size > 0, WAIT_SECONDS, "the first acknowledgement")
    led: set[tuple[str, int]] = set()
    for node in NODES:
        # All three have everything: with two of three in sync, the death of another would stop all writes.
        product.wait(lambda: brokers.in_sync(*TOPICS, "__consumer_offsets"), WAIT_SECONDS, "in sync")
        led |= {
            (topic, partition["partition_index"])
            for topic in TOPICS
            for partition in brokers.partitions(topic)
            if partition["leader_id"] == node
        }
        brokers.kill(node)
        wait_more(product, notes)
        brokers.start(node)
    assert led == {(topic, number) for topic in TOPICS for number in range(TOPICS[topic].partitions)}
    said = running.stop()
    assert said["failed"] == 0
    assert said["acknowledged"] == said["sent"]
    evidence = verdict.Evidence(brokers.address, str(tmp_path / "lake"), (notes,), tmp_path / "discord")
    found = settled(product, evidence)
    print(said, found, sep="\n")
    assert found.wrong == []
    assert found.figures["alerts_shown_again"] == 0
    product.close()
    assert_the_checker_sees(evidence, tmp_path)


def assert_the_checker_sees(evidence: verdict.Evidence, home: Path) -> None:
    """What would be wrong: a report that the broker lost, a row that landed twice, messages that are not shown."""
    with (home / "lost.csv").open("w") as notes:
        notes.write("1000000000,0,0\n")
    rows = DeltaTable(f"{evidence.lake}/reports").to_pyarrow_table().slice(0, 1)
    write_deltalake(f"{evidence.lake}/reports", rows, mode="append")
    (home / "silent").mkdir()
    (home / "silent" / "log.jsonl").write_text("")
    wrong = verdict.check(replace(evidence, notes=(home / "lost.csv",), standin=home / "silent")).wrong
    assert [re.sub(r"^\d+ |, such as.*", "", sentence) for sentence in wrong] == [
        "acknowledged reports are not on the broker where they were acknowledged",
        "offsets landed twice",
        "reports landed twice",
        "alerts are in no message of the channel",
    ]
