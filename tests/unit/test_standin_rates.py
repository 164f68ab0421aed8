"""Rate limits, the ban and failures on demand, with a clock that the test holds.

[R] https://docs.discord.com/developers/topics/rate-limits
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laptop.discord_standin.failures import MODES, TAKEN
from laptop.discord_standin.ratelimit import Bucket, Limits, RateLimiter
from tests.support.standin import ALERTS, Local, json_of

HELLO = {"content": "hello"}


@pytest.fixture
def discord(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path, Limits())
    yield local
    local.close()


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_span_of_time_holds_more_than_its_limit(pauses: list[float]) -> None:
    bucket, now, passed = Bucket(Limits(), "b", minute=True), 1000.0, []
    for pause in pauses:
        now += pause
        if bucket.take(now)[0] is None:
            passed.append(now)
    for seconds, most in ((2.0, 5), (60.0, 30)):
        for start in passed:
            assert sum(start <= moment < start + seconds for moment in passed) <= most


@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_a_client_that_waits_as_asked_is_let_through(pauses: list[float]) -> None:
    bucket, now = Bucket(Limits(), "b", minute=True), 1000.0
    for pause in pauses:
        now += pause
        limited, headers = bucket.take(now)
        if limited is not None:
            assert limited.status == 429
            now += float(headers["X-RateLimit-Reset-After"]) + 0.001
            assert bucket.take(now)[0] is None


def test_each_answer_says_what_is_left(discord: Local) -> None:
    left = [discord.ask(payload=HELLO).headers["X-RateLimit-Remaining"] for _ in range(5)]
    assert left == ["4", "3", "2", "1", "0"]
    answer = discord.ask(payload=HELLO)
    body = json_of(answer)
    assert (answer.status, body["global"], body["retry_after"]) == (429, False, 2.0)
    headers = answer.headers
    assert (headers["Retry-After"], headers["X-RateLimit-Scope"], headers["Via"]) == ("2", "user", "1.1 google")
    assert float(headers["X-RateLimit-Reset"]) == discord.clock.now + 2
    discord.clock.now += 2
    assert discord.ask(payload=HELLO).status == 204


def test_edits_and_refused_requests_count_and_other_webhooks_do_not(discord: Local) -> None:
    message_id = discord.post(HELLO)["id"]
    assert discord.ask("PATCH", f"{ALERTS}/messages/{message_id}", HELLO).status == 200
    assert [discord.ask(payload={}).status for _ in range(4)] == [400, 400, 400, 429]
    assert discord.ask("PATCH", f"{ALERTS}/messages/{message_id}", HELLO).status == 429
    assert discord.ask(path="/api/webhooks/2/severe", payload=HELLO).status == 204
    assert discord.ask("GET", f"{ALERTS}/messages/{message_id}").status == 200


def test_thirty_a_minute_also_after_a_restart(discord: Local) -> None:
    for _ in range(30):
        assert discord.ask(payload=HELLO).status == 204
        discord.clock.now += 1
    for one in (discord, discord.restarted()):
        answer = one.ask(payload=HELLO)
        assert (answer.status, json_of(answer)["retry_after"]) == (429, 30.0)
    discord.clock.now += 30
    assert discord.ask(payload=HELLO).status == 204


def test_limits_can_be_set(discord: Local) -> None:
    discord.control("limits", {"burst_requests": 1, "burst_seconds": 9})
    assert [discord.ask(payload=HELLO).status for _ in range(2)] == [204, 429]
    discord.control("limits", {"burst_requests": 0, "minute_requests": 0})
    assert [discord.ask(payload=HELLO).status for _ in range(40)] == [204] * 40
    assert discord.ask("POST", "/control/limits", {"bursts": 1}).status == 400


def test_an_address_that_sends_too_much_that_is_invalid_is_banned(discord: Local) -> None:
    discord.control("limits", {"invalid_requests": 3, "invalid_seconds": 600})
    assert [discord.ask(path="/api/webhooks/1/wrong", payload=HELLO).status for _ in range(3)] == [401] * 3
    answer = discord.ask(payload=HELLO)
    assert (answer.status, answer.content_type) == (429, "text/html; charset=UTF-8")
    assert "Via" not in answer.headers
    assert b"1015" in answer.body
    discord.clock.now += 600
    assert discord.ask(payload=HELLO).status == 204


def test_ten_thousand_invalid_answers_ban_by_default() -> None:
    """[R] 10,000 in 10 minutes; a 429 of scope shared does not count."""
    assert (RateLimiter().limits.invalid_requests, RateLimiter().limits.invalid_seconds) == (10_000, 600.0)


STATUS = {"429-no-via": 429, "429-html": 429, "html": 502, "html-200": 200, "ban": 429, "slow": 204, "slow-before": 504}


@pytest.mark.parametrize("mode", MODES)
def test_a_failure_on_demand(discord: Local, mode: str) -> None:
    discord.control("fail", {"mode": mode, "times": 1, "seconds": 1.5})
    answer = discord.ask(payload=HELLO)
    wanted = 0 if mode.startswith("reset") else STATUS.get(mode) or int(mode[:3])
    assert (answer.status, answer.reset) == (wanted, mode.startswith("reset"))
    assert answer.delay == (1.5 if not mode.startswith("429") else 0)
    assert ("Via" in answer.headers) == (answer.content_type == "application/json" and "no-via" not in mode) or (
        mode == "slow"
    )
    assert len(discord.control("messages")["messages"]) == (mode in TAKEN)
    assert discord.control("log")["requests"][-1]["failure"] == mode
    assert discord.ask(payload=HELLO).status == 204, "the failure is used up"


def test_a_failure_waits_for_what_it_matches(discord: Local) -> None:
    match = {"mode": "400", "match": "Kyōto", "times": -1, "webhook": "1", "method": "POST", "skip": 1}
    discord.control("fail", match)
    statuses = [discord.ask(payload={"content": text}).status for text in ("Kyōto", "Oslo", "Kyōto", "Kyōto")]
    assert statuses == [204, 204, 400, 400]
    assert discord.ask(path="/api/webhooks/2/severe", payload={"content": "Kyōto"}).status == 204
    discord.control("reset", {})
    assert discord.ask(payload={"content": "Kyōto"}).status == 204


@pytest.mark.parametrize("wanted", [{}, {"mode": "999"}, {"mode": "500", "often": 2}, {"mode": "500", "times": "x"}])
def test_a_wrong_failure_is_answered_with_its_reason(discord: Local, wanted: dict[str, Any]) -> None:
    assert discord.ask("POST", "/control/fail", wanted).status == 400
