"""A part of the alerts' way dies: the operators are told, and told when it is over. Also while MongoDB is away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from fleet import actions
from fleet.actions import Action, Target
from tests.alert_stack import UNLIMITED, AlertStack, alert_stack


@pytest.fixture
def stack(tmp_path: Path, free_port: int) -> Iterator[AlertStack]:
    nowhere = "mongodb://127.0.0.1:1/peacewatch?serverSelectionTimeoutMS=500"
    environ = {"PEACEWATCH_MONGO_URI": nowhere, "PEACEWATCH_ALERT_METRICS_PORT": str(free_port)}
    with alert_stack(tmp_path, **environ) as running:
        running.limits(**UNLIMITED)
        for command in ("alerting", "notify", "record"):
            running.start(command)
        yield running


def said(stack: AlertStack) -> str:
    """What the operators' channel shows."""
    return str([m["embeds"] for m in stack.messages() if m["webhook"] == "3"])


def metrics(stack: AlertStack) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{stack.environ['PEACEWATCH_ALERT_METRICS_PORT']}/metrics").text
    except httpx.HTTPError:
        return ""


def test_a_killed_notifier_is_missed(stack: AlertStack) -> None:
    stack.alarm(1)
    stack.wait(lambda: stack.told == 1)
    stack.wait(lambda: 'peacewatch_alerts_untold{webhook="alerts"} 0.0' in metrics(stack))
    stack.kill("notify")
    stack.wait(lambda: "No notifier process has given a sign" in said(stack))
    stack.wait(lambda: 'peacewatch_alert_path_troubles{trouble="notifier stopped"} 1.0' in metrics(stack))
    stack.start("notify")
    stack.wait(lambda: "Over: notifier stopped" in said(stack))


def test_an_acknowledgement_shows_in_the_message(stack: AlertStack) -> None:
    stack.alarm(1)
    stack.wait(lambda: len(stack.read("deliveries")) == 1)
    incident = stack.read("deliveries")[0]["incidents"][0]["incident_id"]
    action = Action("a1", "acknowledge", Target(incident), "Mia", datetime.now(UTC), "on my way")
    stack.producer.send("operator-actions", actions.encode(action), key=incident.encode())
    stack.producer.flush()
    stack.wait(lambda: "Mia" in str(stack.messages()))
    assert stack.told == 1
