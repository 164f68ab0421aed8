"""The web server, wired by the settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cli.wiring import operations
from fleet.errors import BadSettings
from infra.settings import Settings
from serving import server
from serving.config import ROLES, Config, Oidc, Role
from serving.sign_in.roles import parse_roles
from serving.tokens import TokenFile, parse_tokens

PROBE_SECONDS: Final = 4.0
"""Less than a health check's timeout of five seconds."""


def serve(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Serves the page and the REST API until stopped. Raises BadSettings for tokens that are wrong or missing."""
    tokens = _tokens(settings, environ)
    oidc = _oidc(settings)
    if not tokens and oidc is None:
        _require_loopback(settings.web_host)
    config = Config(
        mongo_uri=settings.mongo,
        kafka_bootstrap=settings.kafka,
        lake=settings.lake_location,
        tokens=tokens,
        oidc=oidc,
        open_to_all=settings.api_open,
        hosts=_list(settings.web_hosts),
        proxies=_list(settings.web_proxies),
        rate_limit=settings.api_rate_limit,
        public_url=settings.web_url,
    )
    operations.serve(settings, "serve", probe=partial(_probe, settings.web_probe_host.strip("[]"), settings.web_port))
    server.serve(config, settings.web_host, settings.web_port)


def _probe(host: str, port: int, path: str) -> dict[str, str]:
    """Asks the server over its own port, which shows that its event loop and its threads work."""
    connection = HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return {"web server": f"no answer: {type(error).__name__}"}
    finally:
        connection.close()
    return {} if status == 200 else {"web server": f"answers {status}"}


def _tokens(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, Role]:
    """The tokens of the settings. A file of tokens is read again when it changes."""
    path = environ.get("PEACEWATCH_API_TOKENS_FILE")
    try:
        if path:
            return TokenFile(Path(path))
        return parse_tokens(settings.api_tokens.get_secret_value() if settings.api_tokens else None)
    except ValueError as error:
        raise BadSettings(f"PEACEWATCH_API_TOKENS{'_FILE' if path else ''}: {error}") from None


def _oidc(settings: Settings) -> Oidc | None:
    """The settings of single sign-on. Raises BadSettings for one that is missing or wrong."""
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_client_secret is None:
        raise BadSettings("PEACEWATCH_OIDC_CLIENT_SECRET: single sign-on needs the client's secret, or its file")
    roles: dict[str, Role] = {role: role for role in ROLES}
    try:
        if settings.oidc_roles:
            roles = parse_roles(settings.oidc_roles)
    except ValueError as error:
        raise BadSettings(f"PEACEWATCH_OIDC_ROLES: {error}") from None
    return Oidc(
        settings.oidc_issuer,
        settings.oidc_client_id,
        settings.oidc_client_secret.get_secret_value(),
        f"{settings.web_url}/auth/callback",
        settings.oidc_roles_claim,
        settings.oidc_name_claim,
        roles,
    )


def _require_loopback(host: str) -> None:
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise BadSettings(
            f"PEACEWATCH_WEB_HOST is {host}, which other machines can reach: set PEACEWATCH_API_TOKENS "
            "(`peacewatch token` makes one) or PEACEWATCH_OIDC_ISSUER"
        )


def _list(text: str | None) -> tuple[str, ...]:
    return tuple(part for part in (each.strip() for each in (text or "").split(",")) if part)
