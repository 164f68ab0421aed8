"""The stand-in's control API, which Discord does not have: received messages, failures on demand, other limits."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, Final

from laptop.discord_standin import answers
from laptop.discord_standin.answers import DiscordAnswer
from laptop.discord_standin.channel import KeptMessage
from laptop.discord_standin.limits import FILE_BYTES
from laptop.discord_standin.ratelimit import Limits
from laptop.discord_standin.request import Request

if TYPE_CHECKING:
    from laptop.discord_standin.app import StandIn

FILE_LIMIT: Final = "file_bytes"


class Control:
    """`/control/…`; a wrong request gets a 400 with one sentence."""

    def __init__(self, standin: StandIn) -> None:
        self._standin = standin
        self._routes = {
            ("GET", "/control/messages"): self._messages,
            ("GET", "/control/log"): self._log,
            ("GET", "/control/state"): self._state,
            ("POST", "/control/fail"): self._fail,
            ("POST", "/control/limits"): self._limits,
            ("POST", "/control/webhook"): self._webhook,
            ("POST", "/control/reset"): self._reset,
        }

    def answer(self, request: Request) -> DiscordAnswer:
        route = self._routes.get((request.method, request.path))
        if route is None:
            return answers.as_json(404, {"error": "no such control"})
        try:
            wanted = json.loads(request.body or b"{}") if request.method == "POST" else dict(request.query)
            return answers.as_json(200, route(wanted))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return answers.as_json(400, {"error": str(error)})

    def _messages(self, query: dict[str, Any]) -> dict[str, Any]:
        """Each message's latest version, oldest first. `webhook` selects one webhook, `deleted` adds deleted ones."""
        stored = list(self._standin.channels.messages.values())
        matching = [message for message in stored if query.get("webhook") in (None, message.webhook)]
        with_deleted = query.get("deleted") in ("true", "1")
        return {"messages": [_as_json(message) for message in matching if with_deleted or message.deleted_at is None]}

    def _log(self, query: dict[str, Any]) -> dict[str, Any]:
        """Every request with its answer; `after` skips that many of the oldest."""
        return {"requests": list(self._standin.log.entries())[int(query.get("after", 0)) :]}

    def _state(self, _query: dict[str, Any]) -> dict[str, Any]:
        standin = self._standin
        return {
            "limits": asdict(standin.limiter.limits) | {FILE_LIMIT: standin.webhooks.file_bytes},
            "failures": [asdict(failure) for failure in standin.failures.waiting],
            "webhooks": [asdict(webhook) for webhook in standin.channels.webhooks.values()],
        }

    def _fail(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return asdict(self._standin.failures.add(wanted))

    def _limits(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Sets the named limits and resets all counts."""
        known = {field.name for field in fields(Limits)}
        if unknown := wanted.keys() - known - {FILE_LIMIT}:
            raise ValueError(f"no such limit: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
        standin = self._standin
        standin.webhooks.file_bytes = int(wanted.pop(FILE_LIMIT, standin.webhooks.file_bytes))
        changed: dict[str, Any] = {name: _number(name, value) for name, value in wanted.items()}
        standin.limiter.reset(replace(standin.limiter.limits, **changed))
        return asdict(standin.limiter.limits)

    def _webhook(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """`token`: its new token, or null to delete it; another id makes a new webhook."""
        key, token = str(wanted["webhook"]), wanted["token"]
        if not key.isdigit() or (token is not None and (not isinstance(token, str) or not token or "/" in token)):
            raise ValueError("webhook is a number, token a text without a slash, or null")
        self._standin.change({"kind": "webhook", "webhook": key, "token": token, "name": wanted.get("name")})
        return asdict(self._standin.channels.webhooks[key])

    def _reset(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Resets failures, limits and webhooks, as in a new stand-in; deletes the messages if `messages` is true."""
        standin = self._standin
        standin.failures.waiting.clear()
        standin.limiter.reset(Limits())
        standin.webhooks.file_bytes = FILE_BYTES
        standin.change({"kind": "clear", "messages": bool(wanted.get("messages", False))})
        return self._state({})


def _number(name: str, value: Any) -> float:
    """A count of requests is an integer, a time in seconds is not; neither is negative."""
    number = float(value) if name.endswith("_seconds") else int(value)
    if number < 0:
        raise ValueError(f"{name} is negative")
    return number


def _as_json(kept: KeptMessage) -> dict[str, Any]:
    history = {"posts": 1, "edits": len(kept.edited_at), "posted_at": kept.posted_at, "edited_at": kept.edited_at}
    return {**kept.message, "webhook": kept.webhook, **history, "deleted_at": kept.deleted_at, "calls": kept.calls}
