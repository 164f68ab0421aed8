"""The part of Discord's markdown that messages use, as HTML. Everything else stays text, and text is escaped.

markdown-it-py parses it. Inline rules that Discord shares with CommonMark come with the library. Discord's own rules,
and its blocks of one line each, are defined here.

Source: https://docs.discord.com/developers/reference#message-formatting and Discord's "Markdown Text 101".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup, escape

INLINE: Final = ("escape", "backticks", "strikethrough", "emphasis", "link", "newline", "balance_pairs")
"""CommonMark's rules that Discord has. It shows no images, HTML, entities or references."""

_LINE: Final = re.compile(r"(?P<heading>#{1,3}) (?P<title>.+)|-# (?P<small>.+)|> (?P<quote>.*)|\s*[-*] (?P<item>.+)")
_TAGS: Final = {"small": ("small", ""), "quote": ("blockquote", ""), "item": ("div", "item")}
_URL: Final = re.compile(r"<?(https?://[^\s<>\]]+[^\s<>.,:;\"')\]])>?")
_TIME: Final = re.compile(r"<t:(-?\d{1,11})(?::[tTdDfFR])?>")
_MENTION: Final = re.compile(r"<@[!&]?\d+>|@everyone\b|@here\b")
_BLOCK: Final = re.compile(r"```(?:[\w+-]*\n)?(.+?)```", re.DOTALL)
_FENCE: Final = "```"
_SPOILER: Final = "||"


def html(text: str | None) -> Markup:
    """`text` as HTML that has only the tags of this module."""
    return Markup(_MARKDOWN.render(text or ""))  # noqa: S704 - the renderer escapes what is not its own


def _line(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """A heading, small text, a quote or a list item: one line, whatever comes before and after it."""
    line = _line_of(state, start)
    match = _LINE.fullmatch(line)
    if match is None:
        return False
    if not silent:
        kind = "heading" if match["heading"] else next(name for name in _TAGS if match[name] is not None)
        tag, shown_as = ("div", f"h{len(match['heading'])}") if match["heading"] else _TAGS[kind]
        _block(state, tag, shown_as, match["title" if match["heading"] else kind], (start, start + 1))
    return True


def _text(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Lines of text, including empty lines between them."""
    if silent:
        return True
    lines = [_line_of(state, start)]
    for number in range(start + 1, end):
        line = _line_of(state, number)
        is_code = "\n".join(lines).count(_FENCE) % 2 and _FENCE in state.src[state.bMarks[number] :]
        if not is_code and _LINE.fullmatch(line):
            break
        lines.append(line)
    _block(state, "span", "", "\n".join(lines).rstrip("\n"), (start, start + len(lines)))
    return True


def _line_of(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] : state.eMarks[number]]


def _block(state: StateBlock, tag: str, shown_as: str, text: str, lines: tuple[int, int]) -> None:
    opened = state.push("line_open", tag, 1)
    opened.attrs = {"class": shown_as} if shown_as else {}
    inline = state.push("inline", "", 0)
    inline.content, inline.children = text, []
    state.push("line_close", tag, -1)
    state.line = lines[1]


def _fence(state: StateInline, silent: bool) -> bool:
    """A code block, which Discord allows in the middle of a line, too."""
    return _push(state, silent, _BLOCK, "fence", group=1)


def _link(state: StateInline, silent: bool) -> bool:
    """A bare URL, with or without angle brackets."""
    return state.linkLevel == 0 and _push(state, silent, _URL, "address", group=1)


def _time(state: StateInline, silent: bool) -> bool:
    return _push(state, silent, _TIME, "stamp")


def _mention(state: StateInline, silent: bool) -> bool:
    return _push(state, silent, _MENTION, "mention")


def _push(state: StateInline, silent: bool, pattern: re.Pattern[str], kind: str, group: int = 0) -> bool:
    match = pattern.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push(kind, "", 0).content = match[group]
    state.pos = match.end()
    return True


def _spoiler(state: StateInline, silent: bool) -> bool:
    end = state.src.find(_SPOILER, state.pos + 3, state.posMax)
    if not state.src.startswith(_SPOILER, state.pos) or end < 0:
        return False
    if not silent:
        state.push("spoiler", "", 0).content = state.src[state.pos + 2 : end]
    state.pos = end + 2
    return True


class _Renderer(RendererHTML):
    """Each method renders the tokens that have its name."""

    def line_open(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        shown_as = f" class='{tokens[at].attrs['class']}'" if tokens[at].attrs else ""
        return f"<{tokens[at].tag}{shown_as}>"

    def line_close(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        return f"</{tokens[at].tag}>"

    def strong_open(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        """In Discord, two underscores underline."""
        return "<u>" if tokens[at].markup == "__" else "<strong>"

    def strong_close(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        return "</u>" if tokens[at].markup == "__" else "</strong>"

    def hardbreak(self, _tokens: Sequence[Token], _at: int, _options: Any, _env: Any) -> str:
        return "\n"  # the page keeps line ends as they are

    def link_open(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        return _link_to(str(tokens[at].attrs["href"]))

    def address(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        address = tokens[at].content
        return f"{_link_to(address)}{escape(address)}</a>"

    def fence(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        code = tokens[at].content.strip("\n")
        return f"<pre>{escape(code)}</pre>"

    def spoiler(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        return f"<span class='spoiler'>{escape(tokens[at].content)}</span>"

    def mention(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        return f"<span class='mention'>{escape(tokens[at].content)}</span>"

    def stamp(self, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
        text = tokens[at].content
        seconds = _TIME.fullmatch(text)
        try:
            moment = datetime.fromtimestamp(int(seconds[1]) if seconds else 0, UTC)
        except (OverflowError, ValueError, OSError):
            return escape(text)
        return f"<time class='stamp' datetime='{moment.isoformat()}'>{moment:%d %B %Y %H:%M} UTC</time>"


def _link_to(address: str) -> str:
    return f"<a href='{escape(address)}' rel='noreferrer noopener' target='_blank'>"


class _Discord(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        return url.startswith(("http://", "https://"))


def _build() -> MarkdownIt:
    markdown = _Discord("zero", {"maxNesting": 20}, renderer_cls=_Renderer).enable(INLINE)
    markdown.block.ruler.before("paragraph", "line", _line)
    markdown.block.ruler.at("paragraph", _text)
    inline = markdown.inline
    for name, rule in (("fence", _fence), ("time", _time), ("mention", _mention), ("address", _link)):
        inline.ruler.before("backticks", name, rule)
    inline.ruler.before("backticks", "spoiler", _spoiler)
    for first in "|h":  # the first characters of a spoiler and of an address
        inline.add_terminator_char(first)
    return markdown


_MARKDOWN: Final = _build()
