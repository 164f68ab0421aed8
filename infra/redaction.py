"""Hides secrets: patterns for what looks like a secret, and the secrets that this process has loaded.

`redact` is applied to every log line and to every sentence that ends a command.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, urlsplit

SHORTEST: Final = 6
"""Characters. A shorter secret would hide ordinary words in every line."""

# Repeats are bounded: a line may hold a stranger's megabyte, and must not take quadratic time.
_WORDS: Final = "password|passwd|pwd|secret|token|credential|api[_-]?key|access[_-]?key|signature"
_NAMES: Final = rf"(?:{_WORDS})[\w.-]{{0,60}}"
_RULES: Final = (
    # Discord: its id may show, its token not. Other hosts have the same path, or a path with no id.
    (re.compile(r"(/webhooks/\d+/)[^\s/?\"'#]+", re.I), r"\1***"),
    (re.compile(r"(/(?:web)?hooks?/)(?!\d+/\*\*\*)[^\s\"']+", re.I), r"\1***"),
    (re.compile(r"(://(?:[\w-]+\.)*(?:web)?hooks?\.[\w.-]+(?::\d+)?/)[^\s\"']+", re.I), r"\1***"),
    # A password in a URI, up to the last @: it may hold an @ or a / itself. `host:port/…@` of the web is none.
    (re.compile(r"(\b(?:https?|wss?)://[^\s:/@]{0,200}:)(?!\d{1,5}(?:[/?#]|$))\S{1,1000}@", re.I), r"\1***@"),
    (re.compile(r"(\b(?!(?:https?|wss?)://)[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,200}:)\S{1,1000}@", re.I), r"\1***@"),
    # token=…, "password": "…", &X-Amz-Signature=…
    (re.compile(rf"({_NAMES}=[\"']?)(?!\*\*\*)[^\s&;,\"']+", re.I), r"\1***"),
    (re.compile(rf"({_NAMES}[\"']\s*:\s*[\"'])(?!\*\*\*)[^\"']+", re.I), r"\1***"),
    (re.compile(r"(\bauthorization[\"']?\s*[:=]\s*[\"']?(?:\w+ +)?)[^\s\"',]+", re.I), r"\1***"),
    (re.compile(r"(\bbearer +)[\w.~+/=-]{8,}", re.I), r"\1***"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}"), r"\1***"),  # an AWS access key's id
)
_SECRET_NAME: Final = re.compile(rf"{_NAMES}$|\bauthorization$", re.I)
_loaded: set[str] = set()


def redact(text: str) -> str:
    """`text` with secrets hidden."""
    for pattern, blot in _RULES:
        text = pattern.sub(blot, text)
    for secret in sorted(_loaded, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def names_secret(key: str) -> bool:
    """Whether the value of this key is a secret, by the key's name."""
    return _SECRET_NAME.search(key) is not None


def hide(secret: str) -> None:
    """Hides `secret` from now on, wherever it occurs. Of a URI: its password, or the path if it has none."""
    _loaded.update(part for part in _parts(secret) if len(part) >= SHORTEST)


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
