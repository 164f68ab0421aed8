"""A real Apache Kafka on this machine: one node, broker and controller in one process (KRaft)."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kafka.errors import KafkaError

from fleet.errors import MissingPart
from infra import class_archive
from infra.jars import SHARE
from infra.java import java
from infra.kafka import clients
from infra.kafka.address import Address, config
from infra.kafka.topics import create_topics
from laptop import ports
from laptop.services.kafka_jars import KAFKA
from laptop.supervision import environment, processes

__all__ = [
    "ARCHIVES",
    "START_SECONDS",
    "Broker",
    "archive_key",
    "class_path",
    "create_topics",
    "prepare",
    "ready",
    "start",
]

ARCHIVES: Final = SHARE / "kafka-classes"
"""Where set-up puts the archive of classes that a start maps (laptop.services.make_kafka_archive)."""

START_SECONDS: Final = 90.0
"""The first start on a loaded machine may take this long."""

_JAVA_OPTIONS: Final = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)

# One node: every replication factor is 1. The cleaner's buffer is small: few compacted topics, little memory.
# After a crash the node waits for its old session to time out before it takes part again: 4 s, not the usual 9.
_PROPERTIES: Final = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=6
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=6
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=2097152
log.cleaner.backoff.ms=5000
"""


@dataclass(frozen=True)
class Broker(processes.ServerProcess):
    """A running broker. `address` is what clients call bootstrap."""

    address: str


def start(
    home: Path,
    port: int,
    host: str = "127.0.0.1",
    *,
    log: Path | None = None,
    class_sharing: tuple[str, ...] | None = None,
) -> Broker:
    """Starts the broker whose data lies in `home`/kafka and returns when it answers.

    Its log is `log`, or `home`/log/kafka.log. `class_sharing` are Java's options for sharing classes; None uses the
    matching archive. Raises ServiceUnavailable if the port is in use or the broker does not start, MissingPart without
    Java.
    """
    ports.require_free("Kafka", port, host, "PEACEWATCH_KAFKA_PORT")
    log = (log or home / "log" / "kafka.log").resolve()
    command = prepare(home, port, host, log, class_sharing)
    broker = Broker(
        processes.start("Kafka", command, log, inherit=environment.for_third_party(os.environ)), f"{host}:{port}"
    )
    broker.child.wait_ready(lambda: ready(broker.address), START_SECONDS)
    return broker


def prepare(home: Path, port: int, host: str, log: Path, class_sharing: tuple[str, ...] | None = None) -> list[str]:
    """Writes the settings, formats the data folder when it is new, and returns the command that runs the broker.

    `class_sharing`: see `start`.
    """
    folder = (home / "kafka").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    properties = folder / "server.properties"
    written = _PROPERTIES.format(host=host, port=port, controller_port=ports.free_port(host), data=folder / "data")
    properties.write_text(written, encoding="utf-8")
    jars = KAFKA.fetch()
    program = java()
    if class_sharing is None:
        class_sharing = class_archive.options(class_archive.find(ARCHIVES, archive_key(program, jars)))
    jvm = [str(program), *_JAVA_OPTIONS, *class_sharing, "-cp", class_path(jars)]
    if not (folder / "data" / "meta.properties").exists():
        _format(jvm, properties, log)
    return [*jvm, "kafka.Kafka", str(properties)]


def archive_key(program: Path, jars: Path) -> str:
    """Names the archive of Kafka's classes for the Java `program` and the folder `jars`."""
    return class_archive.key(program, class_archive.jars_in(jars))


def class_path(jars: Path) -> str:
    """Every jar in the folder, in Java's notation."""
    return f"{jars}{os.sep}*"


def reachable(address: Address) -> bool:
    """Whether any broker of `address` accepts connections: cheaper to ask than by a client, and it logs nothing."""
    return any(ports.answers(port, host) for host, port in config(address).brokers)


def ready(address: Address) -> bool:
    """Whether the Kafka at `address` answers a question about its cluster."""
    if not reachable(address):
        return False
    try:
        admin = clients.admin(address, request_timeout_ms=5000)
        try:
            return bool(admin.describe_cluster()["brokers"])
        finally:
            admin.close()
    except KafkaError:
        return False


def _format(jvm: list[str], properties: Path, log: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # With "=", because an id may start with "-" and would then be taken for an option.
    command = [*jvm, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties)]
    with processes.open_log(log) as out:
        result = subprocess.run(  # noqa: S603
            command, stdout=out, stderr=subprocess.STDOUT, env=environment.for_third_party(os.environ), check=False
        )
    if result.returncode:
        raise MissingPart(f"Kafka cannot format its data folder {properties.parent}; its log is {log}")
