"""Text from drones made harmless for Discord and terminals, lengths in Discord's unit, and errors as one line. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_MARKDOWN: Final = frozenset("\\*_~`|>#-+[]()<@:.!&")
"""Characters with a meaning in Discord's markdown, mentions, time stamps or link detection.

A backslash before one shows the character itself (Discord's help page, Markdown Text 101).
"""

_ISOLATE: Final = "\u2068"
_POP: Final = "\u2069"
"""First strong isolate and its end (Unicode UAX 9): a right-to-left name does not turn the text around it."""

_DROPPED: Final = frozenset({"Cc", "Cf", "Cs", "Co"})
"""Controls, format marks (overrides of direction too), lone surrogates: all invisible. The joiner of emoji and of some
scripts is kept.
"""

_JOINERS: Final = frozenset("\u200c\u200d")
ELLIPSIS: Final = "…"
_COLOUR: Final = re.compile("\x1b\\[[0-9;]*m")

_MOVES: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What a terminal obeys: controls of both ranges but tab and line end, lines of Unicode, marks of direction."""


def escaped(text: str) -> str:
    """`text` for a terminal or a log: what would move the cursor, colour, or turn the text around is shown as JSON's
    escape for it, `\\u001b`. So a line of JSON says the same afterwards."""
    return _MOVES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def units(text: str) -> int:
    """Length in UTF-16 code units, the unit of Discord's limits."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def plain(text: str, limit: int) -> str:
    """`text` as Discord shows it word for word, at most `limit` UTF-16 units, cut with an ellipsis.

    Escapes are never cut in two, nor a character outside the basic plane.
    """
    pieces = [_harmless(character) for character in " ".join(text[: 4 * limit + 4].split())]
    return _fit(pieces, limit, cut=len(text) > 4 * limit + 4)


def isolated(text: str, limit: int) -> str:
    """`plain`, isolated by direction, so that it does not turn the text around it. Empty stays empty."""
    shown = plain(text, limit - 2)
    return f"{_ISOLATE}{shown}{_POP}" if shown else ""


def sentence(error: Exception) -> str:
    """The error's text as one line of at most 300 characters, without terminal colours."""
    return " ".join(_COLOUR.sub("", str(error)).split())[:300]


def _harmless(character: str) -> str:
    if character in _JOINERS:
        return character
    if unicodedata.category(character) in _DROPPED:
        return ""
    return f"\\{character}" if character in _MARKDOWN else character


def _fit(pieces: list[str], limit: int, cut: bool) -> str:
    if limit <= 0:
        return ""
    if not cut and sum(map(units, pieces)) <= limit:
        return "".join(pieces)
    kept, room = [], limit - units(ELLIPSIS)
    for piece in pieces:
        room -= units(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept).rstrip() + ELLIPSIS
