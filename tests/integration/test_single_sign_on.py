"""Single sign-on over a real MongoDB and Kafka: sessions that are begun, known by name, listed and ended.

The provider is the tests' own (tests/support/oidc.py), which can be made to misbehave; test_keycloak.py has a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.database import Database

from fleet import topics
from serving.app import create_app
from serving.config import Config, Oidc
from serving.sign_in import cookie, sessions
from tests.support import oidc as fake

Documents = Database[dict[str, Any]]
MACHINE = "m" * 40
PUBLIC = "http://localhost"


@pytest.fixture
def provider() -> Iterator[fake.Provider]:
    with fake.provider() as made:
        yield made


@pytest.fixture
def app(
    mongo_uri: str, mongo_database: Documents, kafka: str, topic: Callable[..., str], provider: fake.Provider
) -> Iterator[Flask]:
    mongo_database.incidents.insert_one({"_id": "i1", "last": datetime.now(UTC)})
    oidc = Oidc(provider.issuer, fake.CLIENT, fake.SECRET, f"{PUBLIC}/auth/callback")
    actions = topic(kind=topics.OPERATOR_ACTIONS, partitions=1)
    tokens: dict[str, Any] = {MACHINE: "operator"}
    made = create_app(Config(mongo_uri, kafka, actions_topic=actions, tokens=tokens, oidc=oidc, public_url=PUBLIC))
    yield made
    made.extensions["peacewatch"].close()


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def begin(browser: FlaskClient, provider: fake.Provider, back: str = "/health") -> str:
    """Goes to the provider; the address that it sends the browser back to."""
    answer = browser.get("/auth/sign-in", query_string={"next": back})
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(f"{provider.issuer}/auth?")
    return provider.authorize(answer.headers["Location"]).removeprefix(PUBLIC)


def come_back(browser: FlaskClient, address: str) -> Any:
    """Follows `address` of the provider as a browser does: without the session, whose cookie is SameSite=Strict."""
    session = browser.get_cookie(sessions.COOKIE)
    browser.delete_cookie(sessions.COOKIE)
    answer = browser.get(address)
    if session is not None and browser.get_cookie(sessions.COOKIE) is None:
        browser.set_cookie(sessions.COOKIE, session.value)
    return answer


def sign_in(browser: FlaskClient, provider: fake.Provider, back: str = "/health", **claims: Any) -> Any:
    """Goes to the provider and back; the last answer."""
    provider.claims = claims
    return come_back(browser, begin(browser, provider, back))


def who(browser: FlaskClient) -> tuple[str | None, str | None]:
    session = browser.get("/api/v1/session").get_json()
    return session["by"], session["role"]


def test_person_signs_in_and_comes_back_to_where_they_were(browser: FlaskClient, provider: fake.Provider) -> None:
    assert browser.get("/api/v1/statistics/averages").status_code == 401
    assert browser.get("/api/v1/session").get_json()["sign_in"] == "/auth/sign-in"
    answer = sign_in(browser, provider)
    assert 'content="0;url=/health"' in answer.text
    cookies = answer.headers.getlist("Set-Cookie")
    (session,) = [each for each in cookies if each.startswith(f"{sessions.COOKIE}=")]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(session.split("; "))
    assert any(each.startswith(cookie.PREFIX) and "=;" in each for each in cookies), "what was kept to return is gone"
    assert who(browser) == ("mara", "operator")
    assert browser.get("/api/v1/statistics/averages").status_code == 200
    assert browser.get("/reports").status_code == 200


def test_action_is_in_the_name_of_the_account_whatever_is_typed(browser: FlaskClient, provider: fake.Provider) -> None:
    sign_in(browser, provider)
    path = "/api/v1/incidents/i1/acknowledge"
    done = browser.post(path, json={"by": "Ada Berg", "note": "on my way"})
    assert done.status_code == 202
    assert done.get_json()["action"]["by"] == "mara"
    by_machine = browser.post(path, json={"by": "Ada Berg"}, headers={"Authorization": f"Bearer {MACHINE}"})
    assert by_machine.get_json()["action"]["by"].startswith("token ")
    by_program = browser.post(path, json={"by": "x"}, headers={"Authorization": f"Bearer {provider.token()}"})
    assert by_program.get_json()["action"]["by"] == "mara"
    silence = browser.post("/api/v1/silences", json={"kind": "unrest", "by": "Ada Berg"}).get_json()["action"]
    browser.delete(f"/api/v1/silences/{silence['id']}")
    rows = browser.get("/api/v1/actions").get_json()["actions"]
    assert [row["by"] for row in rows if row["action"] in ("silence", "unsilence")] == ["mara", "mara"]
    assert len({row["id"].partition("-")[0] for row in rows}) == 2, "the account's name and the machine's"


@pytest.mark.parametrize(("roles", "may_act"), [(["viewer"], False), (["operator"], True), (["viewer", "admin"], True)])
def test_role_of_the_account_decides(
    browser: FlaskClient, provider: fake.Provider, roles: list[str], may_act: bool
) -> None:
    sign_in(browser, provider, roles=roles)
    assert browser.get("/api/v1/alerts").status_code == 200
    assert browser.post("/api/v1/incidents/i1/resolve", json={}).status_code == (202 if may_act else 403)


def test_account_without_a_role_is_not_let_in(browser: FlaskClient, provider: fake.Provider) -> None:
    provider.claims = {"roles": ["cook"]}
    answer = browser.get(begin(browser, provider), headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.status_code == 403
    assert "The account mara has no role here" in answer.text
    assert who(browser) == (None, None)
    assert 'href="/auth/sign-in?again=1"' in answer.text, "the provider would let the same account in silently"
    assert asks_for_the_password(browser, "?again=1")


def test_sign_in_of_another_browser_is_refused(app: Flask, browser: FlaskClient, provider: fake.Provider) -> None:
    """An attacker begins a sign-in and gives its end to somebody else, who would act in the attacker's name."""
    begun = browser.get("/auth/sign-in")
    end = provider.authorize(begun.headers["Location"]).removeprefix(PUBLIC)
    victim = app.test_client()
    assert victim.get(end).status_code == 403
    sign_in(victim, provider)
    assert victim.get(end).status_code == 403
    assert who(victim) == ("mara", "operator")


def test_end_of_a_sign_in_works_once(app: Flask, browser: FlaskClient, provider: fake.Provider) -> None:
    begun = browser.get("/auth/sign-in")
    end = provider.authorize(begun.headers["Location"]).removeprefix(PUBLIC)
    state = parse_qs(urlsplit(end).query)["state"][0]
    name = cookie.name_of(state)
    kept = browser.get_cookie(name, path="/auth")
    assert kept is not None
    assert browser.get(end).status_code == 200
    assert browser.get(end).status_code == 403, "the browser no longer has the sign-in's cookie"
    thief = app.test_client()
    thief.set_cookie(name, kept.value, path="/auth")
    assert thief.get(end).status_code == 403, "the provider takes a code once"
    provider.codes["another"] = parse_qs_of(begun.headers["Location"])
    assert thief.get(f"/auth/callback?code=another&state={state}").status_code == 403, "a sign-in begins one session"
    assert len(browser.get("/api/v1/sessions").get_json()["sessions"]) == 1


def test_two_tabs_sign_in_at_once(browser: FlaskClient, provider: fake.Provider) -> None:
    first, second = begin(browser, provider, "/health"), begin(browser, provider, "/reports")
    assert 'content="0;url=/health"' in come_back(browser, first).text
    assert 'content="0;url=/reports"' in come_back(browser, second).text
    assert who(browser) == ("mara", "operator")


def test_so_many_tabs_sign_in_at_once(browser: FlaskClient, provider: fake.Provider) -> None:
    back = [begin(browser, provider) for _ in range(cookie.MOST + 1)]
    assert come_back(browser, back[-1]).status_code == 200
    assert sorted(come_back(browser, address).status_code for address in back[:-1]) == [200] * (cookie.MOST - 1) + [403]


def parse_qs_of(address: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_signing_in_ends_the_session_that_was_there(app: Flask, browser: FlaskClient, provider: fake.Provider) -> None:
    """A cookie that somebody planted, or of the person before, is worth nothing after a sign-in (session fixation)."""
    sign_in(browser, provider)
    planted = browser.get_cookie(sessions.COOKIE)
    assert planted is not None
    victim = app.test_client()
    victim.set_cookie(sessions.COOKIE, planted.value)
    sign_in(victim, provider, sub="u-2", preferred_username="ada", roles=["admin"])
    fresh = victim.get_cookie(sessions.COOKIE)
    assert fresh is not None
    assert fresh.value != planted.value
    assert (who(victim), who(browser)) == (("ada", "admin"), (None, None))


@pytest.mark.parametrize("value", ["", "x", "a" * sessions.SECRET_LENGTH, "a" * 4000])
def test_invented_cookie_is_nobody(browser: FlaskClient, value: str) -> None:
    browser.set_cookie(sessions.COOKIE, value)
    assert who(browser) == (None, None)
    assert browser.get("/api/v1/alerts").status_code == 401


def test_person_signs_out_here_and_at_the_provider(browser: FlaskClient, provider: fake.Provider) -> None:
    sign_in(browser, provider)
    secret = browser.get_cookie(sessions.COOKIE)
    left = browser.delete("/api/v1/session").get_json()
    assert left["role"] is None
    query = parse_qs_of(left["sign_out"])
    assert (query["post_logout_redirect_uri"], query["client_id"]) == (f"{PUBLIC}/", fake.CLIENT)
    assert query["id_token_hint"].count(".") == 2
    assert secret is not None
    browser.set_cookie(sessions.COOKIE, secret.value)
    assert who(browser) == (None, None), "the server has ended it, not the browser alone"
    assert asks_for_the_password(browser), "the next person at this browser is not let in as Mara"
    sign_in(browser, provider)
    assert not asks_for_the_password(browser), "until somebody has signed in"


def asks_for_the_password(browser: FlaskClient, query: str = "") -> bool:
    return parse_qs_of(browser.get(f"/auth/sign-in{query}").headers["Location"]).get("prompt") == "login"


@pytest.mark.parametrize("why", ["no such address", "ended before"])
def test_person_who_signs_out_of_this_server_alone_is_not_signed_in_again(
    browser: FlaskClient, provider: fake.Provider, why: str
) -> None:
    provider.changes = {"end_session_endpoint": None} if why == "no such address" else {}
    sign_in(browser, provider)
    if why == "ended before":
        (row,) = browser.get("/api/v1/sessions").get_json()["sessions"]
        browser.delete(f"/api/v1/sessions/{row['id']}")
    left = browser.delete("/api/v1/session").get_json()["sign_out"]
    assert left == "/auth/signed-out"
    page = browser.get(left)
    assert (page.status_code, "Signed out" in page.text) == (200, True)
    assert "session.js" not in page.text, "no script of it signs in again"
    assert asks_for_the_password(browser)


def test_sessions_are_ended_by_their_owner_and_by_an_admin(
    app: Flask, provider: fake.Provider, mongo_database: Documents
) -> None:
    desk, phone, other, chief = (app.test_client() for _ in range(4))
    for browser in (desk, phone):
        sign_in(browser, provider)
    sign_in(other, provider, sub="u-3", preferred_username="ines")
    sign_in(chief, provider, sub="u-2", preferred_username="ada", roles=["admin"])

    def rows(browser: FlaskClient) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = browser.get("/api/v1/sessions").get_json()["sessions"]
        return listed

    assert [(row["by"], row["current"]) for row in rows(phone)] == [("mara", True), ("mara", False)]
    assert sorted(row["by"] for row in rows(chief)) == ["ada", "ines", "mara", "mara"]
    of_desk = next(row["id"] for row in rows(phone) if not row["current"])
    assert other.delete(f"/api/v1/sessions/{of_desk}").status_code == 404, "nobody ends another's"
    assert phone.delete(f"/api/v1/sessions/{of_desk}").status_code == 200
    assert (who(desk), who(phone)) == ((None, None), ("mara", "operator"))
    of_other = next(row["id"] for row in rows(chief) if row["by"] == "ines")
    assert chief.delete(f"/api/v1/sessions/{of_other}").status_code == 200
    assert who(other) == (None, None)
    stored = mongo_database.sessions.find_one({"by": "mara"})
    assert stored is not None
    secret = phone.get_cookie(sessions.COOKIE)
    assert secret is not None
    assert secret.value not in str(stored), "who reads the database cannot sign in with it"


def test_one_person_has_so_many_sessions(app: Flask, provider: fake.Provider, mongo_database: Documents) -> None:
    browsers = [app.test_client() for _ in range(sessions.MOST + 1)]
    for browser in browsers:
        sign_in(browser, provider)
    assert mongo_database.sessions.count_documents({}) == sessions.MOST
    assert (who(browsers[0]), who(browsers[-1])) == ((None, None), ("mara", "operator"))


def test_a_token_is_for_programs_where_people_sign_in(browser: FlaskClient) -> None:
    assert browser.post("/api/v1/session", json={"token": MACHINE}).status_code == 409
    headers = {"Authorization": f"Bearer {MACHINE}"}
    assert browser.get("/api/v1/alerts", headers=headers).status_code == 200
    assert browser.get("/api/v1/sessions", headers=headers).get_json() == {"sessions": []}


def test_provider_that_is_away_ends_no_session(browser: FlaskClient, provider: fake.Provider) -> None:
    sign_in(browser, provider)
    provider.is_away = True
    assert browser.get("/api/v1/alerts").status_code == 200
    assert who(browser) == ("mara", "operator")
