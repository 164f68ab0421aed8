"""Answers: status, headers and body, of Discord itself and of the edge in front of it (HTML, no `Via`).

Codes: https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Final

VIA: Final = "1.1 google"  # on Discord's own answers only: its absence marks an answer of the edge


@dataclass(frozen=True)
class DiscordAnswer:
    """One HTTP answer. `delay` seconds pass before it is sent; `reset` sends nothing and resets the connection."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    code: int | None = None
    delay: float = 0.0
    reset: bool = False


class RequestRefused(Exception):
    """The request is not accepted; `answer` says why."""

    def __init__(self, answer: DiscordAnswer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def as_json(status: int, content: Any, headers: dict[str, str] | None = None) -> DiscordAnswer:
    code = content.get("code") if status >= 400 and isinstance(content, dict) else None
    body = json.dumps(content, ensure_ascii=False).encode()
    return DiscordAnswer(status, body, "application/json", {"Via": VIA, **(headers or {})}, code)


def no_content() -> DiscordAnswer:
    return DiscordAnswer(204, headers={"Via": VIA})


def error(status: int, code: int, message: str, errors: dict[str, Any] | None = None) -> DiscordAnswer:
    return as_json(status, {"message": message, "code": code, **({"errors": errors} if errors else {})})


def invalid_form(errors: dict[str, Any]) -> DiscordAnswer:
    return error(400, 50035, "Invalid Form Body", errors)


def too_many(retry_after: float, scope: str = "user") -> DiscordAnswer:
    """Discord's own 429. https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit"""
    headers = {"Retry-After": str(max(1, math.ceil(retry_after))), "X-RateLimit-Scope": scope}
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    body = {"message": "You are being rate limited.", "retry_after": round(retry_after, 3), "global": scope == "global"}
    return as_json(429, body, headers)


def from_edge(status: int, title: str, text: str, retry_after: float | None = None) -> DiscordAnswer:
    """A page of the edge (Cloudflare): HTML, without Discord's headers."""
    page = f"<!DOCTYPE html>\n<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n"
    page += f"<hr><center>{text}</center>\n</body>\n</html>\n"
    headers = {"Server": "cloudflare"}
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    return DiscordAnswer(status, page.encode(), "text/html; charset=UTF-8", headers)


def banned(retry_after: float) -> DiscordAnswer:
    """The edge's answer to an address that has sent too many invalid requests: error 1015."""
    return from_edge(429, "Access denied | discord.com", "error code: 1015. You are being rate limited", retry_after)


UNKNOWN_WEBHOOK: Final = error(404, 10015, "Unknown Webhook")
UNKNOWN_MESSAGE: Final = error(404, 10008, "Unknown Message")
UNKNOWN_CHANNEL: Final = error(404, 10003, "Unknown Channel")
INVALID_TOKEN: Final = error(401, 50027, "Invalid Webhook Token")
EMPTY_MESSAGE: Final = error(400, 50006, "Cannot send an empty message")
INVALID_JSON: Final = error(400, 50109, "The request body contains invalid JSON.")
TOO_LARGE: Final = error(413, 40005, "Request entity too large")
NOT_FORUM: Final = error(400, 220003, "Webhooks can only create threads in forum channels")
NOT_FOUND: Final = as_json(404, {"message": "404: Not Found", "code": 0})
NOT_ALLOWED: Final = as_json(405, {"message": "405: Method Not Allowed", "code": 0})
UNAUTHORIZED: Final = as_json(401, {"message": "401: Unauthorized", "code": 0})
FORBIDDEN: Final = error(403, 50013, "Missing Permissions")
BLOCKED: Final = as_json(403, {"message": "internal network error", "code": 40333}, {"Server": "cloudflare"})
"""The answer to an address that the edge (Cloudflare) blocks. It looks like Discord's own."""
SERVER_ERROR: Final = as_json(500, {"message": "500: Internal Server Error", "code": 0})
