"""Word to the operators: one message on their webhook, about trouble of Peacewatch's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from fleet.notifications.message import DESCRIPTION, TITLE, Embed
from fleet.text import plain
from speed_layer.notifying.discord.webhook import DiscordError, Webhook

COLOUR: Final = 0xD92D20
TRIES: Final = 5
FIRST_PAUSE: Final = 1.0


def message(title: str, text: str, link: str, now: datetime) -> Embed:
    """What they read. The texts are shown as they are, and mention nobody."""
    return Embed(title=plain(title, TITLE), description=plain(text, DESCRIPTION), colour=COLOUR, at=now, url=link)


def notify(url: str, embed: Embed, sleep: Callable[[float], None] = time.sleep) -> None:
    """Posts the message; tries again while that may help. Raises DiscordError, which never names the URL."""
    webhook = Webhook(url)
    try:
        for attempt in range(TRIES):
            try:
                webhook.post([embed])
            except DiscordError as error:
                if not error.recoverable or attempt == TRIES - 1:
                    raise
                sleep(error.retry_after or FIRST_PAUSE * 2**attempt)
            else:
                return
    finally:
        webhook.close()
