"""Hides secrets: patterns for what looks like a secret, and the secrets that this process has loaded.

`redact` is applied to every log line and to every sentence that ends a command.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import Final
from urllib.parse import unquote, urlsplit

SHORTEST: Final = 6
"""Characters. A shorter secret would hide ordinary words in every line."""

REMEMBERED: Final = 8
"""Values of one source that stay hidden: a line may still name the one before. A token may be replaced each minute, and
every one is looked for in every line."""

# Repeats are bounded: a line may hold a stranger's megabyte, and must not take quadratic time.
_WORDS: Final = "password|passwd|pwd|secret|token|credential|api[_-]?key|access[_-]?key|signature"
_NAMES: Final = rf"(?:{_WORDS})[\w.-]{{0,60}}"
_WORD_HINTS: Final = ("password", "passwd", "pwd", "secret", "token", "credent", "key", "gnature")
"""A part of each of _WORDS, without an i: `re.I` takes more of Unicode's letters for an i than `casefold` does."""


@dataclass(frozen=True)
class Rule:
    """`pattern` becomes `blot` in a text that has one of `hints` in it.

    Looking for the hints first costs a twentieth of trying every pattern, and most lines have none of them.
    """

    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    blot: str = r"\1***"


RULES: Final = (
    # Discord: its id may show, its token not. Other hosts have the same path, or a path with no id.
    Rule(("hook",), re.compile(r"(/webhooks/\d+/)[^\s/?\"'#]+", re.I)),
    Rule(("hook",), re.compile(r"(/(?:web)?hooks?/)(?!\d+/\*\*\*)[^\s\"']+", re.I)),
    Rule(("hook",), re.compile(r"(://(?:[\w-]+\.)*(?:web)?hooks?\.[\w.-]+(?::\d+)?/)[^\s\"']+", re.I)),
    # A password in a URI, up to the last @: it may hold an @ or a / itself. `host:port/…@` of the web is none.
    Rule(
        ("://",),
        re.compile(r"(\b(?:https?|wss?)://[^\s:/@]{0,200}:)(?!\d{1,5}(?:[/?#]|$))\S{1,1000}@", re.I),
        r"\1***@",
    ),
    Rule(
        ("://",),
        re.compile(r"(\b(?!(?:https?|wss?)://)[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,200}:)\S{1,1000}@", re.I),
        r"\1***@",
    ),
    # token=…, "password": "…", &X-Amz-Signature=…
    Rule(_WORD_HINTS, re.compile(rf"({_NAMES}=[\"']?)(?!\*\*\*)[^\s&;,\"']+", re.I)),
    Rule(_WORD_HINTS, re.compile(rf"({_NAMES}[\"']\s*:\s*[\"'])(?!\*\*\*)[^\"']+", re.I)),
    Rule(("author",), re.compile(r"(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:\w+ +)?)[^\s\"',]+", re.I)),
    Rule(("bearer",), re.compile(r"(\bbearer +)[\w.~+/=-]{8,}", re.I)),
    Rule(("akia", "asia"), re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}")),  # an AWS access key's id
)
_SECRET_NAME: Final = re.compile(rf"{_NAMES}$|\bauthorization$", re.I)


class Loaded:
    """The secrets that a process has loaded. Threads that connect load new ones while others write lines."""

    def __init__(self) -> None:
        self.longest_first: tuple[str, ...] = ()
        self._lock = Lock()
        self._values: dict[str, deque[frozenset[str]]] = {}  # by source

    def add(self, source: str, parts: frozenset[str]) -> None:
        with self._lock:
            values = self._values.setdefault(source, deque(maxlen=REMEMBERED))
            if parts not in values:
                values.append(parts)
                everything = {part for each in self._values.values() for value in each for part in value}
                self.longest_first = tuple(sorted(everything, key=len, reverse=True))


_loaded = Loaded()


def redact(text: str) -> str:
    """`text` with secrets hidden."""
    folded = text.casefold()
    for rule in RULES:
        if any(hint in folded for hint in rule.hints):
            text = rule.pattern.sub(rule.blot, text)
    for secret in _loaded.longest_first:
        text = text.replace(secret, "***")
    return text


def names_secret(key: str) -> bool:
    """Whether the value of this key is a secret, by the key's name."""
    return _SECRET_NAME.search(key) is not None


def hide(*secrets: str, source: str | None = None) -> None:
    """Hides `secrets` from now on, wherever they occur. Of a URI: its password, or the path if it has none.

    `source` is where they come from, if they may be replaced: its last REMEMBERED values stay hidden. None: for good.
    """
    parts = frozenset(part for secret in secrets for part in _parts(secret) if len(part) >= SHORTEST)
    _loaded.add(source or "\n".join(secrets), parts)


def _parts(secret: str) -> set[str]:
    if "://" not in secret:
        return {secret}
    try:
        uri = urlsplit(secret)
        password = uri.password
    except ValueError:
        return {secret}
    if password:
        return {password, unquote(password)}
    if uri.scheme in {"http", "https"}:  # a webhook: its path is the secret
        return {part for part in (uri.path.rpartition("/")[2], uri.query) if part}
    return set()
