"""A channel's page, which looks as the channel does in Discord."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, Template

from laptop.discord_standin import answers, markdown
from laptop.discord_standin.answers import DiscordAnswer
from laptop.discord_standin.channel import Channels, KeptMessage
from laptop.discord_standin.request import Request

SHOWN: Final = 100  # the newest messages of a channel
TOGETHER_SECONDS: Final = 420  # messages of one author within seven minutes share a heading, as in Discord


_FILE: Final = re.compile(r"http://[^/]+(/attachments/10\d+/\d+/[^/]+)")


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader(__package__), autoescape=True, trim_blocks=True)
    environment.filters |= {"markdown": markdown.html, "here": _here, "clock": _clock, "day": _day, "bytes": _bytes}
    return environment.get_template("channel.html")


def answer(channels: Channels, request: Request, now: float) -> DiscordAnswer:
    """`/` and `/channels/{webhook}`; with `?part=messages` only the messages, for the page's own refresh."""
    known = dict(sorted(channels.webhooks.items(), key=lambda pair: int(pair[0])))
    key = request.path.removeprefix("/channels/") if request.path != "/" else next(iter(known), "")
    if request.method not in {"GET", "HEAD"} or key not in known:
        return answers.NOT_FOUND
    etag = f'"{channels.version}-{int(now // 86_400)}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Content-Security-Policy": POLICY}
    part = request.query.get("part") == "messages"
    if part and request.headers.get("if-none-match") == etag:
        return DiscordAnswer(304, headers=headers)
    stored = list(channels.messages.values())
    shown = [message for message in stored if message.webhook == key and message.deleted_at is None]
    html = _template().render(
        webhooks=known, counts=_counts(channels), here=known[key], rows=_rows(shown[-SHOWN:]), part=part,
        earlier=max(0, len(shown) - SHOWN), today=_day(datetime.fromtimestamp(now, UTC).isoformat()),
    )  # fmt: skip
    return DiscordAnswer(200, html.encode(), "text/html; charset=utf-8", headers)


POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: http: https:; base-uri 'none'; form-action 'none'"
)


def seconds_of(moment: str) -> float:
    """Seconds since 1970 of an RFC 3339 time."""
    return datetime.fromisoformat(moment).timestamp()


def _counts(channels: Channels) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kept in list(channels.messages.values()):
        counts[kept.webhook] = counts.get(kept.webhook, 0) + (kept.deleted_at is None)
    return counts


def _rows(shown: Sequence[KeptMessage]) -> list[dict[str, Any]]:
    """Each message, whether it is the first of its day, and whether it is the first under a heading."""
    rows: list[dict[str, Any]] = []
    for message in (kept.message for kept in shown):
        last = rows[-1]["message"] if rows else None
        new_day = last is None or _day(last["timestamp"]) != _day(message["timestamp"])
        head = new_day or _apart(last, message)
        in_embeds = {picture["url"] for embed in message["embeds"] for picture in _pictures(embed)}
        files = [file for file in message["attachments"] if file["url"] not in in_embeds]
        rows.append({"message": message, "day": new_day, "head": head, "files": files})
    return rows


def _apart(last: Any, message: dict[str, Any]) -> bool:
    pause = seconds_of(message["timestamp"]) - seconds_of(last["timestamp"])
    return bool(last["author"] != message["author"]) or pause > TOGETHER_SECONDS


def _pictures(embed: dict[str, Any]) -> list[dict[str, Any]]:
    return [embed[name] for name in ("image", "thumbnail") if name in embed]


def _here(url: str) -> str:
    """The path alone of a file of the stand-in, whose port may have changed since the file was sent."""
    file = _FILE.fullmatch(url)
    return file[1] if file else url


def _clock(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%H:%M}"


def _day(moment: str) -> str:
    return f"{datetime.fromisoformat(moment):%-d %B %Y}"


def _bytes(size: int) -> str:
    return f"{size / 1_000_000:.2f} MB" if size >= 1_000_000 else f"{size / 1000:.1f} KB"
