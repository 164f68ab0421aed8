"""What a refusal of Kafka's is called in a sentence for people."""

from __future__ import annotations

import pytest
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from infra.kafka.failures import sentence

COORDINATOR = "FindCoordinatorResponse error for GROUP/peacewatch-alerting: "


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (TopicAuthorizationFailedError({"reports", "alerts"}), "the topic: alerts, reports"),
        (GroupAuthorizationFailedError("peacewatch-alerting"), "the consumer group: peacewatch-alerting"),
        (GroupAuthorizationFailedError(COORDINATOR), "the consumer group: peacewatch-alerting"),
        (GroupAuthorizationFailedError(COORDINATOR + "None"), "the consumer group: peacewatch-alerting"),
        (GroupAuthorizationFailedError(), "the consumer group: GroupAuthorizationFailedError"),
    ],
)
def test_missing_acl_names_its_resource(error: KafkaError, what: str) -> None:
    said = f"Kafka's ACLs do not let us use {what} (docs/kafka-security.md lists them)"
    assert sentence(error) == said
