"""Discord's webhook: one request, and what its answer means.

DiscordError                     recoverable: trying again later may help; retry_after: seconds, where Discord says
├── RateLimited                  429: wait; `everywhere` when it counts for the whole bot, not for this webhook
├── Unreachable                  no answer, 5xx, or an answer that is no Discord answer: the message may be there or not
├── WebhookDead                  401, 403, 404 with 10015: nothing goes through until the URL is replaced
├── MessageGone                  404 with 10008: somebody deleted the message
└── DiscordRefused               400 and the like: this form will never be taken

Sources: Discord's documentation, "Webhook Resource", "Rate Limits", "Opcodes and Status Codes". The URL is a secret:
it is in no error and no log.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from discord_webhook import DiscordEmbed, DiscordWebhook

from fleet.errors import ServiceUnavailable
from fleet.notifications.message import Embed
from speed_layer.notifying import metrics

UNKNOWN_MESSAGE: Final = 10008
UNKNOWN_WEBHOOK: Final = 10015

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
"""Discord answers in 0.1 to 0.5 s; after ten the next try is worth more than the wait."""


LIMITS: Final = httpx.Limits(max_keepalive_connections=1, keepalive_expiry=55.0)
"""One request at a time; the connection is kept, since a new one to Discord costs a first alert 50 to 100 ms."""


class DiscordError(ServiceUnavailable):
    """See the module. The text never holds the URL."""

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


@dataclass(frozen=True)
class Pace:
    """What the rate headers of an answer say: requests left, and seconds until there are all again."""

    remaining: int | None = None
    reset_after: float | None = None


class Webhook:
    """One webhook. `last_pace` holds the rate headers of the last answer."""

    def __init__(self, url: str, client: httpx.Client | None = None) -> None:
        self._url = url.split("?", maxsplit=1)[0].rstrip("/")
        self._client = client or httpx.Client(timeout=TIMEOUT, limits=LIMITS)
        self.last_pace = Pace()

    def post(self, embeds: Sequence[Embed]) -> str:
        """Posts a message; its id. Raises DiscordError."""
        answer = self._send("POST", self._url, {"wait": "true"}, payload(embeds))
        message_id = _body(answer).get("id")
        if not message_id:
            raise Unreachable("Discord took the message and did not say its id")
        return str(message_id)

    def edit(self, message_id: str, embeds: Sequence[Embed]) -> None:
        """Replaces what a message shows. Raises DiscordError, MessageGone among them."""
        self._send("PATCH", f"{self._url}/messages/{message_id}", {}, payload(embeds))

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, url: str, params: Mapping[str, str], body: Mapping[str, Any]) -> httpx.Response:
        began, outcome = time.perf_counter(), "none"
        try:
            answer = self._client.request(method, url, params=dict(params), json=body)
            outcome = str(answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # the error's own text may hold the URL
            raise Unreachable(f"Discord does not answer: {type(error).__name__}") from None
        finally:
            metrics.REQUEST_SECONDS.labels(method, outcome).observe(time.perf_counter() - began)
        self.last_pace = _pace(answer.headers)
        if answer.is_success:
            return answer
        raise _error(answer)


def payload(embeds: Sequence[Embed]) -> dict[str, Any]:
    """The JSON of a message that can mention nobody."""
    webhook = DiscordWebhook(url="", embeds=[], allowed_mentions={"parse": []})
    for embed in embeds:
        webhook.add_embed(_embed(embed))
    body: dict[str, Any] = webhook.json
    body.pop("attachments", None)  # an empty list in an edit means: remove the files
    body.pop("wait", None)
    body["embeds"] = [{key: value for key, value in embed.items() if value is not None} for embed in body["embeds"]]
    return body


def _embed(embed: Embed) -> DiscordEmbed:
    built = DiscordEmbed(
        title=embed.title,
        description=embed.description or None,
        url=embed.url or None,
        color=embed.colour,
        timestamp=embed.at.isoformat(),
        fields=[],
    )
    for name, value in embed.fields:
        built.add_embed_field(name, value)
    return built


def _error(answer: httpx.Response) -> DiscordError:
    body, status = _body(answer), answer.status_code
    code = body.get("code")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return RateLimited(_retry_after(answer, body), everywhere=bool(body.get("global")))
    if status >= 500 or ("code" not in body and status not in (401, 403)):
        return Unreachable(f"Discord answers {status}", _number(answer.headers.get("retry-after")))
    if status in (401, 403) or code == UNKNOWN_WEBHOOK:
        return WebhookDead(f"the webhook is dead: Discord answers {status}, code {code}")
    if code == UNKNOWN_MESSAGE:
        return MessageGone(f"the message is gone: Discord answers {status}, code {code}")
    return DiscordRefused(f"Discord refuses the message: {status}, code {code}, {str(body.get('message', ''))[:200]}")


def _body(answer: httpx.Response) -> dict[str, Any]:
    """The answer's JSON object; empty for anything else (its edge answers in HTML)."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after(answer: httpx.Response, body: Mapping[str, Any]) -> float:
    """Seconds to wait; the body is finer than the header, and an edge without either gets five."""
    for value in (
        body.get("retry_after"),
        answer.headers.get("retry-after"),
        answer.headers.get("x-ratelimit-reset-after"),
    ):
        seconds = _number(value)
        if seconds is not None:
            return seconds
    return 5.0


def _pace(headers: httpx.Headers) -> Pace:
    remaining = _number(headers.get("x-ratelimit-remaining"))
    return Pace(None if remaining is None else int(remaining), _number(headers.get("x-ratelimit-reset-after")))


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < 86_400 else None
