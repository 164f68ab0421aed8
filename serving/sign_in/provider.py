"""The OpenID Connect provider: where it is, its keys, and what its tokens say once they are checked.

Authorization code with PKCE (S256), state and nonce; RFC 6749, 7636, OpenID Connect Core 1.0 and Discovery 1.0. The
provider's document and keys are kept for an hour; a key that is not known is looked for at once, but not at each token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from structlog import get_logger

from fleet.errors import ServiceUnavailable
from serving.config import Oidc, Role
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

KEPT_SECONDS: Final = 3600.0
"""The provider's document and keys; a key that was withdrawn is trusted no longer than this."""

KEYS_AGAIN_SECONDS: Final = 10.0
"""Keys are fetched no more often for tokens of unknown keys: anybody can invent one."""

TIMEOUT_SECONDS: Final = 5.0
AT_ONCE: Final = 8
"""Calls to the provider at once: the other threads of requests stay free while it is slow."""

SCOPE: Final = "openid profile email"
_log = get_logger()


class Untrusted(Exception):
    """A code or token that the provider did not give to us, or not now. The text is for the log."""


@dataclass(frozen=True)
class Person:
    """Who a checked token is about. `role` None: they may do nothing here."""

    issuer: str
    subject: str
    name: str
    role: Role | None
    id_token: str = ""


class Provider:
    """The provider of `oidc`. `clock`: seconds since 1970."""

    def __init__(self, oidc: Oidc, clock: Callable[[], float] = time.time) -> None:
        self._oidc = oidc
        self._clock = clock
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self._lock = threading.Lock()
        self._calls = threading.BoundedSemaphore(AT_ONCE)
        self._document: Mapping[str, Any] = {}
        self._document_at = self._keys_at = float("-inf")
        self._keys: KeySet = KeySet([])

    def close(self) -> None:
        self._http.close()

    def sign_in_url(self, state: str, nonce: str, verifier: str) -> str:
        """Where a browser goes to sign in."""
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
        return _with_query(self._endpoint("authorization_endpoint"), query)

    def sign_out_url(self, id_token: str, back: str) -> str | None:
        """Where a browser goes to sign out of the provider as well; None: it has no such address, or is away."""
        try:
            address = self._metadata().get("end_session_endpoint")
        except ServiceUnavailable:
            return None
        if not isinstance(address, str) or not _is_safe(address):
            return None
        query = {"client_id": self._oidc.client_id, "id_token_hint": id_token, "post_logout_redirect_uri": back}
        return _with_query(address, query)

    def exchange(self, code: str, verifier: str, nonce: str) -> Person:
        """The person who signed in, for the code that the browser brought. Raises Untrusted, ServiceUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._oidc.redirect_uri,
            "code_verifier": verifier,
        }
        basic: httpx.BasicAuth | None = httpx.BasicAuth(self._oidc.client_id, self._oidc.client_secret)
        methods = self._metadata().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" not in methods:
            form |= {"client_id": self._oidc.client_id, "client_secret": self._oidc.client_secret}
            basic = None
        answer = self._call("POST", self._endpoint("token_endpoint"), data=form, auth=basic)
        if answer.is_client_error:
            raise Untrusted(f"the provider refused the code: {answer.status_code}")
        tokens = _json(answer)
        id_token = tokens.get("id_token")
        if not isinstance(id_token, str):
            raise Untrusted("the provider's answer has no ID token")
        claims = self._checked(id_token, nonce=nonce, access_token=tokens.get("access_token"))
        return self._person(claims, id_token)

    def of_access_token(self, token: str) -> Person:
        """Who sends an access token (a JWT for our client). Raises Untrusted, ServiceUnavailable."""
        claims = self._checked(token)
        if "nonce" in claims or claims.get("typ") in ("ID", "Refresh", "Offline", "Logout"):
            raise Untrusted("this is no access token")  # an ID token says who signed in, and lets nobody in
        return self._person(claims)

    def _person(self, claims: Mapping[str, Any], id_token: str = "") -> Person:
        oidc = self._oidc
        return Person(oidc.issuer, str(claims["sub"]), name_of(oidc, claims), role_of(oidc, claims), id_token)

    def _checked(self, token: str, nonce: str | None = None, access_token: str | None = None) -> CodeIDToken:
        """The claims of a token after every check; `nonce` of an ID token alone."""
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
            raise Untrusted("its subject is no text")
        return claims

    def _verified(self, token: str) -> jwt.Token:
        try:
            return jwt.decode(token, self._known_keys(), algorithms=list(ALGORITHMS))
        except InvalidKeyIdError:
            return jwt.decode(token, self._known_keys(KEYS_AGAIN_SECONDS), algorithms=list(ALGORITHMS))

    def _known_keys(self, at_most: float = KEPT_SECONDS) -> KeySet:
        """The provider's keys, no older than `at_most` seconds."""
        with self._lock:
            if self._clock() - self._keys_at >= at_most:
                address = self._endpoint_of(self._fetched_metadata(), "jwks_uri")
                self._keys = _key_set(_json(self._call("GET", address)))
                self._keys_at = self._clock()
            return self._keys

    def _endpoint(self, name: str) -> str:
        return self._endpoint_of(self._metadata(), name)

    @staticmethod
    def _endpoint_of(document: Mapping[str, Any], name: str) -> str:
        address = document.get(name)
        if not isinstance(address, str) or not _is_safe(address):
            raise ServiceUnavailable(f"the sign-in provider names no usable {name}")
        return address

    def _metadata(self) -> Mapping[str, Any]:
        with self._lock:
            return self._fetched_metadata()

    def _fetched_metadata(self) -> Mapping[str, Any]:
        """The provider's document; its issuer must be the one of the settings. Holds the lock."""
        if self._clock() - self._document_at >= KEPT_SECONDS:
            address = f"{self._oidc.issuer.rstrip('/')}/.well-known/openid-configuration"
            document = _json(self._call("GET", address))
            if document.get("issuer") != self._oidc.issuer:
                raise ServiceUnavailable("the sign-in provider names another issuer than PEACEWATCH_OIDC_ISSUER")
            self._document, self._document_at = document, self._clock()
        return self._document

    def _call(self, method: str, address: str, **more: Any) -> httpx.Response:
        with self._place():
            try:
                answer = self._http.request(method, address, **more)
            except httpx.HTTPError as error:
                _log.warning("sign-in provider does not answer", error=type(error).__name__)
                raise ServiceUnavailable("the sign-in provider does not answer now") from None
        if answer.is_redirect or answer.is_server_error or (answer.is_client_error and method == "GET"):
            _log.warning("sign-in provider does not answer", status=answer.status_code)
            raise ServiceUnavailable("the sign-in provider does not answer now")
        return answer

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._calls.acquire(blocking=False):
            raise ServiceUnavailable("too many people sign in at once; retry later", retry_after=1)
        try:
            yield
        finally:
            self._calls.release()


def _key_set(document: Mapping[str, Any]) -> KeySet:
    """The keys for signatures; of a kind that is not known none, the others stay."""
    keys = []
    for key in document.get("keys", []):
        if isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig":
            try:
                keys += KeySet.import_key_set({"keys": [key]}).keys
            except (JoseError, ValueError, TypeError) as error:
                _log.info("key of the sign-in provider not used", reason=type(error).__name__)
    return KeySet(keys)


def _json(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise ServiceUnavailable("the sign-in provider's answer is no JSON object")
    return content


def _with_query(address: str, query: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(query)}"


def _is_safe(address: str) -> bool:
    """Secrets go over no network in the clear: https, or this machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1"))
