"""Who may do what: a token has a role, viewer or operator.

Programs send it as `Authorization: Bearer …`. A browser exchanges it for a cookie (`POST /api/v1/session`): links,
frames and event streams carry no such header. The cookie names a token and when it ends, signed with the token itself:
the server keeps no sessions, and a token that is taken away ends all of its own.

Without any token in the settings everybody who reaches the server is an operator: that is a laptop, bound to loopback.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.wrappers import Request

from serving.config import Config, Role

LOCAL: Final = "local"
"""Who acts where no tokens are set."""

COOKIE: Final = "peacewatch"
LASTS: Final = timedelta(hours=12)
"""A shift and a half; then people sign in again."""


@dataclass(frozen=True)
class Identity:
    """Who sends a request. `name` is a short name of the token, which does not show it; `by` a person's name."""

    name: str
    role: Role
    by: str | None = None


def identify(config: Config, request: Request) -> Identity | None:
    """By its token or its cookie; None: neither is known."""
    if not config.tokens:
        return Identity(LOCAL, "operator")
    if given := bearer(request):
        token = known_token(config.tokens, given)
        return Identity(fingerprint(token), config.tokens[token]) if token else None
    cookie = request.cookies.get(COOKIE)
    return of_cookie(config.tokens, cookie, datetime.now(UTC)) if cookie else None


def require(config: Config, request: Request, role: Role) -> Identity:
    """Raises Unauthorized without a known token, Forbidden when its role is less than `role`."""
    identity = identify(config, request)
    if identity is None:
        raise Unauthorized(
            "this needs a token: sign in, or send Authorization: Bearer …",
            www_authenticate=WWWAuthenticate("bearer"),
        )
    if role == "operator" and identity.role != "operator":
        raise Forbidden("this needs a token of the role operator")
    return identity


def bearer(request: Request) -> str | None:
    return request.authorization.token if request.authorization else None


def known_token(tokens: Mapping[str, Role], given: str) -> str | None:
    """The token of the settings that equals `given`, compared in constant time."""
    return next((token for token in tokens if hmac.compare_digest(token.encode(), given.encode())), None)


def fingerprint(token: str) -> str:
    """Eight digits by which the audit list names a token."""
    return hashlib.blake2b(token.encode(), digest_size=4).hexdigest()


def cookie_for(token: str, by: str, now: datetime) -> str:
    """The value of a cookie that stands for `token` until LASTS from `now`."""
    ends_at = int((now + LASTS).timestamp())
    claim = f"{fingerprint(token)}.{ends_at}.{base64.urlsafe_b64encode(by.encode()).decode()}"
    return f"{claim}.{_signature(token, claim)}"


def of_cookie(tokens: Mapping[str, Role], cookie: str, now: datetime) -> Identity | None:
    """Whom a cookie stands for; None: nobody, or no longer."""
    claim, _, signature = cookie.rpartition(".")
    for token, role in tokens.items():
        if hmac.compare_digest(_signature(token, claim).encode(), signature.encode()):
            name, ends_at, by = claim.split(".")
            is_over = now.timestamp() >= int(ends_at)
            return None if is_over else Identity(name, role, base64.urlsafe_b64decode(by).decode())
    return None


def _signature(token: str, claim: str) -> str:
    return hmac.new(token.encode(), f"peacewatch session {claim}".encode(), hashlib.sha256).hexdigest()
