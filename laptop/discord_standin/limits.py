"""Discord's documented limits for a webhook's message. Text is counted in UTF-16 code units, as Discord does."""

from __future__ import annotations

from typing import Final

# https://docs.discord.com/developers/resources/webhook#execute-webhook-jsonform-params
CONTENT: Final = 2_000
EMBEDS: Final = 10
USERNAME: Final = 80
FILES: Final = 10
# https://docs.discord.com/developers/resources/message#embed-object-embed-limits
TITLE: Final = 256
DESCRIPTION: Final = 4_096
FIELDS: Final = 25
FIELD_NAME: Final = 256
FIELD_VALUE: Final = 1_024
FOOTER: Final = 2_048
AUTHOR: Final = 256
EMBED_TOTAL: Final = 6_000  # title, description, field.name, field.value, footer.text and author.name of all embeds
COLOR: Final = 0xFFFFFF
URL: Final = 2_048
# https://docs.discord.com/developers/resources/message#allowed-mentions-object
MENTIONED: Final = 100
# https://docs.discord.com/developers/resources/message#attachment-object
ATTACHMENT_DESCRIPTION: Final = 1_024
# https://docs.discord.com/developers/reference#uploading-files
FILE_BYTES: Final = 10 * 1024 * 1024
REQUEST_BYTES: Final = 25 * 1024 * 1024
# https://docs.discord.com/developers/resources/user#usernames-and-nicknames and, for webhooks, #create-webhook
FORBIDDEN_IN_USERNAME: Final = ("clyde", "discord", "@", "#", ":", "```")
FORBIDDEN_USERNAMES: Final = ("everyone", "here")


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units: an emoji outside the basic plane is two."""
    return len(text) + sum(character > "\uffff" for character in text)
