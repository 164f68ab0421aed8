"""Discord's side of a webhook: execute it, and read, edit and delete its messages.

Source: https://docs.discord.com/developers/resources/webhook
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from laptop.discord_standin import answers, limits, message_form
from laptop.discord_standin.answers import DiscordAnswer, RequestRefused
from laptop.discord_standin.channel import GUILD, Change, Channels, KeptMessage, StandinWebhook
from laptop.discord_standin.form import Form
from laptop.discord_standin.log import Log
from laptop.discord_standin.mentions import mentioned
from laptop.discord_standin.request import Request, Upload

ROUTE: Final = re.compile(
    r"/api(?:/v\d+)?/webhooks/(?P<webhook>[^/]+)/(?P<token>[^/]+)(?:/messages/(?P<message>[^/]+))?"
)
Outcome = tuple[DiscordAnswer, Change | None]


def rfc3339(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class CheckedForm:
    """A request's form after the checks: its fields (`given`) and its files."""

    base_url: str
    webhook: StandinWebhook
    given: dict[str, Any]
    uploads: Sequence[Upload]
    now: float


class Webhooks:
    """Answers requests. A change that it returns is not applied yet: the caller logs it first."""

    def __init__(self, channels: Channels, log: Log) -> None:
        self.channels, self.log = channels, log
        self.file_bytes = limits.FILE_BYTES

    def answer(self, request: Request, now: float) -> Outcome:
        """Raises RequestRefused."""
        route = ROUTE.fullmatch(request.path)
        if not route:
            raise RequestRefused(answers.NOT_FOUND)
        webhook = self._webhook(route["webhook"], route["token"])
        on_message = route["message"] is not None
        methods = {"GET": self._get, "PATCH": self._edit, "DELETE": self._delete}
        if on_message and request.method in methods:
            return methods[request.method](request, webhook, self._message(webhook, route["message"]), now)
        if not on_message and request.method == "POST":
            return self._post(request, webhook, now)
        if not on_message and request.method == "GET":
            return answers.as_json(200, _describe(webhook, request.base_url)), None
        if not on_message and request.method == "DELETE":
            return answers.no_content(), {"kind": "webhook", "webhook": webhook.id, "token": None}
        raise RequestRefused(answers.NOT_ALLOWED)

    def _webhook(self, key: str, token: str) -> StandinWebhook:
        if not key.isdigit():
            form = Form()
            form.refuse(("webhook_id",), "NUMBER_TYPE_COERCE", f'Value "{key}" is not snowflake.')
            raise RequestRefused(answers.invalid_form(form.errors))
        webhook = self.channels.webhooks.get(key)
        if webhook is None or webhook.token is None:
            raise RequestRefused(answers.UNKNOWN_WEBHOOK)
        if webhook.token != token:
            raise RequestRefused(answers.INVALID_TOKEN)
        return webhook

    def _message(self, webhook: StandinWebhook, message_id: str) -> KeptMessage:
        kept = self.channels.find(webhook.id, message_id)
        if kept is None:
            raise RequestRefused(answers.UNKNOWN_MESSAGE)
        return kept

    def _get(self, _request: Request, _webhook: StandinWebhook, kept: KeptMessage, _now: float) -> Outcome:
        return answers.as_json(200, kept.message), None

    def _delete(self, _request: Request, webhook: StandinWebhook, kept: KeptMessage, now: float) -> Outcome:
        change = {"kind": "delete", "webhook": webhook.id, "message_id": kept.message["id"], "at": rfc3339(now)}
        return answers.no_content(), change

    def _post(self, request: Request, webhook: StandinWebhook, now: float) -> Outcome:
        form = self._check(request, webhook, now)
        _refuse_threads(request, request.form[0])
        message = _new_message(webhook, form.given, self.channels.new_id(now), now)
        change = self._change(form, "post", message)
        wait = request.query.get("wait", "").lower() in {"true", "1"}
        return (answers.as_json(200, change["message"]) if wait else answers.no_content()), change

    def _edit(self, request: Request, webhook: StandinWebhook, kept: KeptMessage, now: float) -> Outcome:
        form = self._check(request, webhook, now)
        change = self._change(form, "edit", {**kept.message, "edited_timestamp": rfc3339(now)})
        return answers.as_json(200, change["message"]), change

    def _check(self, request: Request, webhook: StandinWebhook, now: float) -> CheckedForm:
        payload, uploads = request.form
        given = message_form.read_message(payload, uploads, self.file_bytes)
        return CheckedForm(request.base_url, webhook, given, uploads, now)

    def _change(self, form: CheckedForm, kind: str, message: dict[str, Any]) -> dict[str, Any]:
        """The change that sets the form's fields in `message`. Raises RequestRefused for an empty message."""
        message |= {name: form.given[name] for name in ("content", "embeds", "flags") if name in form.given}
        message["attachments"] = self._attachments(form, message["attachments"])
        if not (message["content"] or message["embeds"] or message["attachments"]):
            raise RequestRefused(answers.EMPTY_MESSAGE)
        message["embeds"] = _with_files(message["embeds"], message["attachments"])
        calls = mentioned(message["content"], form.given.get("allowed_mentions"))
        message["mention_everyone"] = calls["everyone"]
        message["mentions"] = [{"id": user} for user in calls["users"]]
        message["mention_roles"] = calls["roles"]
        return {"kind": kind, "webhook": form.webhook.id, "at": rfc3339(form.now), "message": message, "calls": calls}

    def _attachments(self, form: CheckedForm, old: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The old files that stay (all, unless the form lists some), then the new ones."""
        described = {item["id"]: item for item in form.given.get("attachments", ())}
        attachments = [item for item in old if "attachments" not in form.given or item["id"] in described]
        for upload in form.uploads:
            key = self.channels.new_id(form.now)
            filename = re.sub(r"[^\w.-]+", "_", upload.filename, flags=re.ASCII) or "unknown"
            url = f"{form.base_url}/attachments/{form.webhook.channel_id}/{key}/{filename}"
            item = {"id": key, "filename": filename, "size": len(upload.content), "url": url, "proxy_url": url}
            item["content_type"] = upload.content_type or "application/octet-stream"
            if description := described.get(str(upload.number), {}).get("description"):
                item["description"] = description
            self.log.keep_file(key, upload.content)
            attachments.append(item)
        return attachments


def _refuse_threads(request: Request, payload: dict[str, Any]) -> None:
    """The stand-in's channels are plain text channels, without threads."""
    if "thread_id" in request.query:
        raise RequestRefused(answers.UNKNOWN_CHANNEL)
    if payload.get("thread_name"):
        raise RequestRefused(answers.NOT_FORUM)


def _new_message(webhook: StandinWebhook, given: dict[str, Any], message_id: str, now: float) -> dict[str, Any]:
    """https://docs.discord.com/developers/resources/message#message-object"""
    author = {"id": webhook.id, "username": given.get("username") or webhook.name.capitalize(), "bot": True}
    return {
        "id": message_id,
        "type": 0,
        "content": "",
        "channel_id": webhook.channel_id,
        "author": {**author, "avatar": None, "discriminator": "0000"},
        "attachments": [],
        "embeds": [],
        "components": [],
        "pinned": False,
        "tts": given.get("tts", False),
        "timestamp": rfc3339(now),
        "edited_timestamp": None,
        "flags": 0,
        "webhook_id": webhook.id,
    }


def _with_files(embeds: Sequence[dict[str, Any]], files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The embeds with `attachment://name` replaced by the file's address."""
    urls = {f"attachment://{file['filename']}": file["url"] for file in files}

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: resolved(inner) for name, inner in value.items()}
        return urls.get(value, value) if isinstance(value, str) else value

    return [resolved(embed) for embed in embeds]


def _describe(webhook: StandinWebhook, base_url: str) -> dict[str, Any]:
    """https://docs.discord.com/developers/resources/webhook#webhook-object"""
    url = f"{base_url}/api/webhooks/{webhook.id}/{webhook.token}"
    about = {"id": webhook.id, "type": 1, "channel_id": webhook.channel_id, "guild_id": GUILD, "name": webhook.name}
    return {**about, "avatar": None, "token": webhook.token, "application_id": None, "url": url}
