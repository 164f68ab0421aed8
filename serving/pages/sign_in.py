"""`/auth/…`: takes a browser to the sign-in provider and back; `/sessions`: who is signed in."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, make_response, redirect, render_template, request
from structlog import get_logger
from werkzeug.exceptions import Forbidden, NotFound

from serving.config import Config
from serving.http import cookies
from serving.http.cookies import Cookie
from serving.services import Services
from serving.sign_in import cookie, sessions
from serving.sign_in.provider import Untrusted
from serving.sign_in.single_sign_on import SingleSignOn

_log = get_logger()


def blueprint(services: Services) -> Blueprint:
    """The pages of single sign-on; 404 if the settings have none."""
    pages = Blueprint("sign_in", __name__)

    def required() -> SingleSignOn:
        if services.access.single_sign_on is None:
            raise NotFound("this server has no single sign-on")
        return services.access.single_sign_on

    @pages.get("/auth/sign-in")
    def begin() -> Response:
        return _to_provider(required(), services.config)

    @pages.get("/auth/callback")
    def end() -> Response:
        return _back_from_provider(required(), services.config)

    @pages.get("/auth/signed-out")
    def signed_out() -> str:
        required()
        return render_template("signed_out.html")

    @pages.get("/sessions")
    def listed() -> str:
        return render_template("sessions.html")

    return pages


def _to_provider(single_sign_on: SingleSignOn, config: Config) -> Response:
    """Begins a sign-in: its cookie, and a redirect to the provider."""
    now, secret = datetime.now(UTC), single_sign_on.oidc.client_secret
    before = single_sign_on.sessions.of_cookie(request.cookies.get(sessions.COOKIE))
    sign_in = cookie.begin(request.args.get("next"), now, before.id if before else "")
    again = cookie.SIGNED_OUT in request.cookies or request.args.get("again") == "1"
    address = single_sign_on.provider.sign_in_url(sign_in.state, sign_in.nonce, sign_in.verifier, again=again)
    answer = make_response(redirect(address))
    value = cookie.sealed(sign_in, secret)
    name = cookie.name_of(sign_in.state)
    for surplus in cookie.surplus(request.cookies, name, value, secret, now):
        answer.delete_cookie(surplus, path=cookie.PATH)
    # Lax: the browser must send it when the provider sends the browser back.
    cookies.keep(answer, config, Cookie(name, value, cookie.LASTS, cookie.PATH, "Lax"))
    return _not_stored(answer)


def _back_from_provider(single_sign_on: SingleSignOn, config: Config) -> Response:
    """Completes a sign-in: the session's cookie, and a page that redirects."""
    sign_in, code = _answered(single_sign_on)
    secret = _begun(single_sign_on, sign_in, code)
    if sign_in.session:
        single_sign_on.sessions.end(sign_in.session)  # the session from before may be another person's
    # A page, not a redirect: browsers send no SameSite=Strict cookie after a redirect that began at the provider.
    answer = make_response(render_template("signed_in.html", next=sign_in.next))
    answer.delete_cookie(cookie.name_of(sign_in.state), path=cookie.PATH)
    answer.delete_cookie(cookie.SIGNED_OUT, path=cookie.PATH)
    cookies.keep(answer, config, Cookie(sessions.COOKIE, secret, sessions.LASTS))
    return _not_stored(answer)


def _not_stored(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _answered(single_sign_on: SingleSignOn) -> tuple[cookie.PendingSignIn, str]:
    """The sign-in that this answer of the provider belongs to, and the code. Raises Forbidden."""
    secret, state = single_sign_on.oidc.client_secret, request.args.get("state")
    sign_in = cookie.opened(request.cookies, state, secret, datetime.now(UTC))
    if sign_in is None:
        raise Forbidden("this sign-in was not begun in this browser, or took too long; sign in again")
    code = request.args.get("code", "")
    if not code:
        _log.info("sign-in refused by the provider", error=request.args.get("error", "")[:80])
        raise Forbidden("the sign-in was refused or cancelled; sign in again")
    return sign_in, code


def _begun(single_sign_on: SingleSignOn, sign_in: cookie.PendingSignIn, code: str) -> str:
    """Begins a session of the person whom the provider names for `code`; its secret. Raises Forbidden."""
    try:
        person = single_sign_on.provider.exchange(code, sign_in.verifier, sign_in.nonce)
        if person.role is None:
            _log.info("sign-in without a role", by=person.name)
            raise Forbidden(f"the account {person.name} has no role here; ask for one of them")
        secret = single_sign_on.sessions.begin(person, person.role, sign_in.state)
    except Untrusted as error:
        _log.warning("sign-in not trusted", reason=str(error))
        raise Forbidden("the sign-in could not be checked; sign in again") from None
    _log.info("signed in", by=person.name, role=person.role)
    return secret
