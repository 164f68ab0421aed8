"""Makes the archive of Java classes that a local Kafka starts from. Set-up runs it as a module.

A broker accepts one message and delivers it to a consumer group. Java then writes the classes that it loaded for that,
which are also most of those that formatting a data folder loads. If this fails, set-up continues, and Kafka starts more
slowly.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path

from kafka.errors import KafkaError

from fleet import topics
from fleet.errors import PeacewatchError, ServiceUnavailable
from infra import class_archive
from infra.java import java
from infra.kafka import clients
from infra.kafka.address import Address
from laptop import ports
from laptop.services import kafka
from laptop.services.kafka_jars import KAFKA

WORK_MS = 30_000
"""How long the broker may take to deliver the message."""


def make(program: Path, jars: Path, folder: Path = kafka.ARCHIVES) -> Path:
    """The archive for the Java `program` and Kafka's `jars` in `folder` (infra.class_archive.make)."""
    return class_archive.make(folder, kafka.archive_key(program, jars), _run, partial(_start, program, jars))


def _start(program: Path, jars: Path, archive: Path) -> list[str | Path]:
    return [program, *class_archive.options_to_require(archive), "-cp", kafka.class_path(jars), "-version"]


def _run(options: tuple[str, ...], scratch: Path) -> None:
    """Stops Java with a signal that it can handle: a killed one writes nothing."""
    broker = kafka.start(scratch, ports.free_port(), class_sharing=options)
    try:
        _work(broker.address)
    finally:
        broker.stop()


def _work(address: Address) -> None:
    kafka.create_topics(address)
    with closing(clients.producer(address)) as producer:
        producer.send(topics.REPORTS, b"{}")
        producer.flush()
    group = {"group_id": "classes", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    with closing(clients.consumer(address, **group)) as consumer:
        consumer.subscribe([topics.REPORTS])
        if not consumer.poll(timeout_ms=WORK_MS):
            raise ServiceUnavailable("Kafka does not deliver the message that it has accepted")
        consumer.commit()


def main() -> None:
    try:
        print(make(java(), KAFKA.fetch()))
    except (PeacewatchError, KafkaError, OSError) as error:
        print(f"Java's classes for Kafka are not shared, and Kafka starts more slowly: {error}")


if __name__ == "__main__":
    main()
