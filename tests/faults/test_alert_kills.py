"""Alerting and notifier killed, frozen and cut off: after it, every alert is told; at most repeated, never missing."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.alert_stack import UNLIMITED, AlertStack, alert_stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[AlertStack]:
    with alert_stack(tmp_path) as running:
        running.limits(**UNLIMITED)
        yield running


def check(stack: AlertStack, repeats: bool) -> None:
    """Every report with the flag raised its alert, and every alert is in a delivery, and in the channel."""
    raised = {alert["alert_id"] for alert in stack.read("alerts")}
    assert raised == {f"unrest/d{n % 97}/r{n}" for n in range(stack.sent)}
    stack.wait(lambda: set(stack.delivered_ids()) == raised)
    delivered = stack.delivered_ids()
    assert len(delivered) == len(raised)  # a repeated message repeats no delivery
    stack.wait(lambda: stack.told >= stack.sent)
    if not repeats:
        assert stack.told == stack.sent


def test_killed_while_a_message_is_on_its_way(stack: AlertStack) -> None:
    """Between the call and its delivery: Discord has it, nobody has written that down."""
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(1)
    stack.wait(lambda: stack.told == 1)
    stack.fail("slow", seconds=5)
    before = len(stack.log())
    stack.alarm(30)
    stack.wait(lambda: len(stack.log()) > before)
    stack.kill("notify")
    stack.start("notify")
    check(stack, repeats=True)


def test_killed_while_discord_is_away(stack: AlertStack) -> None:
    stack.fail("502", times=-1)
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(40)
    stack.wait(lambda: len(stack.log()) > 2)
    stack.kill("notify")
    stack.control.post("/control/reset")
    stack.limits(**UNLIMITED)
    stack.start("notify")
    check(stack, repeats=False)


def test_killed_before_its_alerts_are_acknowledged(stack: AlertStack) -> None:
    """The broker is frozen while reports are judged; alerting dies with alerts that nobody has."""
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(10)
    stack.wait(lambda: stack.told == 10)
    stack.alarm(200)
    os.kill(stack.broker.pid, signal.SIGSTOP)
    stack.kill("alerting")
    os.kill(stack.broker.pid, signal.SIGCONT)
    stack.start("alerting")
    stack.wait(lambda: stack.told >= 210)
    check(stack, repeats=False)


def test_a_frozen_notifier_wakes_and_sends_nothing(stack: AlertStack) -> None:
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(1)
    stack.wait(lambda: len(stack.delivered_ids()) == 1)
    stack.signal("notify", signal.SIGSTOP)
    stack.start("notify", "second")
    stack.alarm(5)
    stack.wait(lambda: stack.told == 6)
    stack.alarm(5)
    stack.signal("notify", signal.SIGCONT)
    stack.wait(lambda: stack.told == 11)
    check(stack, repeats=False)
    first = (stack.home / "log" / "notify.log").read_text()
    stack.wait(lambda: "gives way" in (stack.home / "log" / "notify.log").read_text())
    assert first.count("event=active") == 1


def test_the_broker_is_killed_and_comes_back(stack: AlertStack) -> None:
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(20)
    stack.wait(lambda: stack.told == 20)
    stack.restart_broker()
    stack.alarm(20)
    stack.wait(lambda: stack.told >= 40, seconds=150)
    check(stack, repeats=True)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(6, marks=pytest.mark.timeout(600)),
        pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(7200)]),
    ],
)
def test_killed_at_random(stack: AlertStack, kills: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for name in ("alerting", "notify"):
        stack.start(name)
    for _ in range(kills):
        stack.alarm(chance.randrange(1, 60), places=40)
        time.sleep(chance.uniform(0, 12))  # the moment of the kill, not a wait for something
        victim = chance.choice(["alerting", "notify"])
        stack.kill(victim)
        stack.start(victim)
    stack.wait(lambda: len(set(stack.delivered_ids())) == stack.sent, seconds=120)
    check(stack, repeats=True)
