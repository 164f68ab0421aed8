"""Landers are killed at each step of a commit, at random, and frozen: every report lands exactly once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleet import topics
from tests.support.lander_processes import Landers, freeze, landers, wake
from tests.support.landing import landed, report, send
from tests.support.slow import slow
from tests.support.waiting import wait_for

BAD = [b"no json", b'{"report_id": 1}']

SEED = int(os.environ.get("PEACEWATCH_TEST_SEED") or time.time())
"""Read when the file is, for no setting reaches a test."""


@pytest.fixture
def lab(kafka: str, topic: Callable[..., str], mongo_uri: str, tmp_path: Path) -> Iterator[Landers]:
    with landers(kafka, topic(), topic(topics.REJECTED, 1), mongo_uri, tmp_path) as made:
        yield made


@pytest.mark.parametrize("step", [*slow("1"), "2", *slow("3", "4"), "5", *slow("6")])
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


@pytest.mark.slow
def test_kills_at_random(lab: Landers) -> None:
    kills_at_random(lab, kills=4, chance=seeded())


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_kills_at_random(
    kafka: str, topic: Callable[..., str], mongo_server_uri: str, tmp_path: Path
) -> None:
    """Four groups of landers, each with a lake of its own: a kill mostly waits for its session's time-out."""
    chance = seeded()
    with ExitStack() as opened, ThreadPoolExecutor(4) as pool:
        labs = []
        for number in range(4):
            folder = tmp_path / str(number)
            folder.mkdir()
            uri = mongo_server_uri.replace("/peacewatch?", f"/kills_{number}?")
            made = landers(kafka, topic(), topic(topics.REJECTED, 1), uri, folder)
            labs.append(opened.enter_context(made))
        running = [pool.submit(kills_at_random, one, 50, random.Random(chance.random())) for one in labs]
        for one in running:
            one.result()


def seeded() -> random.Random:
    print(f"seed {SEED}")
    return random.Random(SEED)


def kills_at_random(lab: Landers, kills: int, chance: random.Random) -> None:
    """Two landers share the partitions. Once more was landed since the last kill, and a moment later, one is killed,
    or frozen first, and another comes."""
    number = entries = 0
    running = [lab.start(), lab.start()]

    def feed() -> None:
        nonlocal number
        old = [report(chance.randrange(number)) for _ in range(5)] if number else []
        send(lab.bootstrap, lab.reports, [*(report(n) for n in range(number, number + 100)), *old, BAD[number % 2]])
        number += 100

    for _ in range(kills):
        deadline = time.monotonic() + 120
        while lab.landed_offsets() <= entries:
            assert time.monotonic() < deadline, lab.logs()
            feed()
            time.sleep(0.1)
        stop_at = time.monotonic() + chance.uniform(0, 1.5)
        while time.monotonic() < stop_at:
            feed()
        victim = running.pop(chance.randrange(2))
        if chance.random() < 0.2:
            freeze(victim)
            time.sleep(chance.uniform(0, 1))
            wake(victim)
        victim.kill()
        entries = lab.landed_offsets()
        running.append(lab.start())
    lab.wait_landed(180)
    lab.check()
    assert len(landed(lab.lake, "report_id")) == number
