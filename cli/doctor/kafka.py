"""Kafka: whether it is reachable, its brokers, and each of our topics against its contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from contextlib import closing
from typing import Any, Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from cli.doctor.finding import Finding, fine, unknown, verdict, wrong
from fleet import topics
from infra.kafka import clients, failures
from infra.kafka.address import KafkaConfig
from infra.kafka.topics import TOPICS

PART: Final = "Kafka"
REPLICAS: Final = 3
"""With min.insync.replicas 2, one broker may be down: nothing is lost and everything continues."""

OLDEST: Final = (2, 8)
"""Topics have ids since then; the lake names its partitions by them."""

OUTAGE_MS: Final = 3 * 24 * 3600 * 1000
"""Reports must outlive the longest outage of landing: a weekend, and the Monday on which somebody notices."""

_KEYS: Final = ("message.timestamp.type", "min.insync.replicas", "retention.ms", "cleanup.policy")
_ANSWER_MS: Final = 10_000


def check(kafka: KafkaConfig, replicas: int = REPLICAS) -> Iterator[Finding]:
    """The findings. `replicas`: how many each topic should have, 1 on a laptop. Raises nothing if Kafka fails."""
    try:
        with closing(clients.admin(kafka, request_timeout_ms=_ANSWER_MS, bootstrap_timeout_ms=_ANSWER_MS)) as admin:
            yield from _cluster(admin)
            yield from _topics(admin, replicas)
    except KafkaError as error:
        mend = "check PEACEWATCH_KAFKA_BOOTSTRAP, the other PEACEWATCH_KAFKA settings, and the broker's log"
        yield wrong(PART, "reachable", failures.sentence(error) or type(error).__name__, mend)


def _cluster(admin: KafkaAdminClient) -> Iterator[Finding]:
    brokers = admin.describe_cluster()["brokers"]
    yield fine(PART, "reachable", f"{len(brokers)} broker{'s' * (len(brokers) != 1)}")
    versions: set[tuple[int, ...]] = set()
    away: list[int] = []
    for node in sorted(broker["broker_id"] for broker in brokers):
        try:
            versions.add(tuple(admin.get_broker_version_data(node).broker_version))
        except KafkaError:  # the others still say how the topics are
            away.append(node)
    if away:
        yield wrong(PART, "brokers", f"{away} do not answer", "start them, or check their logs and the network")
    if versions:
        yield version(versions)


def version(versions: Set[tuple[int, ...]]) -> Finding:
    """Whether all brokers are new enough. `versions`: theirs, as far as their protocol shows."""
    said = " and ".join(".".join(map(str, each)) for each in sorted(versions))
    return verdict(
        PART,
        "version",
        min(versions) >= OLDEST,
        f"{said} or newer",
        f"use Kafka {OLDEST[0]}.{OLDEST[1]} or newer: topics of older ones have no ids",
    )


def allowed(name: str, operations: Set[str]) -> Finding:
    """Whether the user in the settings may read or write a topic, as our processes do."""
    return verdict(
        PART,
        f"{name}: allowed",
        bool(operations & {"READ", "WRITE"}),
        ", ".join(sorted(operation.lower() for operation in operations)) or "nothing",
        "give PEACEWATCH_KAFKA_USER the ACLs of its process, by docs/kafka-security.md",
    )


def _topics(admin: KafkaAdminClient, replicas: int) -> Iterator[Finding]:
    visible = set(admin.list_topics())
    for name in TOPICS:
        if name not in visible:
            mend = "`peacewatch kafka-setup` creates it; if it exists, give the user its ACLs"
            yield unknown(PART, f"topic {name}", f"is missing, or hidden from this user: {mend}")
    names = [name for name in TOPICS if name in visible]
    described = {topic["name"]: topic for topic in admin.describe_topics(names)} if names else {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(_KEYS)) for name in names]
    configs = admin.describe_configs(resources, config_filter="all")["topic"] if names else {}
    for name in names:
        yield allowed(name, set(described[name]["authorized_operations"]))
        config = configs.get(name, {})
        if set(_KEYS) - config.keys():  # as for the user of a process that does not need them
            hidden = "the user may not see them: give it DESCRIBE_CONFIGS, or run doctor as an administrator"
            yield unknown(PART, f"{name}: settings", hidden)
            continue
        yield from _topic(name, described[name], {key: config[key]["value"] for key in _KEYS}, replicas)


def _topic(name: str, topic: Mapping[str, Any], config: Mapping[str, str], replicas: int) -> Iterator[Finding]:
    alter = f"kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config"
    kind = config["message.timestamp.type"]
    yield verdict(
        PART,
        f"{name}: the broker's time",
        kind == "LogAppendTime",
        kind,
        f"{alter} message.timestamp.type=LogAppendTime",
    )
    partitions = topic["partitions"]
    fewest = min(len(partition["replica_nodes"]) for partition in partitions)
    yield verdict(
        PART,
        f"{name}: replicas",
        fewest >= replicas and int(config["min.insync.replicas"]) >= replicas - 1,
        f"{fewest}, of which {config['min.insync.replicas']} must have a message; {len(partitions)} partitions",
        f"nothing is safe once a broker fails: kafka-reassign-partitions.sh to {replicas} replicas, then"
        f" {alter} min.insync.replicas={replicas - 1}",
    )
    behind = [
        partition["partition_index"]
        for partition in partitions
        if len(partition["isr_nodes"]) < len(partition["replica_nodes"])
    ]
    if behind:
        yield wrong(PART, f"{name}: in sync", f"partitions {behind} lack a replica", "check the brokers' logs")
    if name == topics.REPORTS:
        kept = int(config["retention.ms"])
        yield verdict(
            PART,
            f"{name}: kept for",
            kept < 0 or kept >= OUTAGE_MS,
            "ever" if kept < 0 else f"{kept / 3_600_000:.0f} hours",
            f"a longer outage of landing loses reports: {alter} retention.ms={OUTAGE_MS}",
        )
