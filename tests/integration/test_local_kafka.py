"""The local Kafka keeps what it acknowledged, whatever ends it, and leaves no process behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from fleet import topics
from fleet.errors import BadSettings, ServiceUnavailable
from infra.kafka import clients
from infra.kafka.topics import REPORT_BYTES, TOPICS, TopicSettings
from laptop import ports
from laptop.services import kafka as local
from tests.support.slow import slow


@pytest.fixture
def brokers(tmp_path: Path) -> Iterator[list[local.Broker]]:
    """Brokers that a test starts; what it leaves is killed."""
    started: list[local.Broker] = []
    yield started
    for broker in started:
        broker.kill()


def send(address: str, topic: str, values: list[bytes]) -> None:
    producer = clients.producer(address, acks="all")
    sent = [producer.send(topic, value) for value in values]
    for each in sent:
        each.get(timeout=30)
    producer.close()


def read_all(address: str, topic: str) -> list[bytes]:
    consumer = clients.consumer(address, enable_auto_commit=False)
    partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    end = consumer.end_offsets(partitions)
    values: list[bytes] = []
    while any(consumer.position(p) < end[p] for p in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            values += [record.value for record in records]
    consumer.close()
    return values


@pytest.mark.parametrize("end", [*slow("stop"), "kill"])
def test_acknowledged_messages_survive_the_end_of_the_broker(
    tmp_path: Path, brokers: list[local.Broker], end: str
) -> None:
    values = [b"%d" % number for number in range(1000)]
    brokers.append(local.start(tmp_path, ports.free_port()))
    local.create_topics(brokers[0].address)
    send(brokers[0].address, topics.REPORTS, values)

    getattr(brokers[0], end)()
    assert not psutil.pid_exists(brokers[0].pid)

    brokers.append(local.start(tmp_path, ports.free_port()))  # another port: the data does not mind
    assert sorted(read_all(brokers[1].address, topics.REPORTS)) == sorted(values)
    brokers[1].stop()
    assert not psutil.pid_exists(brokers[1].pid)


def test_topics_have_the_settings_of_their_contracts(kafka: str) -> None:
    local.create_topics(kafka)
    local.create_topics(kafka)  # again: nothing to do

    admin = clients.admin(kafka)
    described = admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name, None) for name in TOPICS], config_filter="all"
    )["topic"]
    partitions = {each["name"]: len(each["partitions"]) for each in admin.describe_topics(list(TOPICS))}
    admin.close()
    for name, settings in TOPICS.items():
        assert {key: described[name][key]["value"] for key in settings.all_config} == dict(settings.all_config)
        assert described[name]["message.timestamp.type"]["value"] == "LogAppendTime"
    assert partitions == {name: settings.partitions for name, settings in TOPICS.items()}
    assert int(TOPICS[topics.REJECTED].config["max.message.bytes"]) > REPORT_BYTES


def test_a_topic_with_the_producers_time_is_refused(kafka: str) -> None:
    admin = clients.admin(kafka)
    admin.create_topics({"own-time": {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    with pytest.raises(BadSettings, match=r"topic own-time: message.timestamp.type is CreateTime"):
        local.create_topics(kafka, {"own-time": TopicSettings(1)})


def test_a_taken_port_is_one_sentence(tmp_path: Path, kafka: str) -> None:
    port = int(kafka.rpartition(":")[2])
    with pytest.raises(ServiceUnavailable, match=rf"Kafka cannot use port {port} .*; set PEACEWATCH_KAFKA_PORT"):
        local.start(tmp_path, port)
