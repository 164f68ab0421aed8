"""Messages to the operators, on their webhook, about problems of Peacewatch itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from fleet.notifications.message import DESCRIPTION, TITLE, Embed
from fleet.text import plain
from infra.discord import DiscordError
from infra.redaction import redact

COLOUR: Final = 0xD92D20
TRIES: Final = 5
FIRST_PAUSE: Final = 1.0


def message(title: str, text: str, link: str, now: datetime) -> Embed:
    """The texts are shown as they are, without secrets, and mention nobody: an error of a task may quote a password."""
    said, details = plain(redact(title), TITLE), plain(redact(text), DESCRIPTION)
    return Embed(title=said, description=details, colour=COLOUR, at=now, url=link)


class Poster(Protocol):
    """What posts: a `Webhook`."""

    def post(self, embeds: Sequence[Embed]) -> str: ...


def notify(webhook: Poster, embed: Embed, sleep: Callable[[float], None] = time.sleep) -> None:
    """Posts the message, and retries while that may help. Raises DiscordError, which never names the URL."""
    for attempt in range(TRIES):
        try:
            webhook.post([embed])
        except DiscordError as error:
            if not error.recoverable or attempt == TRIES - 1:
                raise
            sleep(error.retry_after or FIRST_PAUSE * 2**attempt)
        else:
            return
