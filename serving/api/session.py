"""Signing in with a browser: a cookie for a token, or a session of single sign-on; links and event streams carry it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import Conflict, Unauthorized

from serving.api import PREFIX, answers
from serving.config import Role
from serving.http import access
from serving.services import Services
from serving.sign_in import sessions

SIGN_IN: Final = "/auth/sign-in"
"""Where a browser begins single sign-on (serving/pages/sign_in.py)."""


class SignIn(BaseModel):
    """Who signs in."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=400)
    by: str = Field("operator", min_length=1, max_length=80, description="your name, shown to others with your actions")


class Session(BaseModel):
    """Who is signed in."""

    needs_token: bool = Field(description="whether a token or a sign-in is needed; if not, everybody is an operator")
    role: Role | None = Field(description="viewer, operator or admin; null: nobody is signed in")
    by: str | None = Field(description="the name shown with actions: of the account, or as given when signing in")
    sign_in: str | None = Field(description="where a browser signs in by single sign-on; null: by a token")
    sign_out: str | None = Field(None, description="after signing out: where a browser leaves the provider as well")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/session`."""
    api = APIBlueprint("session", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="operators")])
    config = services.config

    @api.get("/session", summary="Who is signed in", responses=answers(Session))
    def session() -> dict[str, Any]:
        return _session(services.access.identify(request))

    @api.post("/session", summary="Sign in with a token", responses=answers(Session, 401, 409))
    def sign_in(body: SignIn) -> Response:
        if config.oidc is not None:
            raise Conflict(f"people sign in at {SIGN_IN}; programs send their token with each request")
        token = access.known_token(config.tokens, body.token)
        if token is None:
            raise Unauthorized("this token is not known")
        identity = access.Identity(access.fingerprint(token), config.tokens[token], body.by)
        response = jsonify(_session(identity))
        response.set_cookie(
            access.COOKIE,
            access.cookie_for(token, body.by, datetime.now(UTC)),
            max_age=access.LASTS,
            secure=config.public_url.startswith("https://"),
            httponly=True,
            samesite="Strict",
        )
        return response

    @api.delete("/session", summary="Sign out", responses=answers(Session))
    def sign_out() -> Response:
        identity = services.access.identify(request)
        left = None
        if identity is not None and identity.session is not None:
            left = _end(identity.session)
        response = jsonify(_session(None if config.is_guarded else identity) | {"sign_out": left})
        response.delete_cookie(access.COOKIE)
        response.delete_cookie(sessions.COOKIE)
        return response

    def _end(ended: sessions.Session) -> str | None:
        """Ends the session; where the browser goes to leave the provider."""
        assert services.access.sessions is not None  # noqa: S101 - an identity with a session is of single sign-on
        assert services.access.provider is not None  # noqa: S101
        services.access.sessions.end(ended.id)
        return services.access.provider.sign_out_url(ended.id_token, f"{config.public_url}/")

    def _session(identity: access.Identity | None) -> dict[str, Any]:
        return {
            "needs_token": config.is_guarded,
            "role": identity.role if identity else None,
            "by": identity.by if identity else None,
            "sign_in": SIGN_IN if config.oidc else None,
        }

    return api
