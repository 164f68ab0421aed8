"""The web port before anything is worked out: hosts, pages of other sites, tokens, cookies, addresses, bad bodies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import Client, EnvironBuilder
from werkzeug.wrappers import Request, Response

from serving.app import create_app
from serving.config import Config, Oidc
from serving.http import access
from serving.http.access import Access
from serving.http.clients import client_key
from serving.http.gate import Gate
from serving.http.segments import Segments
from serving.sign_in import sessions
from serving.tokens import LOOK_SECONDS, SHORTEST, TokenFile, new_token, parse_tokens

NOWHERE = "mongodb://127.0.0.1:1/nothing?connect=false&serverSelectionTimeoutMS=1"
VIEWER, OPERATOR = "v" * SHORTEST, "o" * SHORTEST
TOKENS: dict[str, Any] = {VIEWER: "viewer", OPERATOR: "operator"}
OIDC = Oidc("https://login.example", "peacewatch", "secret", "https://watch.example/auth/callback")
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def client_of(**settings: Any) -> Iterator[FlaskClient]:
    app = create_app(Config(mongo_uri=NOWHERE, **settings))
    yield app.test_client()
    app.extensions["peacewatch"].close()


def passed(**settings: Any) -> Client:
    """A gate before an application that says yes to everything."""
    config = Config(mongo_uri=NOWHERE, **settings)
    return Client(Gate(Response("yes"), config, Access(config)))


@pytest.fixture
def client() -> Iterator[FlaskClient]:
    yield from client_of(public_url="https://watch.example", hosts=("inside.example",))


@pytest.fixture
def guarded() -> Iterator[FlaskClient]:
    yield from client_of(tokens=TOKENS)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost:18000", 200), ("127.0.0.1:18000", 200), ("[::1]:18000", 200), ("192.0.2.7", 200)),
        *(("watch.example", 200), ("inside.example:80", 200), ("INSIDE.example", 200)),
        *(("evil.example", 421), ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421)),
        *(("", 400), ("a b", 421), ("me@localhost", 400), ("localhost/x", 400), ("localhost:99999", 400)),
    ],
)
def test_only_hosts_that_this_server_is_called_are_answered(host: str, status: int) -> None:
    gate = passed(public_url="https://watch.example", hosts=("inside.example",))
    answer = gate.get("/", headers={"Host": host})
    assert answer.status_code == status
    if status != 200:
        assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "https://watch.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://localhost:8000"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"}, False),
    ],
)
def test_pages_of_other_sites_cannot_act(client: FlaskClient, headers: dict[str, str], is_ours: bool) -> None:
    answer = client.post("/api/v1/silences", json={"kind": "nothing"}, headers=headers)
    assert answer.status_code == (422 if is_ours else 403), "422: it got as far as its own mistake"
    assert answer.mimetype == "application/problem+json"


def test_redirects_do_not_follow_the_host(client: FlaskClient) -> None:
    for path in ("/openapi", "/api/v1//alerts"):
        answer = client.get(path, headers={"Host": "192.0.2.7:1"})
        location = answer.headers.get("Location", "")
        assert "192.0.2.7" not in location, path
        assert not location.startswith("//"), path


OPEN = ["/api/v1/statistics/averages", "/api/v1/completeness", "/api/v1/places", "/api/v1/status"]
CLOSED = [
    *("alerts", "incidents", "incidents/i1", "drones", "drones/d1", "drones/map", "drones/d1/track?date=2026-11-24"),
    *("reports?date=2026-11-24&drone=d", "rejects", "stream", "actions", "silences", "nightly-reports"),
    "nightly-reports/2026-11-24/html",
]


@pytest.mark.parametrize("path", CLOSED)
def test_names_words_and_single_reports_need_a_viewer(path: str) -> None:
    guarded = passed(tokens=TOKENS)
    answer = guarded.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.mimetype) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"].lower().startswith("bearer")
    assert guarded.get(f"/api/v1/{path}", headers=bearer(VIEWER)).status_code == 200
    assert guarded.get(f"/api/v1/{path}", headers=bearer("w" * 40)).status_code == 401


@pytest.mark.parametrize("path", OPEN)
def test_figures_are_closed_unless_a_setting_opens_them(path: str) -> None:
    closed = passed(tokens=TOKENS)
    assert closed.get(path).status_code == 401
    assert closed.get(path, headers=bearer(VIEWER)).status_code == 200
    assert passed(tokens=TOKENS, open_to_all="figures").get(path).status_code == 200
    assert passed().get(path).status_code == 200, "without tokens all is open: a laptop, bound to loopback"


def test_nightly_reports_need_a_viewer_and_their_list_is_figures() -> None:
    closed, opened = passed(tokens=TOKENS), passed(tokens=TOKENS, open_to_all="figures")
    for path, status in (("/reports", 200), ("/reports/2026-11-24", 401)):
        assert closed.get(path).status_code == 401
        assert closed.get(path, headers=bearer(VIEWER)).status_code == 200
        assert opened.get(path).status_code == status


def test_page_that_is_refused_asks_to_sign_in(guarded: FlaskClient) -> None:
    answer = guarded.get("/reports", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert "problem.js" in answer.text
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert guarded.get("/reports").mimetype == "application/problem+json", "a program gets no page"


SHELLS = {"/", "/health", "/sessions", "/drones/<id:drone_id>"}
SHELLS |= {"/healthz", "/readyz", "/static/<path:filename>", "/static/leaflet/<path:name>"}
SHELLS |= {"/auth/sign-in", "/auth/callback", "/auth/signed-out"}
"""Pages without data: it comes from the API."""


def test_every_page_with_data_is_behind_the_gate() -> None:
    guarded = passed(tokens=TOKENS)
    for client in client_of():
        paths = {rule.rule for rule in client.application.url_map.iter_rules()}
        pages = {path for path in paths if not path.startswith(("/api/", "/openapi"))}
        assert {page for page in pages if guarded.get(page).status_code == 200} == SHELLS


def test_caller_is_identified_once() -> None:
    environ = EnvironBuilder(path="/api/v1/alerts", headers=Headers(bearer(VIEWER))).get_environ()
    tokens = dict(TOKENS)
    access_of = Access(Config(mongo_uri=NOWHERE, tokens=tokens))
    first = access_of.require(Request(environ), "viewer")
    del tokens[VIEWER]
    assert access_of.require(Request(environ), "viewer") is first, "the checks of one request agree"
    assert access_of.identify(Request(environ)) is None, "an event stream asks again as long as it is open"


def test_every_endpoint_is_behind_the_gate() -> None:
    """What is added needs a token until somebody decides that it does not."""
    guarded, opened = passed(tokens=TOKENS), passed(tokens=TOKENS, open_to_all="figures")
    for client in client_of():
        paths = {rule.rule for rule in client.application.url_map.iter_rules() if rule.rule.startswith("/api/")}
        assert len(paths) > 20
        assert {path for path in paths if guarded.get(path).status_code == 200} == {"/api/v1/session"}
        open_paths = {path for path in paths if opened.get(path).status_code == 200}
        figures = {path for path in paths if path.startswith(("/api/v1/statistics/", *OPEN))}
        assert open_paths == figures | {"/api/v1/session"}


@pytest.mark.parametrize("token", [None, VIEWER])
def test_a_body_nested_too_deeply_is_a_problem(guarded: FlaskClient, client: FlaskClient, token: str | None) -> None:
    for tried in (guarded, client):
        answer = tried.post(
            "/api/v1/silences",
            data="[" * 60_000,
            content_type="application/json",
            headers=bearer(token) if token else {},
        )
        assert answer.status_code in (400, 401, 403, 422)
        assert answer.mimetype == "application/problem+json"


def test_a_browser_signs_in_and_out(guarded: FlaskClient) -> None:
    path = "/api/v1/session"
    nobody = {"needs_token": True, "figures_open": False, "role": None, "by": None, "sign_in": None}
    assert guarded.get(path).get_json() == nobody
    assert guarded.post(path, json={"token": "x" * 40}).status_code == 401
    answer = guarded.post(path, json={"token": OPERATOR, "by": "Mara; Lind="})
    assert answer.get_json() == {**nobody, "role": "operator", "by": "Mara; Lind="}
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert OPERATOR not in cookie
    assert guarded.get(path).get_json()["by"] == "Mara; Lind="
    assert guarded.get("/api/v1/rejects").status_code == 503, "let in; there is no Kafka"
    guarded.delete(path)
    assert guarded.get("/api/v1/rejects").status_code == 401


@pytest.mark.parametrize(
    ("settings", "needs_token", "figures_open"),
    [
        ({}, False, True),
        ({"tokens": TOKENS}, True, False),
        ({"tokens": TOKENS, "open_to_all": "figures"}, True, True),
        ({"oidc": OIDC}, True, False),
        ({"oidc": OIDC, "open_to_all": "figures"}, True, True),
    ],
)
def test_session_says_whether_figures_are_open(settings: Any, needs_token: bool, figures_open: bool) -> None:
    for client in client_of(**settings):
        session = client.get("/api/v1/session").get_json()
        assert (session["needs_token"], session["figures_open"]) == (needs_token, figures_open)
        assert session["sign_in"] == ("/auth/sign-in" if "oidc" in settings else None)
        assert client.get("/api/v1/alerts").status_code == (401 if needs_token else 503)


def test_a_cookie_ends_with_its_time_and_with_its_token() -> None:
    cookie = access.cookie_for(OPERATOR, "Mara", NOW)
    identity = access.of_cookie(TOKENS, cookie, NOW + sessions.LASTS - timedelta(seconds=1))
    assert identity is not None
    assert (identity.role, identity.by, identity.name) == ("operator", "Mara", access.fingerprint(OPERATOR))
    assert access.of_cookie(TOKENS, cookie, NOW + sessions.LASTS) is None
    assert access.of_cookie({VIEWER: "viewer"}, cookie, NOW) is None
    for forged in (cookie[:-1], cookie.replace(".", ".1", 1), "", "a.b.c.d", access.cookie_for("other", "Mara", NOW)):
        assert access.of_cookie(TOKENS, forged, NOW) is None


def test_a_made_token_is_taken_and_a_short_one_is_not() -> None:
    entry = new_token("operator")
    (token,) = parse_tokens(entry)
    assert len(token) >= SHORTEST
    assert parse_tokens(f"{entry},\n {new_token('viewer')}\n") != {}
    for wrong in ("a" * (SHORTEST - 1) + ":viewer", "a" * SHORTEST, f"{'a' * SHORTEST}:root", f"{'ä' * 40}:viewer"):
        with pytest.raises(ValueError, match=r"token") as raised:
            parse_tokens(wrong)
        assert wrong.partition(":")[0] not in str(raised.value)


def test_tokens_of_a_file_are_rotated_without_a_restart(tmp_path: Path) -> None:
    now = 0.0
    path = tmp_path / "tokens"
    path.write_text(f"\ufeff{VIEWER}:viewer\r\n", encoding="utf-8")  # as some editors save it
    tokens = TokenFile(path, lambda: now)
    path.write_text(f"\ufeff{OPERATOR}:operator\n", encoding="utf-8")
    assert dict(tokens) == {VIEWER: "viewer"}, "not looked at again yet"
    now += LOOK_SECONDS
    assert dict(tokens) == {OPERATOR: "operator"}
    for wrong in ("", "short:viewer", "\xff"):
        path.write_bytes(wrong.encode("latin-1"))
        now += LOOK_SECONDS
        assert dict(tokens) == {OPERATOR: "operator"}, "a broken file opens nothing and shuts nobody out"
    path.unlink()
    now += LOOK_SECONDS
    assert len(tokens) == 1


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_client(address: str, key: str) -> None:
    assert client_key(address) == key


@pytest.mark.parametrize(
    "drone", ["a/days", "a/b/track", "100%", "a%2Fb", "%", "//", "ü/日本", "map/x", "a b?c#d", "a\nb", "\n/days\n"]
)
def test_an_id_of_any_text_is_one_id(drone: str) -> None:
    for client in client_of():
        urls = client.application.url_map.bind("localhost")
        for prefix, suffix in (("/api/v1/drones/", ""), ("/api/v1/drones/", "/days"), ("/drones/", "")):
            environ = EnvironBuilder(path=f"{prefix}{quote(drone, safe='')}{suffix}").get_environ()
            Segments(Response("yes"))(environ, lambda *_: lambda _: None)
            endpoint, values = urls.match(environ["PATH_INFO"].encode("latin-1").decode())
            assert values == {"drone_id": drone}
            assert ("drone_days" in endpoint) == bool(suffix)


def test_allow_names_the_methods_of_every_route_and_no_other() -> None:
    """An id may have slashes: `/incidents/x/acknowledge` was an incident for GET, and an action for POST."""
    for client in client_of():
        rules = list(client.application.url_map.iter_rules())
        urls = client.application.url_map.bind("localhost")
        methods: dict[str, set[str]] = defaultdict(set)
        for rule in rules:
            methods[rule.rule] |= rule.methods or set()
        assert len(methods) > 40
        for rule in rules:
            path = urls.build(rule.endpoint, dict.fromkeys(rule.arguments, "x"), method=min(rule.methods or ()))
            assert set(urls.allowed_methods(path)) == methods[rule.rule], rule.rule
