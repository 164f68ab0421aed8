"""What the OpenID Connect provider publishes: its document and its keys (OpenID Connect Discovery 1.0, RFC 7517).

Anybody can begin a sign-in, or send a token that names an unknown key. So no request waits if a value is not too
old, and neither the document nor the keys are fetched more often than every AGAIN_SECONDS, even while the provider
fails.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from structlog import get_logger

from fleet.errors import ServiceUnavailable

KEPT_SECONDS: Final = 3600.0
"""How long the document and keys are used; a withdrawn key is trusted no longer than this."""

REFRESH_SECONDS: Final = KEPT_SECONDS / 2
"""The age at which they are fetched again; until KEPT_SECONDS a provider may be away unnoticed."""

AGAIN_SECONDS: Final = 10.0
"""At least between the starts of two fetches, also after one that failed."""

WAIT_SECONDS: Final = 5.0
"""How long a request without any usable value waits for the one that fetches it."""

WAITING: Final = 8
"""How many requests wait at once: the rest of the 64 threads stay free."""

AWAY: Final = "the sign-in provider does not answer now"
BASIC: Final = "client_secret_basic"
"""How a client authenticates where the provider names no method (Discovery, 3)."""

Value = TypeVar("Value")
_log = get_logger()


@dataclass(frozen=True)
class Document:
    """The provider's addresses, each https or of this machine, and the methods that it accepts."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    takes_basic: bool


class Refreshed(Generic[Value]):
    """A value that `fetch` gets from the provider, by one thread at a time. `timer`: seconds that never go back."""

    def __init__(self, fetch: Callable[[], Value], timer: Callable[[], float]) -> None:
        self._fetch = fetch
        self._timer = timer
        self._fetching = threading.Lock()
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._held: tuple[Value, float] | None = None  # and when it was fetched; replaced as one: no lock to read
        self._tried_at = float("-inf")

    def get(self) -> Value:
        """The value, at most KEPT_SECONDS old. Raises ServiceUnavailable if there is none."""
        held = self._held
        age = self._timer() - held[1] if held else KEPT_SECONDS
        if held and age < REFRESH_SECONDS:
            return held[0]
        usable = held if age < KEPT_SECONDS else None
        try:
            return self._fetched(may_wait=usable is None)
        except ServiceUnavailable:
            if usable is None:
                raise
            return usable[0]

    def newest(self) -> Value:
        """The value as it was at most AGAIN_SECONDS ago.

        Raises ServiceUnavailable while another thread fetches it, and for AGAIN_SECONDS after a fetch that failed.
        """
        return self._fetched(may_wait=False)

    def _fetched(self, may_wait: bool) -> Value:
        if not self._acquire(may_wait):
            raise ServiceUnavailable(AWAY, retry_after=1)
        try:
            now = self._timer()
            if self._held and now - self._held[1] < AGAIN_SECONDS:
                return self._held[0]
            if now - self._tried_at < AGAIN_SECONDS:
                raise ServiceUnavailable(AWAY, retry_after=AGAIN_SECONDS)
            self._tried_at = now
            value = self._fetch()
            self._held = (value, self._timer())
            return value
        finally:
            self._fetching.release()

    def _acquire(self, may_wait: bool) -> bool:
        if self._fetching.acquire(blocking=False):
            return True
        if not may_wait or not self._waiting.acquire(blocking=False):
            return False
        try:
            return self._fetching.acquire(timeout=WAIT_SECONDS)
        finally:
            self._waiting.release()


def document_of(content: Mapping[str, Any], issuer: str) -> Document:
    """The provider's document. Raises ServiceUnavailable if it is another issuer's, or lacks an address.

    An optional part that is null or of a wrong type counts as missing.
    """
    if content.get("issuer") != issuer:
        raise ServiceUnavailable("the sign-in provider names another issuer than PEACEWATCH_OIDC_ISSUER")
    methods = content.get("token_endpoint_auth_methods_supported")
    return Document(
        _required(content, "authorization_endpoint"),
        _required(content, "token_endpoint"),
        _required(content, "jwks_uri"),
        _address(content, "end_session_endpoint"),
        takes_basic=BASIC in methods if isinstance(methods, list) else True,
    )


def key_set(content: Mapping[str, Any]) -> KeySet:
    """The keys for signatures, without those of an unknown kind. Raises ServiceUnavailable if there is no list."""
    published = content.get("keys")
    if not isinstance(published, list):
        raise ServiceUnavailable("the sign-in provider publishes no list of keys")
    keys = []
    for key in published:
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and (key.get("use") or "sig") == "sig":
            try:
                keys += KeySet.import_key_set({"keys": [key]}).keys
            except (JoseError, ValueError, TypeError) as error:
                _log.info("key of the sign-in provider not used", reason=type(error).__name__)
    return KeySet(keys)


def _required(content: Mapping[str, Any], name: str) -> str:
    address = _address(content, name)
    if address is None:
        raise ServiceUnavailable(f"the sign-in provider names no usable {name}")
    return address


def _address(content: Mapping[str, Any], name: str) -> str | None:
    """An address over which secrets may go: https, or of this machine."""
    address = content.get(name)
    if not isinstance(address, str):
        return None
    try:
        parts = urlsplit(address)
        is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:
        return None
    is_safe = bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and is_local))
    return address if is_safe else None
