"""The speed layer's commands as shipped, together, while MongoDB is away: two webhooks, rejected messages, metrics,
status, and the dead-man's switch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from fleet.notifications import actions
from fleet.notifications.actions import Action, Target
from laptop import ports
from tests.support.alert_stack import UNLIMITED, AlertStack, alert_stack, alerts_of, report

LANDING, ALERTS = "PEACEWATCH_LANDING_METRICS_PORT", "PEACEWATCH_ALERT_METRICS_PORT"
SEVERE, OPERATORS = "2", "3"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertStack]:
    discord = ports.free_port()
    environ = {
        "PEACEWATCH_MONGO_URI": "mongodb://127.0.0.1:1/peacewatch?serverSelectionTimeoutMS=500",
        "PEACEWATCH_SEVERE_WEBHOOK_URL": f"http://127.0.0.1:{discord}/api/webhooks/2/severe",
        LANDING: str(ports.free_port()),
        ALERTS: str(ports.free_port()),
    }
    with alert_stack(tmp_path_factory.mktemp("commands"), discord, **environ) as running:
        running.limits(**UNLIMITED)
        for command in ("alerting", "notify", "record", "land"):
            running.start(command)
        yield running


def channel(stack: AlertStack, webhook: str) -> list[dict[str, Any]]:
    return [message for message in stack.messages() if message["webhook"] == webhook]


def metrics(stack: AlertStack, port: str) -> set[str]:
    """The lines that Prometheus gets."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{stack.environ[port]}/metrics")
    except httpx.HTTPError:
        return set()
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return set(answer.text.splitlines())


def peacewatch(stack: AlertStack, *arguments: object) -> str:
    """What a command prints that ends by itself."""
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    finished = subprocess.run(command, env={**os.environ, **stack.environ}, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_a_second_webhook_takes_the_severe_and_only_these(stack: AlertStack) -> None:
    stack.alarm(6, places=2, score=2)
    stack.alarm(4, places=2, score=3)
    stack.wait(lambda: len(stack.delivered_ids()) == stack.sent)
    stack.wait(lambda: stack.notified == stack.sent)
    assert sum(alerts_of(message) for message in channel(stack, SEVERE)) == 6
    assert len(set(stack.delivered_ids())) == stack.sent
    assert {delivery["webhook"] for delivery in stack.read("deliveries")} == {"alerts", "severe"}


def test_an_acknowledgement_shows_in_the_message(stack: AlertStack) -> None:
    stack.send([report(stack.sent, city="Acknowledged")])
    stack.sent += 1
    stack.wait(lambda: len(stack.delivered_ids()) == stack.sent)
    [incident] = [one for d in stack.read("deliveries") for one in d["incidents"] if one["city"] == "Acknowledged"]
    action = Action("a1", "acknowledge", Target(incident["incident_id"]), "Mia", datetime.now(UTC), "on my way")
    stack.producer.send("operator-actions", actions.encode(action), key=incident["incident_id"].encode())
    stack.producer.flush()
    stack.wait(lambda: "Mia" in str(stack.messages()))
    assert stack.notified == stack.sent


def test_rejected_messages_are_listed_corrected_and_replayed(stack: AlertStack) -> None:
    """`peacewatch rejects`, and what landing's metrics say of it."""
    broken = report(5007, alert=False, battery=101)
    stack.send([broken])
    stack.wait(lambda: 'peacewatch_landing_rejects_total{reason="not a report"} 1.0' in metrics(stack, LANDING))
    [line] = peacewatch(stack, "rejects", "list", "--reason", "not a report").splitlines()
    message = json.loads(line)
    assert (json.loads(message["value"]), message["key"]) == (broken, broken["drone_id"])
    assert message["headers"].items() >= {"reason": "not a report", "topic": "reports"}.items()
    assert peacewatch(stack, "rejects", "list", "--reason", "too old") == ""
    mended = stack.home / "mended.jsonl"
    mended.write_text(line.replace("101", "99"))
    assert peacewatch(stack, "rejects", "replay", mended) == "1 rejected messages replayed\n"
    landed = f"peacewatch_landing_reports_total {stack.sent + 1:.1f}"
    stack.wait(lambda: landed in metrics(stack, LANDING))
    assert peacewatch(stack, "rejects", "replay") == "1 rejected messages replayed\n"
    stack.wait(lambda: 'peacewatch_landing_rejects_total{reason="not a report"} 2.0' in metrics(stack, LANDING))


def test_a_killed_notifier_is_missed(stack: AlertStack) -> None:
    """The operators' webhook, the metrics and `status` say so, and when it is over."""
    stack.wait(lambda: 'peacewatch_alerts_untold{webhook="alerts"} 0.0' in metrics(stack, ALERTS))
    stack.wait(lambda: 'peacewatch_consumer_lag{group="peacewatch-alerting"} 0.0' in metrics(stack, ALERTS))
    stack.kill("notify")
    stack.wait(lambda: "No notifier process has given a sign" in str(channel(stack, OPERATORS)))
    stack.wait(lambda: 'peacewatch_alert_path_troubles{trouble="notifier stopped"} 1.0' in metrics(stack, ALERTS))
    status = json.loads(peacewatch(stack, "status", "--json"))
    assert "No notifier process has given a sign since" in status["troubles"]["notifier stopped"]
    assert "No notifier process has given a sign since" in peacewatch(stack, "status")
    assert status["away"].keys() == {"mongo"}
    stack.start("notify")
    stack.wait(lambda: "Over: notifier stopped" in str(channel(stack, OPERATORS)))
