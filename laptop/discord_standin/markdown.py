"""The part of Discord's markdown that messages use, as HTML. Everything else stays text, and text is escaped.

Source: https://docs.discord.com/developers/reference#message-formatting and Discord's "Markdown Text 101".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup, escape

_INLINE: Final = re.compile(
    r"\\(?P<escaped>[\\`*_{}\[\]()#+\-.!|~>@:])"
    r"|`(?P<code>[^`\n]+)`"
    r"|\[(?P<label>[^\]\n]+)\]\(<?(?P<link>https?://[^\s)>]+)>?\)"
    r"|<?(?P<url>https?://[^\s<>]+[^\s<>.,:;\"')\]])>?"
    r"|<t:(?P<time>-?\d{1,11})(?::[tTdDfFR])?>"
    r"|\*\*(?P<strong>.+?)\*\*(?!\*)"
    r"|__(?P<u>.+?)__(?!_)"
    r"|~~(?P<s>.+?)~~"
    r"|\|\|(?P<spoiler>.+?)\|\|"
    r"|\*(?![\s*])(?P<em>(?:\*\*[^*]+\*\*|[^*])+)(?<!\s)\*(?!\*)"
    r"|(?<!\w)_(?P<em2>[^\s_](?:[^_]*[^\s_])?)_(?!\w)"
    r"|(?P<mention><@[!&]?\d+>|@everyone\b|@here\b)",
    re.DOTALL,
)
_BLOCK: Final = re.compile(r"```(?:[\w+-]*\n)?(.+?)```", re.DOTALL)
_TAGS: Final = {"strong": "strong", "u": "u", "s": "s", "em": "em", "em2": "em"}
_FORMS: Final = {
    "code": "<code>{}</code>",
    "spoiler": "<span class='spoiler'>{}</span>",
    "mention": "<span class='mention'>{}</span>",
}
_LINE: Final = re.compile(r"(?P<heading>#{1,3}) (?P<title>.+)|-# (?P<small>.+)|> (?P<quote>.*)|\s*[-*] (?P<item>.+)")


def html(text: str | None) -> Markup:
    """`text` as HTML with only the tags written here."""
    parts = _BLOCK.split(text or "")
    made = [Markup("<pre>{}</pre>").format(part.strip("\n")) if n % 2 else _lines(part) for n, part in enumerate(parts)]
    return Markup("").join(made)


def _lines(text: str) -> Markup:
    made: list[Markup] = []
    plain: list[str] = []
    for line in [*text.strip("\n").split("\n"), None]:
        found = _LINE.fullmatch(line) if line is not None else None
        if line is not None and found is None:
            plain.append(line)
            continue
        if plain:
            made.append(Markup("<span>{}</span>").format(_inline("\n".join(plain))) if any(plain) else Markup("<br>"))
            plain = []
        if found:
            made.append(_line(found))
    return Markup("").join(made)


def _line(found: re.Match[str]) -> Markup:
    if found["heading"]:
        return Markup("<div class='h{}'>{}</div>").format(len(found["heading"]), _inline(found["title"]))
    for group, form in (("small", "<small>{}</small>"), ("quote", "<blockquote>{}</blockquote>")):
        if found[group] is not None:
            return Markup(form).format(_inline(found[group]))  # noqa: S704 - the form is ours
    return Markup("<div class='item'>{}</div>").format(_inline(found["item"]))


def _inline(text: str) -> Markup:
    made, at = [], 0
    for found in _INLINE.finditer(text):
        made += [escape(text[at : found.start()]), _token(found)]
        at = found.end()
    return Markup("").join([*made, escape(text[at:])])


def _token(found: re.Match[str]) -> Markup:
    kind = found.lastgroup or ""
    if kind == "link":
        return Markup("<a href='{}' rel='noreferrer noopener' target='_blank'>{}</a>").format(
            found["link"], _inline(found["label"])
        )
    inner = found[kind]
    if kind in _TAGS:
        return Markup(f"<{_TAGS[kind]}>{{}}</{_TAGS[kind]}>").format(_inline(inner))  # noqa: S704 - the tag is ours
    if kind == "url":
        return Markup("<a href='{0}' rel='noreferrer noopener' target='_blank'>{0}</a>").format(inner)
    if kind == "time":
        return _time(int(inner), found[0])
    if kind == "escaped":
        return escape(inner)
    form = _FORMS[kind]
    return Markup(form).format(inner)  # noqa: S704 - the form is ours


def _time(seconds: int, written: str) -> Markup:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return escape(written)
    return Markup("<time class='stamp' datetime='{}'>{}</time>").format(
        moment.isoformat(), f"{moment:%d %B %Y %H:%M} UTC"
    )
