"""Landers are killed at each step of a commit, at random, and frozen: every report lands exactly once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet import topics
from tests.faults.landers import Landers, freeze, landers, wake
from tests.landing import landed, report, send, wait_for

BAD = [b"no json", b'{"report_id": 1}']


@pytest.fixture
def lab(kafka: str, topic: Callable[..., str], mongo_uri: str, tmp_path: Path) -> Iterator[Landers]:
    with landers(kafka, topic(), topic(topics.REJECTED, 1), mongo_uri, tmp_path) as made:
        yield made


@pytest.mark.parametrize("step", ["1", "2", "3", "4", "5", "6"])
def test_a_kill_at_each_step_of_the_commit(lab: Landers, step: str) -> None:
    first = lab.start(step)
    send(lab.bootstrap, lab.reports, [*(report(n) for n in range(500)), *BAD])
    wait_for(lambda: not first.alive, what="the kill")
    send(lab.bootstrap, lab.reports, [*(report(n) for n in range(490, 600)), *BAD])
    lab.start()
    lab.wait_landed()
    lab.check()
    assert len(landed(lab.lake, "report_id")) == 600


def test_a_frozen_process_wakes_after_its_partitions_moved(lab: Landers) -> None:
    zombie = lab.start()
    send(lab.bootstrap, lab.reports, (report(n) for n in range(300)))
    lab.wait_landed()
    stop_at = time.monotonic() + 1.5
    number = 300
    while time.monotonic() < stop_at:  # so that it freezes with something in hand
        send(lab.bootstrap, lab.reports, (report(n) for n in range(number, number + 50)))
        number += 50
    freeze(zombie)
    send(lab.bootstrap, lab.reports, (report(n) for n in range(number, number + 200)))
    lab.start()
    lab.wait_landed()  # the group waits for the frozen one's session to end, and gives its partitions away
    wake(zombie)
    send(lab.bootstrap, lab.reports, (report(n) for n in range(number + 200, number + 400)))
    lab.wait_landed()
    lab.check()
    assert len(landed(lab.lake, "report_id")) == number + 400
    assert zombie.alive


def test_kills_at_random(lab: Landers) -> None:
    kills_at_random(lab, kills=6)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_kills_at_random(lab: Landers) -> None:
    kills_at_random(lab, kills=200)


def kills_at_random(lab: Landers, kills: int) -> None:
    """Two landers share the partitions; one is killed after a random pause, or frozen first, and another comes."""
    seed = int(os.environ.get("PEACEWATCH_TEST_SEED") or time.time())
    print(f"seed {seed}")
    chance = random.Random(seed)
    number = 0
    running = [lab.start(), lab.start()]
    for _ in range(kills):
        stop_at = time.monotonic() + chance.uniform(0.2, 4.0)
        while time.monotonic() < stop_at:
            old = [report(chance.randrange(number)) for _ in range(5)] if number else []
            send(lab.bootstrap, lab.reports, [*(report(n) for n in range(number, number + 100)), *old, BAD[number % 2]])
            number += 100
        victim = running.pop(chance.randrange(2))
        if chance.random() < 0.2:
            freeze(victim)
            time.sleep(chance.uniform(0, 1))
            wake(victim)
        victim.kill()
        running.append(lab.start())
    lab.wait_landed(180)
    lab.check()
    assert len(landed(lab.lake, "report_id")) == number
