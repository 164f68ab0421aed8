"""Word to the operators: one message on their webhook, about trouble of Peacewatch's own."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from fleet.message import DESCRIPTION, TITLE, Embed
from fleet.text import plain
from speed_layer.discord import DiscordError, Webhook

COLOUR: Final = 0xD92D20
TRIES: Final = 5
FIRST_PAUSE: Final = 1.0


def tell(url: str, title: str, text: str, link: str, now: datetime) -> None:
    """Posts the message; tries again while that may help. Raises DiscordError, which never names the URL."""
    embed = Embed(title=plain(title, TITLE), description=plain(text, DESCRIPTION), colour=COLOUR, at=now, url=link)
    webhook = Webhook(url)
    try:
        for attempt in range(TRIES):
            try:
                webhook.post([embed])
            except DiscordError as error:
                if not error.recoverable or attempt == TRIES - 1:
                    raise
                time.sleep(error.retry_after or FIRST_PAUSE * 2**attempt)
            else:
                return
    finally:
        webhook.close()
