"""The form of a message: every value read and checked. Source: limits.py names the page of each limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from laptop.discord_standin import answers, limits
from laptop.discord_standin.answers import RequestRefused
from laptop.discord_standin.embeds import read_embeds
from laptop.discord_standin.form import Form
from laptop.discord_standin.mentions import read_allowed
from laptop.discord_standin.request import Upload

SETTABLE_FLAGS: Final = 1 << 2 | 1 << 12  # suppress embeds, suppress notifications
"""https://docs.discord.com/developers/resources/webhook#execute-webhook-jsonform-params"""


def read_message(payload: dict[str, Any], uploads: list[Upload], file_bytes: int = limits.FILE_BYTES) -> dict[str, Any]:
    """The fields that the form has: content, embeds, username, avatar_url, tts, flags, allowed_mentions, attachments.

    Raises RequestRefused: 400 with all errors, 413 for a large file.
    """
    if any(len(upload.content) > file_bytes for upload in uploads):
        raise RequestRefused(answers.TOO_LARGE)
    form = Form()
    readers: dict[str, Callable[[Any], Any]] = {
        "content": lambda value: form.text(value, ("content",), limits.CONTENT) or "",
        "embeds": lambda value: read_embeds(form, value),
        "username": lambda value: _username(form, value),
        "avatar_url": lambda value: form.url(value, ("avatar_url",)),
        "tts": lambda value: form.flag(value, ("tts",)),
        "flags": lambda value: (form.integer(value, ("flags",), (1 << 63) - 1) or 0) & SETTABLE_FLAGS,
        "allowed_mentions": lambda value: read_allowed(form, value),
        "attachments": lambda value: _attachments(form, value),
    }
    fields = {name: read(payload[name]) for name, read in readers.items() if name in payload}
    if len(uploads) > limits.FILES:
        form.refuse(("files",), "BASE_TYPE_MAX_LENGTH", f"Must be {limits.FILES} or fewer in length.")
    if form.errors:
        raise RequestRefused(answers.invalid_form(form.errors))
    return fields


def _username(form: Form, value: Any) -> str | None:
    if value is None:
        return None
    name = form.text(value, ("username",), 1 << 20)
    if not name or limits.units(name) > limits.USERNAME:
        text = f"Must be between 1 and {limits.USERNAME} in length."
        form.refuse(("username",), "BASE_TYPE_BAD_LENGTH", text)
        return name
    for word in limits.FORBIDDEN_IN_USERNAME:
        if word in name.lower():
            form.refuse(("username",), "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
    if name.lower() in limits.FORBIDDEN_USERNAMES:
        form.refuse(("username",), "USERNAME_INVALID", f'Username cannot be "{name}"')
    return name


def _attachments(form: Form, value: Any) -> list[dict[str, Any]]:
    attachments = []
    for number, given in enumerate(form.items(value, ("attachments",), limits.FILES)):
        at = ("attachments", number)
        record = form.record(given, at) or {}
        description = form.text(record.get("description"), (*at, "description"), limits.ATTACHMENT_DESCRIPTION)
        if record.get("id") is None:
            form.refuse((*at, "id"), "BASE_TYPE_REQUIRED", "This field is required")
        attachments.append(
            {"id": str(record.get("id")), "description": description, "filename": record.get("filename")}
        )
    return attachments
