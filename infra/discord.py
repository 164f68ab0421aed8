"""What an answer of Discord's API means, for everything that posts to a webhook.

DiscordError                     recoverable: a later retry may help; retry_after: seconds, if Discord says
├── RateLimited                  429: wait; `everywhere` when it counts for the whole bot, not for this webhook
├── Unreachable                  no answer, 5xx, or an answer not from Discord's API: the message may have been accepted
├── WebhookDead                  401, 403, 404 or 405 with a code: nothing goes through until the URL is replaced
├── MessageGone                  404 with 10008: somebody deleted the message
└── DiscordRefused               400 and the like: this form will never be accepted

Only an error of Discord's API means that a webhook is dead: a JSON object with a `code`. Its edge (Cloudflare) answers
403 and 404 in HTML, or with the code 40333, to an address that it blocks for a while; it knows nothing of webhooks.

Sources: Discord's documentation, "Webhook Resource", "Rate Limits", "Opcodes and Status Codes"; for 40333 the issue
6473 of discord/discord-api-docs. The URL is a secret: no error and no log contains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from fleet.errors import ServiceUnavailable

UNKNOWN_MESSAGE: Final = 10008
BLOCKED_BY_EDGE: Final = 40333
OF_WEBHOOK: Final = (401, 403, 404, 405)
"""Statuses about the URL, not the message: the token is wrong (401), the channel or the webhook is closed to us or gone
(403, 404), or the URL is not a webhook's (404, 405)."""


class DiscordError(ServiceUnavailable):
    """See the module. The text never contains the URL."""

    recoverable = True


class RateLimited(DiscordError):
    def __init__(self, retry_after: float, everywhere: bool = False) -> None:
        super().__init__(f"Discord asks to wait {retry_after:g} s", retry_after)
        self.everywhere = everywhere


class Unreachable(DiscordError):
    pass


class WebhookDead(DiscordError):
    recoverable = False


class MessageGone(DiscordError):
    recoverable = False


class DiscordRefused(DiscordError):
    recoverable = False


def error_of(answer: httpx.Response) -> DiscordError:
    """The error that `answer`, which is not a 2xx, stands for."""
    body, status = body_of(answer), answer.status_code
    code = body.get("code")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return RateLimited(_retry_after(answer, body), everywhere=bool(body.get("global")))
    if status >= 500:
        return Unreachable(f"Discord answers {status}", number_of(answer.headers.get("retry-after")))
    if code is None or code == BLOCKED_BY_EDGE:
        wait = number_of(answer.headers.get("retry-after"))
        return Unreachable(f"Discord's edge answers {status}: it may block this address for a while", wait)
    if code == UNKNOWN_MESSAGE:
        return MessageGone(f"the message is gone: Discord answers {status}, code {code}")
    if status in OF_WEBHOOK:
        return WebhookDead(f"the webhook is dead: Discord answers {status}, code {code}")
    return DiscordRefused(f"Discord refuses the message: {status}, code {code}, {str(body.get('message', ''))[:200]}")


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; empty for anything else (its edge answers in HTML)."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: httpx.Response, body: Mapping[str, Any]) -> float:
    """Seconds to wait. The body is more precise than the header; without either it is five."""
    for value in (
        body.get("retry_after"),
        answer.headers.get("retry-after"),
        answer.headers.get("x-ratelimit-reset-after"),
    ):
        seconds = number_of(value)
        if seconds is not None:
            return seconds
    return 5.0


def number_of(value: Any) -> float | None:
    """Seconds or a count from a header or a body; None for anything else, or for a day or more."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < 86_400 else None
