"""One request within the budget, and what each failure leaves behind. The clock is the test's."""

from __future__ import annotations

from threading import Event

import httpx
import pytest

from infra import retry
from speed_layer.notifying.discord.webhook import Webhook
from speed_layer.notifying.sender import DEAD_PAUSE, LONGEST_PAUSE, Sender
from tests.support.world import World


class Channel:
    """Answers what `answers` says, then 200."""

    def __init__(self, *answers: httpx.Response) -> None:
        self.answers, self.asked, self.now = list(answers), [], 1000.0  # type: ignore[var-annotated]
        self.url = "http://d.test/api/webhooks/1/old"
        self.sender = Sender(lambda: self.url, "http://page", lambda: self.now, connect=self.connect)
        self.world = World()
        self.world.raise_alert()

    def connect(self, url: str) -> Webhook:
        return Webhook(url, httpx.Client(transport=httpx.MockTransport(self.handle)))

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return self.answers.pop(0) if self.answers else httpx.Response(200, json={"id": "9"})

    def send(self) -> str | None:
        notification = self.world.next()
        assert notification is not None
        return self.sender.send(notification, self.world.state)

    def held(self) -> float:
        """Seconds until something may go."""
        began = self.now
        while not self.sender.allowance().first:
            self.now += 0.05
        return self.now - began


def gone(code: int) -> httpx.Response:
    return httpx.Response(404, json={"code": code, "message": "Unknown"})


def test_accepted_post_returns_the_messages_id() -> None:
    channel = Channel()
    assert channel.send() == "9"
    assert channel.sender.held == "started"


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (httpx.Response(429, json={"retry_after": 7.5}), 7.5, 7.6),
        (httpx.Response(500, json={"code": 0}), 0.3, 0.7),
        (httpx.Response(502, html="<html>", headers={"retry-after": "12"}), 12.0, 12.1),
        (httpx.Response(400, json={"code": 50035}), 0.0, 0.1),
        (httpx.Response(400, html="<html>"), 0.3, 0.7),
        (httpx.Response(403, html="<html>"), 0.3, 0.7),
        (httpx.Response(403, json={"code": 40333}), 0.3, 0.7),
        (gone(10015), DEAD_PAUSE, DEAD_PAUSE + 0.1),
    ],
)
def test_a_failure_holds_for_a_while(answer: httpx.Response, least: float, most: float) -> None:
    channel = Channel(answer)
    assert channel.send() is None
    assert least <= channel.held() <= most
    assert channel.world.state.incidents.pending_alerts == 1


def test_pauses_grow_to_a_limit_and_a_success_forgets_them() -> None:
    channel = Channel(*[httpx.Response(503, html="") for _ in range(10)])
    pauses = []
    for _ in range(10):
        channel.send()
        pauses.append(channel.held())
    assert pauses[0] < 1
    assert 0.7 * LONGEST_PAUSE < pauses[-1] < 1.3 * LONGEST_PAUSE
    assert channel.send() == "9"
    assert (channel.sender.backoff.failures, channel.sender.held) == (0, "unreachable")
    assert channel.send() == "9"
    assert channel.sender.held == ""


def test_headers_that_say_none_is_left_are_obeyed() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset-after": "1.75"}
    channel = Channel(httpx.Response(200, json={"id": "9"}, headers=headers))
    channel.send()
    assert 1.75 <= channel.held() <= 1.85


def test_a_dead_webhook_goes_on_when_its_url_is_replaced() -> None:
    channel = Channel(gone(10015))
    channel.send()
    assert "10015" in channel.sender.dead
    assert not channel.sender.allowance().first
    channel.url = "http://d.test/api/webhooks/2/new"
    assert channel.held() < 3
    assert channel.send() == "9"
    assert (channel.sender.dead, channel.sender.held) == ("", "webhook dead")
    assert channel.asked[-1].startswith("http://d.test/api/webhooks/2/new")


def test_a_session_that_fails_is_followed_by_another_until_it_is_stopped() -> None:
    stop, ran = Event(), []

    def session() -> None:
        ran.append(1)
        if len(ran) == 3:
            stop.set()
        raise OSError("away")

    failed: list[str] = []
    retry.run(session, stop, "test", failed=lambda error: failed.append(str(error)))
    assert len(ran) == 3
    assert failed == ["away"] * 3


def test_an_error_of_our_own_is_not_hidden() -> None:
    def session() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retry.run(session, Event(), "test")
