"""Who may do what: a viewer looks, an operator acts, an admin ends other people's sessions too.

Programs send a token of the settings as `Authorization: Bearer …`. Without single sign-on a browser exchanges one for a
cookie (`POST /api/v1/session`): links, frames and event streams carry no such header. The cookie names a token and an
expiry, signed with the token itself: a token that is removed ends its cookies.

With single sign-on (serving/sign_in) a browser's cookie is a session, and people's programs may send an access token of
the provider. Then nobody types a name: actions are in the name of the account or of the token. Without tokens and
single sign-on, everybody who reaches the server is an operator: a laptop, bound to loopback.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from structlog import get_logger
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized
from werkzeug.wrappers import Request

from fleet import identity as identities
from serving.config import ROLES, Config, Role
from serving.sign_in import sessions
from serving.sign_in.provider import Untrusted
from serving.sign_in.sessions import Session
from serving.sign_in.single_sign_on import SingleSignOn

LOCAL: Final = "local"
"""The name of everybody where no token or sign-in is needed."""

COOKIE: Final = "peacewatch"
IDENTITY: Final = "peacewatch.identity"
"""The key in a request's environment for who sends it, once identified."""

_log = get_logger()


@dataclass(frozen=True)
class Identity:
    """Who sends a request. `name` is short and shows no secret; `by` is a person's name, where known."""

    name: str
    role: Role
    by: str | None = None
    session: Session | None = field(default=None, compare=False)

    def named(self, typed: str) -> str:
        """The name shown with their actions; `typed` where no person's name is known."""
        return self.by if self.by is not None else typed


class Access:
    """Identifies who sends a request, by the settings' tokens, the sessions and the provider."""

    def __init__(self, config: Config, single_sign_on: SingleSignOn | None = None) -> None:
        self._config = config
        self.single_sign_on = single_sign_on

    def identify(self, request: Request) -> Identity | None:
        """By the token or the cookie, as they are valid now; None if neither is known.

        Raises PyMongoError or ServiceUnavailable when a session or the provider's keys cannot be looked up.
        """
        if not self._config.is_guarded:
            return Identity(LOCAL, "operator")
        if given := bearer(request):
            return self._of_token(given)
        if self.single_sign_on is not None:
            session = self.single_sign_on.sessions.of_cookie(request.cookies.get(sessions.COOKIE))
            return of_session(session) if session else None
        return self._of_token_cookie(request)

    def known_name(self, request: Request) -> str | None:
        """The name of a request's token or of its cookie's token, by the settings alone."""
        if given := bearer(request):
            token = known_token(self._config.tokens, given)
            return fingerprint(token) if token else None
        identity = self._of_token_cookie(request)
        return identity.name if identity else None

    def require(self, request: Request, role: Role) -> Identity:
        """Who sends a request, identified once for all its checks.

        Raises Unauthorized without a known token or session, Forbidden when its role is less than `role`.
        """
        if IDENTITY not in request.environ:
            request.environ[IDENTITY] = self.identify(request)
        identity: Identity | None = request.environ[IDENTITY]
        if identity is None:
            raise Unauthorized(
                "this needs a token: sign in, or send Authorization: Bearer …",
                www_authenticate=WWWAuthenticate("bearer"),
            )
        if ROLES.index(identity.role) < ROLES.index(role):
            raise Forbidden(f"this needs the role {role}")
        return identity

    def _of_token(self, given: str) -> Identity | None:
        if token := known_token(self._config.tokens, given):
            name = fingerprint(token)
            return Identity(name, self._config.tokens[token], f"token {name}" if self.single_sign_on else None)
        if self.single_sign_on is None or given.count(".") != 2:
            return None
        try:
            person = self.single_sign_on.provider.of_access_token(given)
        except Untrusted as error:
            _log.info("access token refused", reason=str(error))
            return None
        return Identity(_short(person.issuer, person.subject), person.role, person.name) if person.role else None

    def _of_token_cookie(self, request: Request) -> Identity | None:
        cookie = request.cookies.get(COOKIE)
        return of_cookie(self._config.tokens, cookie, datetime.now(UTC)) if cookie else None


def of_session(session: Session) -> Identity:
    return Identity(_short(*session.owner), session.role, session.by, session)


def _short(issuer: str, subject: str) -> str:
    """Eight digits by which ids of actions name a person."""
    return fingerprint(identities.join(issuer, subject))


def bearer(request: Request) -> str | None:
    return request.authorization.token if request.authorization else None


def known_token(tokens: Mapping[str, Role], given: str) -> str | None:
    """The token of the settings that equals `given`, compared in constant time."""
    return next((token for token in tokens if hmac.compare_digest(token.encode(), given.encode())), None)


def fingerprint(token: str) -> str:
    """Eight digits by which the audit list names a token."""
    return hashlib.blake2b(token.encode(), digest_size=4).hexdigest()


def cookie_for(token: str, by: str, now: datetime) -> str:
    """The value of a cookie that stands for `token` until sessions.LASTS from `now`."""
    ends_at = int((now + sessions.LASTS).timestamp())
    claim = f"{fingerprint(token)}.{ends_at}.{base64.urlsafe_b64encode(by.encode()).decode()}"
    return f"{claim}.{_signature(token, claim)}"


def of_cookie(tokens: Mapping[str, Role], cookie: str, now: datetime) -> Identity | None:
    """Whom a cookie stands for; None if its token is unknown or its time is over."""
    claim, _, signature = cookie.rpartition(".")
    for token, role in tokens.items():
        if hmac.compare_digest(_signature(token, claim).encode(), signature.encode()):
            name, ends_at, by = claim.split(".")
            is_over = now.timestamp() >= int(ends_at)
            return None if is_over else Identity(name, role, base64.urlsafe_b64decode(by).decode())
    return None


def _signature(token: str, claim: str) -> str:
    return hmac.new(token.encode(), f"peacewatch session {claim}".encode(), hashlib.sha256).hexdigest()
