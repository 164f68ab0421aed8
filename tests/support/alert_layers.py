"""Alerting and notifier as threads of a test, on topics of its own, and a channel that counts what it is sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from fleet import topics
from fleet.alerts.rules import Rules, UnrestRule
from fleet.notifications.incident import Intervals
from fleet.reports import report as reports
from fleet.reports.report import Citizen, Report
from infra.kafka import clients
from speed_layer.alerting import alerter
from speed_layer.notifying import notifier
from speed_layer.notifying.discord.webhook import Webhook
from speed_layer.notifying.sender import Sender
from tests.support.kafka_messages import messages


class Channel:
    """What a channel shows: the newest form of each message. Takes 30 requests a minute, like the real one."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}
        self.posts = 0
        self.refusals = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        assert body["allowed_mentions"] == {"parse": []}
        if request.method == "POST":
            self.posts += 1
            message_id = str(self.posts)
        else:
            message_id = request.url.path.rsplit("/", 1)[1]
            if message_id not in self.messages:
                return httpx.Response(404, json={"code": 10008, "message": "Unknown Message"})
        self.messages[message_id] = body
        return httpx.Response(200, json={"id": message_id})

    @property
    def notified(self) -> int:
        return sum(
            int(field["value"])
            for message in self.messages.values()
            for embed in message["embeds"]
            for field in embed["fields"]
            if field["name"] == "Alerts"
        )

    def sender(self) -> Sender:
        client = httpx.Client(transport=httpx.MockTransport(self.handle))
        url = "http://discord.test/api/webhooks/1/secret"
        return Sender(lambda: url, "http://page", time.monotonic, connect=lambda at: Webhook(at, client))


BEGAN = datetime.now(UTC)


def report(number: int, alert: bool = True, city: str = "Hamburg", battery: float = 60.0) -> Report:
    return Report(
        report_id=f"r{number}",
        drone_id=f"d{number % 7}",
        reported_at=BEGAN + timedelta(milliseconds=number),  # a duplicate has the same
        latitude=53.55,
        longitude=9.99,
        battery=battery,
        citizens=[Citizen("Ada *Lovelace* @everyone", 2)],
        message="https://evil.example shouting",
        alert=alert,
        country="Germany",
        city=city,
    )


def made_names(topic: Callable[..., str]) -> dict[str, str]:
    """Topics of one test's own."""
    return {
        "reports": topic(topics.REPORTS),
        "alerts": topic(topics.ALERTS),
        "state": topic(topics.ALERT_STATE),
        "deliveries": topic(topics.DELIVERIES, 1),
        "actions": topic(topics.OPERATOR_ACTIONS, 1),
    }


def configs(kafka: str, names: dict[str, str]) -> tuple[alerter.AlertingConfig, notifier.NotifierConfig]:
    group = names["reports"]
    return (
        alerter.AlertingConfig(
            kafka,
            Rules(unrest=UnrestRule()),
            group=f"a-{group}",
            reports=names["reports"],
            alerts=names["alerts"],
            state=names["state"],
        ),
        notifier.NotifierConfig(
            kafka,
            Intervals(),
            group=f"n-{group}",
            alerts=names["alerts"],
            deliveries=names["deliveries"],
            actions=names["actions"],
            state=names["state"],
        ),
    )


def send(kafka: str, topic: str, *values: bytes | Report) -> None:
    producer = clients.producer(kafka)
    for value in values:
        if isinstance(value, Report):
            producer.send(topic, reports.encode(value), key=value.drone_id.encode())
        else:
            producer.send(topic, value, key=b"?")
    producer.flush()
    producer.close()


def read(kafka: str, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in messages(kafka, topic)]


def keys(kafka: str, topic: str) -> set[str]:
    return {record.key.decode() for record in messages(kafka, topic)}
