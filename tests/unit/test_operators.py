"""Word to the operators: one message, tried again while that may help, and never to nobody without saying so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from cli.wiring import operators
from fleet.notifications.message import Embed
from infra import settings
from infra.discord import RateLimited, WebhookDead

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Channel:
    """A webhook with scripted answers, in order."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.taken: list[Embed] = []

    def post(self, embeds: Sequence[Embed]) -> str:
        answer = self.answers.pop(0)
        if answer is not None:
            raise answer
        self.taken += embeds
        return "1"


def notify(channel: Channel) -> list[float]:
    pauses: list[float] = []
    embed = operators.message("hourly_views failed @everyone", "text" * 2000, "http://a/log", NOW)
    operators.notify(channel, embed, pauses.append)
    return pauses


def test_it_is_posted_once() -> None:
    channel = Channel(None)
    assert notify(channel) == []
    embed = channel.taken[0]
    assert embed.title == r"hourly\_views failed \@everyone"
    assert len(embed.description) <= 4096
    assert embed.url == "http://a/log"


def test_it_waits_as_long_as_discord_says() -> None:
    channel = Channel(RateLimited(2.5), RateLimited(0.5), None)
    assert notify(channel) == [2.5, 0.5]
    assert len(channel.taken) == 1


def test_a_dead_webhook_is_an_error_at_once() -> None:
    with pytest.raises(WebhookDead):
        notify(Channel(WebhookDead("gone")))


def test_it_gives_up() -> None:
    with pytest.raises(RateLimited):
        notify(Channel(*[RateLimited(1)] * operators.TRIES))


def test_where_operators_read() -> None:
    own = settings.load(
        {}, operators_webhook_url="https://chat.example/w", discord_webhook_url="https://chat.example/a"
    )
    assert own.operators_webhook == "https://chat.example/w"
    assert settings.load({}, discord_webhook_url="https://chat.example/a").operators_webhook is None
    assert settings.load({}).operators_webhook == "http://127.0.0.1:18900/api/webhooks/3/operators"


def test_an_error_of_a_task_shows_no_secret() -> None:
    embed = operators.message("aggregate failed: token=abc", "mongodb://me:password-of-me@db/p is away", "", NOW)
    assert embed.description is not None
    assert "password-of-me" not in embed.description
    assert "abc" not in embed.title
