"""The OpenID Connect provider: addresses for signing in and out, and the checks of its tokens.

Authorization code with PKCE (S256), state and nonce; RFC 6749, 7636 and OpenID Connect Core 1.0. Its document and keys
are those of serving/sign_in/discovery.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from structlog import get_logger

from fleet.errors import ServiceUnavailable
from serving.config import Oidc, Role
from serving.sign_in.discovery import AWAY, Document, Refreshed, document_of, key_set
from serving.sign_in.roles import name_of, role_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
    "EdDSA",
)
"""Signatures with a key pair. Neither `none` nor HMAC, whose key would be the client's secret."""

LEEWAY_SECONDS: Final = 60
"""How far the provider's clock may be off."""

TIMEOUT_SECONDS: Final = 5.0
AT_ONCE: Final = 8
"""Calls to the provider at once: the other threads of requests stay free while it is slow."""

OF_OTHER_TOKENS: Final = ("nonce", "at_hash", "c_hash", "s_hash", "events")
"""Claims that no access token has: of an ID token (OpenID Connect Core 1.0, 2 and 3.3.2.11) or a security event, such
as a logout token (RFC 8417)."""

ACCESS_TOKEN_TYPES: Final = frozenset({"jwt", "at+jwt", "bearer"})
"""`typ` of an access token where its header (RFC 9068, 2.1) or its claims (Keycloak) have one, in small letters."""

LONGEST_HINT: Final = 4000
"""Characters of an ID token in an address: proxies refuse a line of 8 KiB. Without it the provider asks whether the
person means it (OpenID Connect RP-Initiated Logout 1.0, 2)."""

SCOPE: Final = "openid profile email"
_log = get_logger()


class Untrusted(Exception):
    """A code or token that the provider did not give to this server, or that has expired. The text is for the log."""


@dataclass(frozen=True)
class Person:
    """The person of a checked token. `role` None: they have no role here."""

    issuer: str
    subject: str
    name: str
    role: Role | None
    id_token: str = ""


class Provider:
    """The provider of `oidc`. `clock`: seconds since 1970, for tokens; `timer`: seconds, for the age of cached
    values."""

    def __init__(
        self, oidc: Oidc, clock: Callable[[], float] = time.time, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._oidc = oidc
        self._clock = clock
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._calls = threading.BoundedSemaphore(AT_ONCE)
        self._document = Refreshed(self._fetch_document, timer)
        self._keys = Refreshed(lambda: key_set(self._get(self._document.get().jwks_uri)), timer)

    def close(self) -> None:
        self._http.close()

    def sign_in_url(self, state: str, nonce: str, verifier: str, *, again: bool = False) -> str:
        """Where a browser goes to sign in; `again`: the provider always asks for the password."""
        query = {
            "response_type": "code",
            "client_id": self._oidc.client_id,
            "redirect_uri": self._oidc.redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        if again:
            query["prompt"] = "login"
        return _with_query(self._document.get().authorization_endpoint, query)

    def sign_out_url(self, id_token: str, back: str) -> str | None:
        """Where a browser goes to sign out of the provider as well; None: it has no such address, or is away."""
        try:
            address = self._document.get().end_session_endpoint
        except ServiceUnavailable:
            return None
        if address is None:
            return None
        query = {"client_id": self._oidc.client_id, "post_logout_redirect_uri": back}
        if len(id_token) <= LONGEST_HINT:
            query["id_token_hint"] = id_token
        return _with_query(address, query)

    def exchange(self, code: str, verifier: str, nonce: str) -> Person:
        """The person who signed in, for the code that the browser brought. Raises Untrusted, ServiceUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._oidc.redirect_uri,
            "code_verifier": verifier,
        }
        document, basic = self._document.get(), None
        if document.takes_basic:
            basic = _basic(self._oidc)
        else:
            form |= {"client_id": self._oidc.client_id, "client_secret": self._oidc.client_secret}
        answer = self._call("POST", document.token_endpoint, data=form, auth=basic)
        if answer.is_client_error:
            raise Untrusted(f"the provider refused the code: {answer.status_code}")
        tokens = _json(answer)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise Untrusted("the provider's answer has no ID token")
        access_token = tokens.get("access_token")
        # The ID token may have a hash of it, which is then checked.
        access_token = access_token if isinstance(access_token, str) else None
        claims = self._checked(id_token, nonce=nonce, access_token=access_token)
        return self._person(claims, id_token)

    def of_access_token(self, token: str) -> Person:
        """Who sends an access token (a JWT for our client). Raises Untrusted, ServiceUnavailable."""
        claims = self._checked(token)
        if not _is_access_token(claims):
            raise Untrusted("this is not an access token")  # an ID token says who signed in, but grants no access
        return self._person(claims)

    def _person(self, claims: Mapping[str, Any], id_token: str = "") -> Person:
        oidc = self._oidc
        return Person(oidc.issuer, str(claims["sub"]), name_of(oidc, claims), role_of(oidc, claims), id_token)

    def _checked(self, token: str, nonce: str | None = None, access_token: str | None = None) -> CodeIDToken:
        """The claims of a token after all checks; `nonce` is for ID tokens only."""
        try:
            decoded = self._verified(token)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                options={
                    "iss": {"essential": True, "value": self._oidc.issuer},
                    "aud": {"essential": True, "value": self._oidc.client_id},
                    "sub": {"essential": True},
                },
                params={"client_id": self._oidc.client_id, "nonce": nonce, "access_token": access_token},
            )
            claims.validate(now=int(self._clock()), leeway=LEEWAY_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise Untrusted(f"{type(error).__name__}: {error}") from None
        if not isinstance(claims["sub"], str):
            raise Untrusted("its subject is not a text")
        return claims

    def _verified(self, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, self._keys.get(), algorithms=list(ALGORITHMS))
        except InvalidKeyIdError:
            return jwt.decode(token, self._keys.newest(), algorithms=list(ALGORITHMS))

    def _fetch_document(self) -> Document:
        issuer = self._oidc.issuer
        return document_of(self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration"), issuer)

    def _get(self, address: str) -> Mapping[str, Any]:
        return _json(self._call("GET", address))

    def _call(self, method: str, address: str, **more: Any) -> httpx.Response:
        with self._place():
            try:
                answer = self._http.request(method, address, **more)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                _log.warning("sign-in provider does not answer", error=type(error).__name__)
                raise ServiceUnavailable(AWAY) from None
        if answer.is_redirect or answer.is_server_error or (answer.is_client_error and method == "GET"):
            _log.warning("sign-in provider does not answer", status=answer.status_code)
            raise ServiceUnavailable(AWAY)
        return answer

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._calls.acquire(blocking=False):
            raise ServiceUnavailable("too many people sign in at once; retry later", retry_after=1)
        try:
            yield
        finally:
            self._calls.release()


def _is_access_token(claims: CodeIDToken) -> bool:
    types = [given.get("typ") for given in (claims.header, claims) if given.get("typ") is not None]
    is_typed = all(isinstance(each, str) and _media_type(each) in ACCESS_TOKEN_TYPES for each in types)
    return is_typed and not any(name in claims for name in OF_OTHER_TOKENS)


def _media_type(typ: str) -> str:
    """`typ` of a header, without `application/`, which may be left out (RFC 7515, 4.1.9)."""
    return typ.lower().removeprefix("application/")


def _basic(oidc: Oidc) -> httpx.BasicAuth:
    """The client's name and secret, each form-encoded, since they may contain colons (RFC 6749, 2.3.1)."""
    return httpx.BasicAuth(quote_plus(oidc.client_id), quote_plus(oidc.client_secret))


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        content = answer.json()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ServiceUnavailable("the sign-in provider's answer is no JSON object")
    return content


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"
