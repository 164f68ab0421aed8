"""Alerting and notifier killed, frozen and cut off: every alert is notified, at most repeated, never missing."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from fleet import identity
from laptop.supervision.processes import Child
from tests.support.alert_stack import UNLIMITED, AlertStack, alert_stack
from tests.support.slow import slow

SEED = int(os.environ.get("PEACEWATCH_TEST_SEED") or time.time())
"""Read when the file is, for no setting reaches a test."""

OFTEN = {"PEACEWATCH_INCIDENT_UPDATE_SECONDS": "0.2"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertStack]:
    with alert_stack(tmp_path_factory.mktemp("kills"), **OFTEN) as stack:
        yield stack


@pytest.fixture
def stack(running: AlertStack) -> Iterator[AlertStack]:
    """No command of the alert pipeline runs. After each test nothing is pending; what was repeated stays shown."""
    running.control.post("/control/reset")
    running.limits(**UNLIMITED)
    running.repeated = running.notified - running.sent
    yield running
    for name in running.running.keys() - {"discord-standin"}:
        running.running.pop(name).stop()


def has_ended(child: Child) -> bool:
    return not child.alive


def has_notified(stack: AlertStack, alerts: int) -> bool:
    return stack.notified >= alerts


def check(stack: AlertStack, repeats: bool) -> None:
    """Every report with the flag raised its alert, and every alert is in a delivery, and in the channel."""
    stack.wait(lambda: stack.notified >= stack.sent + stack.repeated)
    raised = {alert["alert_id"] for alert in stack.read("alerts")}
    assert {identity.split(name)[:3] for name in raised} == {
        ("unrest", f"d{n % 97}", f"r{n}") for n in range(stack.sent)
    }
    assert len(raised) == stack.sent
    stack.wait(lambda: set(stack.delivered_ids()) == raised)
    delivered = stack.delivered_ids()
    assert len(delivered) == len(raised)  # a repeated message repeats no delivery
    if not repeats:
        assert stack.notified == stack.sent + stack.repeated


@pytest.mark.parametrize("step", [*slow("1a"), "2b", *slow("3c"), "4c4"])
def test_killed_at_each_step(stack: AlertStack, step: str) -> None:
    """Alerting after a step of its checkpoint; the notifier after each of a call's steps, and after the next commit.

    (speed_layer/alerting/alerter.py and notifier.py number them.)
    """
    doomed = [stack.start_doomed("alerting", step[0]), stack.start_doomed("notify", step[1:])]
    stack.alarm(30)
    for child, command in zip(doomed, ("alerting", "notify"), strict=True):
        stack.wait(partial(has_ended, child))
        assert child.process.returncode == -signal.SIGKILL
        stack.start(command)
    stack.alarm(10)
    check(stack, repeats=step[1:] == "b")


@pytest.mark.slow
def test_killed_while_discord_is_away(stack: AlertStack) -> None:
    stack.fail("502", times=-1)
    before = len(stack.log())
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(40)
    stack.wait(lambda: len(stack.log()) > before + 2)
    stack.kill("notify")
    stack.control.post("/control/reset")
    stack.limits(**UNLIMITED)
    stack.start("notify")
    check(stack, repeats=False)


@pytest.mark.slow
def test_killed_before_its_alerts_are_acknowledged(stack: AlertStack) -> None:
    """The broker is frozen while reports are judged; alerting dies with alerts that nobody has."""
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(10)
    stack.wait(lambda: stack.notified == stack.sent + stack.repeated)
    stack.alarm(200)
    os.kill(stack.broker.pid, signal.SIGSTOP)
    stack.kill("alerting")
    os.kill(stack.broker.pid, signal.SIGCONT)
    stack.start("alerting")
    check(stack, repeats=False)


def test_a_frozen_notifier_wakes_and_sends_nothing(stack: AlertStack) -> None:
    stack.start("alerting")
    stack.start("notify", "frozen")
    stack.alarm(1)
    stack.wait(lambda: stack.notified == stack.sent + stack.repeated)
    # And has it in the ledger: frozen between the two it is as one that crashed there, and the message may come again.
    stack.wait(lambda: len(stack.delivered_ids()) == stack.sent)
    stack.signal("frozen", signal.SIGSTOP)
    stack.start("notify")
    stack.alarm(5)
    stack.wait(lambda: stack.notified == stack.sent + stack.repeated)
    stack.alarm(5)
    stack.signal("frozen", signal.SIGCONT)
    check(stack, repeats=False)
    log = stack.home / "log" / "frozen.log"
    assert log.read_text().count("event=active") == 1
    stack.wait(lambda: "steps down" in log.read_text())


def test_the_broker_is_killed_and_comes_back(stack: AlertStack) -> None:
    stack.start("alerting")
    stack.start("notify")
    stack.alarm(20)
    stack.wait(lambda: stack.notified == stack.sent + stack.repeated)
    stack.restart_broker()
    stack.alarm(20)
    check(stack, repeats=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random(stack: AlertStack) -> None:
    print(f"seed {SEED}")
    kills_at_random(stack, 4, random.Random(SEED))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_kills_at_random(tmp_path: Path) -> None:
    """Two stacks, each with a broker of its own: most of the time that a kill takes is its session's time-out."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)

    def kills(home: Path, own: random.Random) -> None:
        with alert_stack(home, **OFTEN) as stack:
            stack.limits(**UNLIMITED)
            kills_at_random(stack, 100, own)

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(kills, tmp_path / name, random.Random(chance.random())) for name in ("one", "two")]:
            one.result()


def kills_at_random(stack: AlertStack, kills: int, chance: random.Random) -> None:
    """Kills alerting, the notifier or both, a moment after more is notified than at the last kill."""
    for name in ("alerting", "notify"):
        stack.start(name)
    done, notified = 0, stack.notified
    while done < kills:
        stack.alarm(chance.randrange(1, 60), places=40)
        stack.wait(partial(has_notified, stack, notified + 1))
        stack.alarm(chance.randrange(1, 60), places=40)
        time.sleep(chance.uniform(0, 1.5))  # the moment of the kill, not a wait for something
        victims = chance.choice([["alerting"], ["notify"], ["alerting", "notify"]])
        for victim in victims:
            stack.kill(victim)
        notified = stack.notified
        for victim in victims:
            stack.start(victim)
        done += len(victims)
    stack.wait(lambda: len(set(stack.delivered_ids())) == stack.sent, seconds=120)
    check(stack, repeats=True)
