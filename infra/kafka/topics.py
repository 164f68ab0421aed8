"""The topics, with the settings that their contracts promise (docs/contracts.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import AuthorizationError, TopicAlreadyExistsError, TopicAuthorizationFailedError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from fleet import topics
from fleet.errors import BadSettings
from infra.kafka import clients
from infra.kafka.address import Address
from infra.kafka.failures import sentence
from infra.retry import NotReady

_BROKER_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
_FOR_EVER: Final = {"retention.ms": "-1", "retention.bytes": "-1"}
_DAY_MS: Final = 24 * 3600 * 1000
_MIB: Final = 1024 * 1024

REPORT_BYTES: Final = 1 * _MIB
"""The largest message of `reports`. The broker refuses a larger one, so no consumer meets it."""

REJECTED_BYTES: Final = 2 * _MIB
"""A rejected message is the original one, however large, and its headers."""


KNOWN_SECONDS: Final = 5.0
"""A new topic is known to all brokers of a cluster before this: they learn of it one by one, each in its own time."""


@dataclass(frozen=True)
class TopicSettings:
    """Partitions of the local topic (an outside Kafka may have more), and its configuration but for the time."""

    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_config(self) -> dict[str, str]:
        return {**_BROKER_TIME, **self.config}


TOPICS: Final[Mapping[str, TopicSettings]] = {
    # Old reports are in the lake. A week covers an outage of landing; the size keeps a laptop's disk.
    topics.REPORTS: TopicSettings(
        6,
        {
            "retention.ms": str(7 * _DAY_MS),
            "retention.bytes": str(4096 * _MIB),
            "segment.bytes": str(128 * _MIB),
            "max.message.bytes": str(REPORT_BYTES),
        },
    ),
    topics.REJECTED: TopicSettings(1, {**_FOR_EVER, "max.message.bytes": str(REJECTED_BYTES)}),
    topics.ALERTS: TopicSettings(6, _FOR_EVER),
    topics.OPERATOR_ACTIONS: TopicSettings(1, {"retention.ms": str(90 * _DAY_MS), "retention.bytes": "-1"}),
    # A digest's delivery lists every alert that it counts.
    topics.DELIVERIES: TopicSettings(1, {**_FOR_EVER, "max.message.bytes": str(8 * _MIB)}),
    # The rules' state, by input partition. Small segments: only closed ones are compacted.
    topics.ALERT_STATE: TopicSettings(
        6,
        {
            "cleanup.policy": "compact",
            "min.cleanable.dirty.ratio": "0.1",
            "segment.bytes": str(16 * _MIB),
            "segment.ms": str(3600 * 1000),
            "max.message.bytes": str(8 * _MIB),
        },
    ),
}


def create_topics(bootstrap: Address, wanted: Mapping[str, TopicSettings] = TOPICS) -> None:
    """Creates the missing topics and waits until each has leaders.

    An existing topic is left as it is, but must have the broker's time: BadSettings names it and what to change, or
    what Kafka does not allow us.
    """
    with closing(clients.admin(bootstrap)) as admin:
        try:
            _create(admin, wanted)
            check_times(admin, list(wanted))
        except AuthorizationError as error:
            raise BadSettings(sentence(error)) from None


def id_of(admin: KafkaAdminClient, name: str) -> str | None:
    """None while there is no such topic. Raises KafkaError, also if ACLs hide it from us."""
    for described in admin.describe_topics([name]):
        if described["error_code"] == 0:
            return str(described["topic_id"])
        if described["error_code"] == TopicAuthorizationFailedError.errno:
            raise TopicAuthorizationFailedError({name})
    return None


def require_id(admin: KafkaAdminClient, name: str) -> str:
    """Raises NotReady while there is no such topic, KafkaError as `id_of` does."""
    found = id_of(admin, name)
    if found is None:
        raise NotReady(f"the topic {name} is not there yet")
    return found


def missing(bootstrap: Address, name: str) -> NotReady:
    """The error to raise if a topic shows no partitions. Raises KafkaError itself if ACLs hide it from us."""
    with closing(clients.admin(bootstrap)) as admin:
        id_of(admin, name)
    return NotReady(f"the topic {name} is not there yet")


def configs_of(admin: KafkaAdminClient, names: Sequence[str], *keys: str) -> dict[str, dict[str, str]]:
    """These settings of the topics, by topic and key. Raises KafkaError, also if ACLs hide them from us."""
    if not names:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(keys)) for name in names]
    described = admin.describe_configs(asked, config_filter="all").get("topic", {})
    # The client leaves out why a topic has no answer; the only reason for one that the broker knows is its ACL.
    if hidden := {name for name in names if set(keys) - described.get(name, {}).keys()}:
        raise TopicAuthorizationFailedError(hidden)
    return {name: {key: described[name][key]["value"] for key in keys} for name in names}


def _create(admin: KafkaAdminClient, wanted: Mapping[str, TopicSettings]) -> None:
    for name in wanted.keys() - set(admin.list_topics()):
        settings = wanted[name]
        created = {name: {"num_partitions": settings.partitions, "configs": settings.all_config}}
        try:
            admin.create_topics(created)
        except TopicAlreadyExistsError:
            continue  # another process was faster
        except TopicAuthorizationFailedError:
            raise TopicAuthorizationFailedError({name}) from None
    admin.wait_for_topics(list(wanted), timeout_ms=30_000)


@retry(
    # A topic that the broker does not know yet looks like one that ACLs hide.
    retry=retry_if_exception_type(TopicAuthorizationFailedError),
    stop=stop_after_delay(KNOWN_SECONDS),
    wait=wait_fixed(0.2),
    reraise=True,
)
def check_times(admin: KafkaAdminClient, names: Sequence[str]) -> None:
    """Raises BadSettings if one of the topics has not the broker's time, KafkaError if ACLs hide it from us."""
    key, value = next(iter(_BROKER_TIME.items()))
    for name, config in configs_of(admin, names, key).items():
        actual = config[key]
        if actual != value:
            raise BadSettings(
                f"topic {name}: {key} is {actual}, and must be {value}; set it with kafka-configs --alter"
            )
