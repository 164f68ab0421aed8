"""The budget against a server that counts in sliding windows."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from speed_layer.notifying.discord.rate_limit import WINDOWS, Budget


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from([0.0, 0.5, 1.0])), max_size=200))
def test_no_window_is_ever_exceeded(steps: list[tuple[float, float]]) -> None:
    budget, now = Budget(), 0.0
    sent: list[float] = []
    for pause, keep in steps:
        now += pause
        if budget.wait(now, keep) <= 0:
            budget.spend(now)
            sent.append(now)
    for window in WINDOWS:
        for at in sent:
            assert sum(at <= other < at + window.seconds for other in sent) <= window.requests


def test_limit_says_when_the_next_request_may_go() -> None:
    budget = Budget()
    for at in (0.0, 0.1, 0.2, 0.3, 0.4):
        assert budget.wait(at) == 0
        budget.spend(at)
    assert 1.5 < budget.wait(0.5) < 1.6
    assert budget.wait(0.5 + budget.wait(0.5)) == 0


def test_edits_leave_a_share_for_first_posts() -> None:
    budget, now = Budget(), 0.0
    for _ in range(100):
        if budget.wait(now, keep=1.0) <= 0:
            budget.spend(now)
        now += 0.1
    assert budget.wait(now, keep=1.0) > 0
    assert budget.wait(now, keep=0.5) == 0
    assert budget.wait(now) == 0


def test_limit_follows_the_answers() -> None:
    budget = Budget()
    budget.learn(remaining=0, reset_after=1.5, now=10.0)
    assert budget.wait(10.0) == 1.5
    budget.learn(remaining=3, reset_after=9.0, now=10.0)
    assert budget.wait(10.0) == 1.5
    budget.hold(4.0, now=10.0)
    assert budget.wait(11.0) == 3.0
