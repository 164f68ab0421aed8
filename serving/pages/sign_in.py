"""`/auth/…`: where a browser leaves for the sign-in provider and comes back; `/sessions`: who is signed in."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, make_response, redirect, render_template, request
from structlog import get_logger
from werkzeug.exceptions import Forbidden, NotFound

from serving.config import Oidc
from serving.services import Services
from serving.sign_in import cookie, sessions
from serving.sign_in.provider import Provider, Untrusted
from serving.sign_in.sessions import Sessions

_log = get_logger()


def blueprint(services: Services) -> Blueprint:
    """The pages of single sign-on; 404 where the settings have none."""
    pages = Blueprint("sign_in", __name__)
    config = services.config
    is_encrypted = config.public_url.startswith("https://")

    def parts() -> tuple[Oidc, Provider, Sessions]:
        access = services.access
        if config.oidc is None or access.provider is None or access.sessions is None:
            raise NotFound("this server has no single sign-on")
        return config.oidc, access.provider, access.sessions

    @pages.get("/auth/sign-in")
    def begin() -> Response:
        oidc, provider, _ = parts()
        sign_in = cookie.begin(request.args.get("next"), datetime.now(UTC))
        answer = make_response(redirect(provider.sign_in_url(sign_in.state, sign_in.nonce, sign_in.verifier)))
        answer.headers["Cache-Control"] = "no-store"
        answer.set_cookie(
            cookie.COOKIE,
            cookie.sealed(sign_in, oidc.client_secret),
            max_age=cookie.LASTS,
            path="/auth",
            secure=is_encrypted,
            httponly=True,
            samesite="Lax",  # it must come along when the provider sends the browser back
        )
        return answer

    @pages.get("/auth/callback")
    def end() -> Response:
        oidc, provider, store = parts()
        sign_in = cookie.opened(
            request.cookies.get(cookie.COOKIE), request.args.get("state"), oidc.client_secret, datetime.now(UTC)
        )
        if sign_in is None:
            raise Forbidden("this sign-in was not begun in this browser, or took too long; sign in again")
        code = request.args.get("code", "")
        if not code:
            _log.info("sign-in refused by the provider", error=request.args.get("error", "")[:80])
            raise Forbidden("the sign-in was refused or cancelled; sign in again")
        secret = _begun(provider, store, sign_in, code)
        if before := store.of_cookie(request.cookies.get(sessions.COOKIE)):
            store.end(before.id)  # a session from before signing in is not the person's
        # A page, not a redirect: a browser does not send a SameSite=Strict cookie on a way that began at the provider.
        answer = make_response(render_template("signed_in.html", next=sign_in.next))
        answer.headers["Cache-Control"] = "no-store"
        answer.delete_cookie(cookie.COOKIE, path="/auth")
        answer.set_cookie(
            sessions.COOKIE,
            secret,
            max_age=sessions.LASTS,
            secure=is_encrypted,
            httponly=True,
            samesite="Strict",
        )
        return answer

    @pages.get("/sessions")
    def listed() -> str:
        return render_template("sessions.html")

    return pages


def _begun(provider: Provider, store: Sessions, sign_in: cookie.SignIn, code: str) -> str:
    """The secret of the session of whom the provider names for `code`. Raises Forbidden."""
    try:
        person = provider.exchange(code, sign_in.verifier, sign_in.nonce)
        if person.role is None:
            _log.info("sign-in without a role", by=person.name)
            raise Forbidden(f"the account {person.name} has no role here; ask for one of them")
        secret = store.begin(person, person.role, sign_in.state)
    except Untrusted as error:
        _log.warning("sign-in not trusted", reason=str(error))
        raise Forbidden("the sign-in could not be checked; sign in again") from None
    _log.info("signed in", by=person.name, role=person.role)
    return secret
