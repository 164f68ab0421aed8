"""What a browser keeps between leaving for the provider and coming back, signed, so that the server stores nothing.

Only the browser that begins a sign-in can complete it: `state` of the provider's answer must equal the cookie's. So
nobody can complete their own sign-in in another person's browser, and a completed one is refused the second time
(serving/sign_in/sessions.py). Each sign-in has its own cookie, so that several tabs can sign in at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
from itsdangerous import BadData, URLSafeSerializer

PREFIX: Final = "peacewatch-sign-in-"
"""The names of these cookies begin with it; a hash of the state follows."""

PATH: Final = "/auth"
"""Browsers send the cookies only to the pages of single sign-on."""

MOST: Final = 10
"""Sign-ins under way in one browser: as many tabs as it opens again when it starts."""

MOST_CHARACTERS: Final = 6000
"""Of all these cookies together: proxies refuse a header line of 8 KiB, which has the session's cookie as well."""

LASTS: Final = timedelta(minutes=10)
"""Time enough to type a password and find the second factor."""

SIGNED_OUT: Final = "peacewatch-signed-out"
"""The cookie of a browser in which somebody signed out: the next sign-in asks for the password.

The provider may still know who was signed in, and would let the next person in without asking.
"""

SIGNED_OUT_LASTS: Final = timedelta(days=30)
"""Longer than providers keep people signed in."""

MAX_NEXT: Final = 2000
"""Characters of the address to return to; a cookie holds some 4,000."""

_LOCAL_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


class PendingSignIn(msgspec.Struct, frozen=True):
    """A sign-in that has begun. `verifier` is that of PKCE; `next` a path of this server.

    `session`: id of the session that the browser had, which the new one replaces; "" for none. Browsers do not send
    that session's own cookie on the way back from the provider (SameSite=Strict).
    """

    state: str
    nonce: str
    verifier: str
    next: str
    ends_at: int
    session: str = ""


def begin(wanted: str | None, now: datetime, session: str = "") -> PendingSignIn:
    """A new sign-in that returns to `wanted`."""
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    return PendingSignIn(state, nonce, verifier, local_path(wanted), int((now + LASTS).timestamp()), session)


def name_of(state: str) -> str:
    """The name of the cookie of the sign-in `state`."""
    return PREFIX + hashlib.sha256(state.encode()).hexdigest()[:16]


def sealed(sign_in: PendingSignIn, secret: str) -> str:
    """The cookie's value."""
    return str(_serializer(secret).dumps(msgspec.to_builtins(sign_in)))


def opened(cookies: Mapping[str, str], state: str | None, secret: str, now: datetime) -> PendingSignIn | None:
    """The sign-in `state` among a browser's cookies, if this server began it and it is not too old."""
    sign_in = _read(cookies.get(name_of(state), ""), secret, now) if state else None
    if sign_in is None or not state:
        return None
    return sign_in if hmac.compare_digest(sign_in.state.encode(), state.encode()) else None


def surplus(cookies: Mapping[str, str], name: str, value: str, secret: str, now: datetime) -> list[str]:
    """Names of cookies to delete when the cookie `name` comes, so that MOST and MOST_CHARACTERS hold.

    First those that are invalid or too old, then the oldest.
    """
    ours = {name: value for name, value in cookies.items() if name.startswith(PREFIX)}
    read = {name: _read(value, secret, now) for name, value in ours.items()}
    under_way = {each: sign_in.ends_at for each, sign_in in read.items() if sign_in is not None}
    deleted = [each for each in ours if each not in under_way]
    number, characters = 1, len(name) + len(value)
    for each in sorted(under_way, key=lambda each: under_way[each], reverse=True):
        number, characters = number + 1, characters + len(each) + len(ours[each])
        if number > MOST or characters > MOST_CHARACTERS:
            deleted.append(each)
    return deleted


def local_path(wanted: str | None) -> str:
    """`wanted` if it is a path of this server, else `/`: nobody is sent to another site."""
    if not wanted or len(wanted) > MAX_NEXT or not _LOCAL_PATH.fullmatch(wanted):
        return "/"
    return wanted


def _read(value: str, secret: str, now: datetime) -> PendingSignIn | None:
    """The sign-in of a cookie, if this server began it and it is not too old."""
    try:
        sign_in = msgspec.convert(_serializer(secret).loads(value), PendingSignIn)
    except (BadData, msgspec.ValidationError):
        return None
    return sign_in if now.timestamp() < sign_in.ends_at else None


def _serializer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="peacewatch-sign-in", signer_kwargs={"digest_method": hashlib.sha256})
