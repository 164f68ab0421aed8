"""Tokens of the API: made, parsed, and read again when their file changes."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from structlog import get_logger

from infra.redaction import hide
from serving.config import ROLES, Role

SHORTEST: Final = 32
"""Characters of a token; those that `peacewatch token` makes have 43, 256 bits."""

LOOK_SECONDS: Final = 1.0
"""Seconds between looks at the file: a removed token stops working within this."""

_BYTES: Final = 32
_log = get_logger()


def new_token(role: Role) -> str:
    """A new entry for PEACEWATCH_API_TOKENS: `token:role`."""
    return f"{secrets.token_urlsafe(_BYTES)}:{role}"


def parse_tokens(text: str | None) -> dict[str, Role]:
    """`token:role[,token:role]`, a line break for a comma, as a mapping.

    Raises ValueError, which does not show the token.
    """
    tokens: dict[str, Role] = {}
    for entry in filter(None, (part.strip() for part in (text or "").replace("\n", ",").split(","))):
        token, _, role = entry.rpartition(":")
        if not token or role not in ROLES:
            raise ValueError(f"each entry is token:role, and a role is {', '.join(ROLES[:-1])} or {ROLES[-1]}")
        if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
            raise ValueError(
                f"a token has at least {SHORTEST} printable ASCII characters; `peacewatch token` makes one"
            )
        tokens[token] = role
    return tokens


class TokenFile(Mapping[str, Role]):
    """The tokens of a file, read again when it changes: tokens are rotated without a restart, and logs hide the new
    ones, too. A file that is unreadable or invalid changes nothing: the former tokens stay in force, and the log says
    why. An empty file counts as invalid, since no tokens would mean that everybody has access.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises ValueError or OSError for a file that is wrong from the start."""
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = clock()
        self._text = path.read_text(encoding="utf-8-sig")
        self._tokens = _some(self._text)

    def __getitem__(self, token: str) -> Role:
        return self._now()[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())

    def _now(self) -> Mapping[str, Role]:
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_SECONDS:
                self._looked_at = self._clock()
                self._look()
            return self._tokens

    def _look(self) -> None:
        try:
            text = self._path.read_text(encoding="utf-8-sig")
            if text != self._text:
                self._text, self._tokens = text, _some(text)
                _log.info("tokens replaced", tokens=len(self._tokens))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it has no valid tokens"
            _log.warning("new tokens not read: the former ones stay in force", reason=reason)


def _some(text: str) -> dict[str, Role]:
    tokens = parse_tokens(text)
    if not tokens:
        raise ValueError("the file names no token")
    hide(*tokens, source="PEACEWATCH_API_TOKENS_FILE")
    return tokens
