"""Signing in with a browser: a cookie for a token, or a session of single sign-on, sent with links and event streams
too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import ConfigDict, Field
from werkzeug.exceptions import Conflict, Unauthorized

from serving.api import PREFIX, answers
from serving.config import Config, Role
from serving.http import access, cookies
from serving.http.cookies import Cookie
from serving.http.model import Model
from serving.services import Services
from serving.sign_in import cookie, sessions
from serving.sign_in.single_sign_on import SingleSignOn

SIGN_IN: Final = "/auth/sign-in"
"""Where a browser begins single sign-on (serving/pages/sign_in.py)."""

SIGNED_OUT: Final = "/auth/signed-out"
"""Where a browser goes after signing out, if the provider has no such page. It does not sign in again by itself."""


class TokenSignIn(Model):
    """Who signs in."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=400)
    by: str = Field("operator", min_length=1, max_length=80, description="your name, shown to others with your actions")


class CurrentSession(Model):
    """Who is signed in."""

    needs_token: bool = Field(description="whether a token or a sign-in is needed; if not, everybody is an operator")
    figures_open: bool = Field(description="whether anybody can read figures (`PEACEWATCH_API_OPEN=figures`)")
    role: Role | None = Field(description="viewer, operator or admin; null: nobody is signed in")
    by: str | None = Field(description="the name shown with actions: of the account, or as given when signing in")
    sign_in: str | None = Field(description="where a browser starts single sign-on; null: sign in with a token")
    sign_out: str | None = Field(None, description="where a browser goes to sign out of single sign-on")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/session`."""
    api = APIBlueprint("session", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="operators")])
    config, single_sign_on = services.config, services.access.single_sign_on

    @api.get("/session", summary="Who is signed in", responses=answers(CurrentSession))
    def session() -> dict[str, Any]:
        return _current(services, services.access.identify(request))

    @api.post("/session", summary="Sign in with a token", responses=answers(CurrentSession, 401, 409))
    def sign_in(body: TokenSignIn) -> Response:
        if single_sign_on is not None:
            raise Conflict(f"people sign in at {SIGN_IN}; programs send their token with each request")
        token = access.known_token(config.tokens, body.token)
        if token is None:
            raise Unauthorized("this token is not known")
        response = jsonify(
            _current(services, access.Identity(access.fingerprint(token), config.tokens[token], body.by))
        )
        value = access.cookie_for(token, body.by, datetime.now(UTC))
        cookies.keep(response, config, Cookie(access.COOKIE, value, sessions.LASTS))
        return response

    @api.delete("/session", summary="Sign out", responses=answers(CurrentSession))
    def sign_out() -> Response:
        identity = services.access.identify(request)
        left = _end(single_sign_on, config, identity.session if identity else None) if single_sign_on else None
        response = jsonify(_current(services, None if config.is_guarded else identity) | {"sign_out": left})
        response.delete_cookie(access.COOKIE)
        response.delete_cookie(sessions.COOKIE)
        if single_sign_on is not None:
            mark = Cookie(cookie.SIGNED_OUT, "1", cookie.SIGNED_OUT_LASTS, cookie.PATH, "Lax")
            cookies.keep(response, config, mark)
        return response

    return api


def _end(single_sign_on: SingleSignOn, config: Config, ended: sessions.Session | None) -> str:
    """Ends the session. Returns where the browser goes then: to the provider's sign-out, or to our own page."""
    address = None
    if ended is not None:
        single_sign_on.sessions.end(ended.id)
        address = single_sign_on.provider.sign_out_url(ended.id_token, f"{config.public_url}/")
    return address or SIGNED_OUT


def _current(services: Services, identity: access.Identity | None) -> dict[str, Any]:
    """The fields of CurrentSession, without `sign_out`."""
    return {
        "needs_token": services.config.is_guarded,
        "figures_open": services.config.has_open_figures,
        "role": identity.role if identity else None,
        "by": identity.by if identity else None,
        "sign_in": SIGN_IN if services.access.single_sign_on else None,
    }
