"""Finding watchwords in what a drone heard, in any script. Pure.

Text and words are compared without regard to case, normal form, width and unseen characters (NFKC_Casefold of UAX 31).
Beyond that, so that nothing is missed: the dotted and dotless i of Turkish are one letter, and Arabic and Hebrew vowel
points, which writers may leave out, are ignored.

A word is whole by the default word boundaries of Unicode (UAX 29), which know the marks of Indic scripts; an
apostrophe, a full stop or a colon divides a word, so `fire's` has `fire`. Scripts without spaces (Chinese, Japanese
kanji, Thai) have a boundary between any two characters there: a word is found anywhere. The time is linear in the
text's length, whatever is in it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Final

import regex  # type: ignore[import-untyped]

MARKS: Final = 30
"""Marks on one letter that count, as in Unicode's stream-safe text (UAX 15): normal forms sort marks, and sorting a
megabyte of them would take minutes."""

SEARCHED: Final = 100_000
"""Characters of a text that are searched: a hundred times what is spoken in a minute. Some 0.1 s at worst."""

_LONG_LIGATURES: Final = "\u3300-\u3357\ufdfa\ufdfb"
"""Single characters that expand to words of up to 18 letters: no watchwords, and they lengthen a text most."""

_RARE: Final = regex.compile(rf"[\p{{Default_Ignorable_Code_Point}}{_LONG_LIGATURES}]|\p{{M}}{{{MARKS + 1}}}")
_UNSEEN: Final = regex.compile(r"\p{Default_Ignorable_Code_Point}+")
_MANY_MARKS: Final = regex.compile(rf"(\p{{M}}{{{MARKS}}})\p{{M}}+")
_LIGATURE: Final = regex.compile(f"[{_LONG_LIGATURES}]")

_POINTS: Final = regex.compile(
    "[\u0610-\u061a\u0640\u064b-\u0652\u0656-\u065f\u0670\u06d6-\u06ed\u0591-\u05bd\u05bf-\u05c7]+"
)
"""Vowel points and cantillation of Arabic and Hebrew, and the line that stretches an Arabic word."""

_MID_WORD: Final = "'.:·‘’‧՟״"
"""What UAX 29 lets stand within a word (MidLetter, MidNumLet, Single_Quote), after NFKC."""

_MID_WORDS: Final = regex.compile(f"[{regex.escape(_MID_WORD)}]")
_MID_WORDS_ASCII: Final = str.maketrans(dict.fromkeys("'.:", " "))

_WHOLE: Final = regex.WORD | regex.VERSION1
"""A boundary is one of UAX 29."""

_DOTTED: Final = "i\u0307"
"""What the capital dotted I of Turkish is folded to."""


def folded(text: str) -> str:
    """`text` in the form in which texts and words are compared."""
    if text.isascii():
        return " ".join(text.lower().translate(_MID_WORDS_ASCII).split())
    if _RARE.search(text):
        text = _LIGATURE.sub(" ", _MANY_MARKS.sub(r"\1", _UNSEEN.sub("", text)))
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _POINTS.sub("", text).replace(_DOTTED, "i").replace("ı", "i")
    return " ".join(_MID_WORDS.sub(" ", text).split())


class Watchwords:
    """Finds any of `words`, each of which must have something that can be heard."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = {folded(word): word for word in words}
        whole = "|".join(regex.escape(word) for word in sorted(self._words, key=len, reverse=True))
        self._pattern = regex.compile(rf"\b(?:{whole})\b", _WHOLE)

    def find(self, text: str) -> str:
        """The first word in `text`, as it is written there or else in the rule; empty if there is none."""
        start = text[:SEARCHED]
        heard = folded(start)
        if not any(word in heard for word in self._words):
            return ""  # nearly every report: a boundary costs ten times as much
        match = self._pattern.search(heard)
        if match is None or (match.end() == len(heard) and _is_within_word(text)):
            return ""
        word = self._words[match.group()]
        as_heard = regex.search(rf"\b{regex.escape(word)}\b", start, _WHOLE | regex.IGNORECASE)
        return as_heard.group() if as_heard else word


def _is_within_word(text: str) -> bool:
    """Whether SEARCHED may divide a word: then its end is unknown."""
    return len(text) > SEARCHED and not (text[SEARCHED - 1].isspace() or text[SEARCHED].isspace())
