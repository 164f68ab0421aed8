"""What each answer of Discord means, and that no error or log of ours holds the URL."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest

from fleet.notifications.message import Embed
from infra.discord import DiscordError, DiscordRefused, MessageGone, RateLimited, Unreachable, WebhookDead
from speed_layer.notifying.discord.webhook import Webhook, payload

URL = "https://discord.test/api/webhooks/1/sesame"
EMBED = Embed("title", "text", 0xD92D20, datetime(2026, 11, 24, tzinfo=UTC), "https://map", [("Alerts", "1")])


def webhook(answer: httpx.Response | Exception) -> Webhook:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Webhook(URL, httpx.Client(transport=httpx.MockTransport(handle)))


@pytest.mark.parametrize(
    ("answer", "error", "recoverable", "retry_after"),
    [
        (httpx.Response(429, json={"retry_after": 0.7, "global": False}), RateLimited, True, 0.7),
        (httpx.Response(429, html="<h1>1015</h1>", headers={"retry-after": "30"}), RateLimited, True, 30.0),
        (httpx.Response(429, html="<h1>1015</h1>"), RateLimited, True, 5.0),
        (httpx.Response(500, json={"code": 0, "message": "500"}), Unreachable, True, None),
        (httpx.Response(502, html="<html>bad gateway"), Unreachable, True, None),
        (httpx.Response(404, html="<html>"), Unreachable, True, None),
        (httpx.Response(200, html="<html>"), Unreachable, True, None),
        (httpx.Response(204), Unreachable, True, None),
        (httpx.Response(401, json={"code": 50027, "message": "Invalid Webhook Token"}), WebhookDead, False, None),
        (httpx.Response(401, json={"code": 0, "message": "401: Unauthorized"}), WebhookDead, False, None),
        (httpx.Response(401, html="<html>"), Unreachable, True, None),
        (httpx.Response(403, html="<html>"), Unreachable, True, None),
        (httpx.Response(403, html="<html>", headers={"retry-after": "60"}), Unreachable, True, 60.0),
        (httpx.Response(403, json={"code": 40333, "message": "internal network error"}), Unreachable, True, None),
        (httpx.Response(403, json={"success": False}), Unreachable, True, None),
        (httpx.Response(403, json={"code": 50013, "message": "Missing Permissions"}), WebhookDead, False, None),
        (httpx.Response(404, json={"code": 0, "message": "404: Not Found"}), WebhookDead, False, None),
        (httpx.Response(404, json={"code": 10003, "message": "Unknown Channel"}), WebhookDead, False, None),
        (httpx.Response(405, json={"code": 0, "message": "405: Method Not Allowed"}), WebhookDead, False, None),
        (httpx.Response(404, json={"code": 10015, "message": "Unknown Webhook"}), WebhookDead, False, None),
        (httpx.Response(404, json={"code": 10008, "message": "Unknown Message"}), MessageGone, False, None),
        (httpx.Response(400, json={"code": 50035, "message": "Invalid Form Body"}), DiscordRefused, False, None),
        (httpx.ReadTimeout(f"slow {URL}"), Unreachable, True, None),
        (httpx.ConnectError(f"no {URL}"), Unreachable, True, None),
        (httpx.RemoteProtocolError(f"reset {URL}"), Unreachable, True, None),
    ],
)
def test_meaning_of_each_answer(
    answer: httpx.Response | Exception, error: type[DiscordError], recoverable: bool, retry_after: float | None
) -> None:
    with pytest.raises(error) as raised:
        webhook(answer).post([EMBED])
    assert type(raised.value) is error
    assert raised.value.recoverable is recoverable
    assert raised.value.retry_after == retry_after
    assert "sesame" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_a_post_waits_for_the_message_and_an_edit_names_it() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"id": "77"}, headers={"x-ratelimit-remaining": "4"})

    hook = Webhook(f"{URL}/?wait=false", httpx.Client(transport=httpx.MockTransport(handle)))
    assert hook.post([EMBED]) == "77"
    hook.edit("77", [EMBED])
    assert [(r.method, str(r.url)) for r in seen] == [("POST", f"{URL}?wait=true"), ("PATCH", f"{URL}/messages/77")]
    assert hook.last_pace.remaining == 4
    assert json.loads(seen[0].content) == json.loads(seen[1].content)


def test_the_payload_mentions_nobody_and_holds_nothing_that_an_edit_would_undo() -> None:
    assert payload([EMBED]) == {
        "allowed_mentions": {"parse": []},
        "embeds": [
            {
                "title": "title",
                "description": "text",
                "url": "https://map",
                "color": 0xD92D20,
                "timestamp": "2026-11-24T00:00:00+00:00",
                "fields": [{"name": "Alerts", "value": "1", "inline": True}],
            }
        ],
    }
