"""Signing in with a browser: a token for a cookie, which links, frames and event streams carry, too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import Unauthorized

from serving.api import PREFIX, answers
from serving.config import Role
from serving.http import access
from serving.services import Services


class SignIn(BaseModel):
    """Who signs in."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=400)
    by: str = Field("operator", min_length=1, max_length=80, description="your name, shown to others with your actions")


class Session(BaseModel):
    """Who is signed in."""

    needs_token: bool = Field(description="whether the settings name tokens; without any everybody is an operator")
    role: Role | None = Field(description="viewer or operator; null: nobody is signed in")
    by: str | None = Field(description="the name given when signing in")


def blueprint(services: Services) -> APIBlueprint:
    """`/api/v1/session`."""
    api = APIBlueprint("session", __name__, url_prefix=PREFIX, abp_tags=[Tag(name="operators")])
    config = services.config

    @api.get("/session", summary="Who is signed in", responses=answers(Session))
    def session() -> dict[str, Any]:
        return _session(access.identify(config, request))

    @api.post("/session", summary="Sign in", responses=answers(Session, 401))
    def sign_in(body: SignIn) -> Response:
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
        response = jsonify(_session(None if config.tokens else access.identify(config, request)))
        response.delete_cookie(access.COOKIE)
        return response

    def _session(identity: access.Identity | None) -> dict[str, Any]:
        return {
            "needs_token": bool(config.tokens),
            "role": identity.role if identity else None,
            "by": identity.by if identity else None,
        }

    return api
