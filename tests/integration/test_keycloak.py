"""Single sign-on at a real Keycloak: its page, its tokens, its sign-out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from flask import Flask
from flask.testing import FlaskClient

from serving.app import create_app
from serving.config import Config, Oidc
from tests.support import keycloak

CLIENT: Final = "peacewatch"
SECRET: Final = "s3cret-of-the-client-with-32-characters"
PUBLIC: Final = "http://localhost"
PEOPLE: Final = {"mara": ["operator"], "ada": ["admin", "viewer"], "cook": []}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("keycloak")
    with keycloak.serving(folder, keycloak.realm(CLIENT, SECRET, f"{PUBLIC}/auth/callback", PEOPLE)) as address:
        yield address


@pytest.fixture
def app(mongo_uri: str, issuer: str) -> Iterator[Flask]:
    oidc = Oidc(issuer, CLIENT, SECRET, f"{PUBLIC}/auth/callback")
    made = create_app(Config(mongo_uri, oidc=oidc, public_url=PUBLIC))
    yield made
    made.extensions["peacewatch"].close()


def sign_in(browser: FlaskClient, name: str) -> Any:
    """Types the name and the password into Keycloak's page; the answer of ours."""
    begun = browser.get("/auth/sign-in?next=/health")
    with httpx.Client() as provider:
        page = provider.get(begun.headers["Location"])
        assert page.status_code == 200, page.text[:2000]
        form = re.search(r'<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"', page.text)
        assert form, page.text[:2000]
        # Keycloak's cookies are `Secure`. A browser sends them to a loopback address without TLS too; httpx does not.
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in provider.cookies.jar)
        typed = {"username": name, "password": f"{name}-password"}
        sent = provider.post(html.unescape(form[1]), data=typed, headers={"Cookie": cookies})
    assert sent.status_code == 302, sent.text[:2000]
    return browser.get(sent.headers["Location"].removeprefix(PUBLIC))


def access_token(issuer: str, name: str, client: str = CLIENT) -> str:
    form = {"grant_type": "password", "client_id": client, "client_secret": SECRET, "scope": "openid"}
    form |= {"username": name, "password": f"{name}-password"}
    answer = httpx.post(f"{issuer}/protocol/openid-connect/token", data=form)
    token: str = answer.raise_for_status().json()["access_token"]
    return token


@pytest.mark.slow
@pytest.mark.timeout(1200)  # Keycloak compiles itself for minutes on a busy machine
def test_people_sign_in_act_and_sign_out_at_keycloak(app: Flask, issuer: str) -> None:
    browser = app.test_client()
    answer = sign_in(browser, "mara")
    assert (answer.status_code, 'content="0;url=/health"' in answer.text) == (200, True)
    session = browser.get("/api/v1/session").get_json()
    assert (session["by"], session["role"]) == ("mara", "operator")
    assert browser.get("/api/v1/alerts").status_code == 200
    left = browser.delete("/api/v1/session").get_json()["sign_out"]
    assert left.startswith(f"{issuer}/protocol/openid-connect/logout?")
    gone = httpx.get(left)
    assert (gone.status_code, gone.headers["Location"]) == (302, f"{PUBLIC}/")
    assert browser.get("/api/v1/alerts").status_code == 401

    chief = app.test_client()
    sign_in(chief, "ada")
    assert chief.get("/api/v1/session").get_json()["role"] == "admin"
    refused = sign_in(app.test_client(), "cook")
    assert (refused.status_code, "the account cook has no role here" in refused.text) == (403, True)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # Keycloak compiles itself for minutes on a busy machine
def test_programs_of_people_send_keycloaks_access_tokens(app: Flask, issuer: str) -> None:
    client = app.test_client()

    def status(token: str) -> int:
        return client.get("/api/v1/alerts", headers={"Authorization": f"Bearer {token}"}).status_code

    token = access_token(issuer, "mara")
    assert status(token) == 200
    assert status(access_token(issuer, "cook")) == 401
    assert status(access_token(issuer, "mara", client="other")) == 401, "a token of another client"
    head, body, signature = token.split(".")
    assert status(f"{head}.{body}.{signature[::-1]}") == 401
