"""Discord's webhook: one request, and the rate headers of its answer. infra/discord.py says what an answer means."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
from discord_webhook import DiscordEmbed, DiscordWebhook

from fleet.notifications.message import Embed
from infra.discord import Unreachable, body_of, error_of, number_of
from speed_layer.notifying import metrics

TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
"""Discord answers in 0.1 to 0.5 s; after ten seconds another try is better than waiting."""


LIMITS: Final = httpx.Limits(max_keepalive_connections=1, keepalive_expiry=55.0)
"""One request at a time; the connection is kept, since a new one to Discord costs a first alert 50 to 100 ms."""


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
        message_id = body_of(answer).get("id")
        if not message_id:
            raise Unreachable("Discord accepted the message without giving its id")
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
        raise error_of(answer)


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


def _pace(headers: httpx.Headers) -> Pace:
    remaining = number_of(headers.get("x-ratelimit-remaining"))
    return Pace(None if remaining is None else int(remaining), number_of(headers.get("x-ratelimit-reset-after")))
