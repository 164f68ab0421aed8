"""The topics, with the settings that their contracts promise (docs/contracts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from fleet import topics
from fleet.errors import BadSettings
from infra.kafka import clients
from infra.kafka.config import Address

_BROKER_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
_FOR_EVER: Final = {"retention.ms": "-1", "retention.bytes": "-1"}
_DAY_MS: Final = 24 * 3600 * 1000
_MIB: Final = 1024 * 1024

REPORT_BYTES: Final = 1 * _MIB
"""The largest message of `reports`. The broker refuses a larger one, so no consumer meets it."""

REJECTED_BYTES: Final = 2 * _MIB
"""A rejected message is the original one, however large, and its headers."""


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
    """Creates the topics that are not there yet and waits until each has leaders.

    An existing topic is left as it is, but must have the broker's time: BadSettings names it and what to change.
    """
    with closing(clients.admin(bootstrap)) as admin:
        for name in wanted.keys() - set(admin.list_topics()):
            settings = wanted[name]
            created = {name: {"num_partitions": settings.partitions, "configs": settings.all_config}}
            try:
                admin.create_topics(created)
            except TopicAlreadyExistsError:
                continue  # another process was faster
        admin.wait_for_topics(list(wanted), timeout_ms=30_000)
        _check_times(admin, list(wanted))


def _check_times(admin: KafkaAdminClient, names: list[str]) -> None:
    key, value = next(iter(_BROKER_TIME.items()))
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, {key: None}) for name in names]
    described = admin.describe_configs(asked, config_filter="all")["topic"]
    for name in names:
        actual = described[name][key]["value"]
        if actual != value:
            raise BadSettings(
                f"topic {name}: {key} is {actual}, and must be {value}; set it with kafka-configs --alter"
            )
