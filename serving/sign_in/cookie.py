"""What a browser keeps between leaving for the provider and coming back, signed, so that the server stores nothing.

The browser that begins a sign-in is the only one that can end it: `state` of the provider's answer must equal the
cookie's. A sign-in that somebody else began cannot be slipped into a browser, and one that was ended is refused the
second time (serving/sign_in/sessions.py).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import Final

import msgspec
from itsdangerous import BadData, URLSafeSerializer

COOKIE: Final = "peacewatch-sign-in"
LASTS: Final = timedelta(minutes=10)
"""To type a password and find the second factor."""

MAX_NEXT: Final = 2000
"""Characters of the address to return to; a cookie holds some 4,000."""

_LOCAL_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


class SignIn(msgspec.Struct, frozen=True):
    """A sign-in that has begun. `verifier` is that of PKCE; `next` a path of this server."""

    state: str
    nonce: str
    verifier: str
    next: str
    ends_at: int


def begin(wanted: str | None, now: datetime) -> SignIn:
    """A new sign-in that returns to `wanted`."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return SignIn(state, nonce, verifier, local_path(wanted), int((now + LASTS).timestamp()))


def sealed(sign_in: SignIn, secret: str) -> str:
    """The cookie's value."""
    return str(_serializer(secret).dumps(msgspec.to_builtins(sign_in)))


def opened(value: str | None, state: str | None, secret: str, now: datetime) -> SignIn | None:
    """The sign-in of a cookie, where it is ours, in time and that of `state`."""
    if not value or not state:
        return None
    try:
        sign_in = msgspec.convert(_serializer(secret).loads(value), SignIn)
    except (BadData, msgspec.ValidationError):
        return None
    is_in_time = now.timestamp() < sign_in.ends_at
    return sign_in if is_in_time and hmac.compare_digest(sign_in.state.encode(), state.encode()) else None


def local_path(wanted: str | None) -> str:
    """`wanted` where it is a path of this server and nothing else, or `/`: nobody is sent to another site."""
    if not wanted or len(wanted) > MAX_NEXT or not _LOCAL_PATH.fullmatch(wanted):
        return "/"
    return wanted


def _serializer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=COOKIE, signer_kwargs={"digest_method": hashlib.sha256})
