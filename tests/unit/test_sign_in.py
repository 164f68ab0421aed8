"""Single sign-on without MongoDB: which tokens are trusted, what a browser keeps, where it may return to, and roles."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from werkzeug.test import Client
from werkzeug.wrappers import Response

from cli.wiring.web import _oidc
from fleet.errors import BadSettings, ServiceUnavailable
from infra import settings
from serving.config import Config, Oidc
from serving.http.access import Access
from serving.http.gate import Gate
from serving.sign_in import cookie
from serving.sign_in.discovery import AGAIN_SECONDS, KEPT_SECONDS, REFRESH_SECONDS
from serving.sign_in.provider import ALGORITHMS, LEEWAY_SECONDS, LONGEST_HINT, Provider, Untrusted
from serving.sign_in.roles import name_of, parse_roles, role_of
from serving.sign_in.sessions import Sessions
from serving.sign_in.single_sign_on import SingleSignOn
from tests.support import oidc as fake

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
REDIRECT = "http://localhost/auth/callback"


class Clock:
    """Seconds since 1970, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def server() -> Iterator[fake.Provider]:
    with fake.provider() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider(server: fake.Provider, clock: Clock) -> Iterator[Provider]:
    made = Provider(of(server), clock, clock)
    yield made
    made.close()


def of(server: fake.Provider, **more: Any) -> Oidc:
    return Oidc(server.issuer, fake.CLIENT, fake.SECRET, REDIRECT, **more)


def sign_in(provider: Provider, server: fake.Provider, verifier: str = "v" * 43, nonce: str = "n") -> Any:
    back = server.authorize(provider.sign_in_url("state", "n", "v" * 43))
    code = back.partition("code=")[2].partition("&")[0]
    return provider.exchange(code, verifier, nonce)


def test_person_who_signs_in_is_known_by_name_and_role(provider: Provider, server: fake.Provider) -> None:
    person = sign_in(provider, server)
    assert (person.issuer, person.subject, person.name, person.role) == (server.issuer, "u-1", "mara", "operator")
    assert sign_in(provider, server) == person or person.id_token
    assert (server.calls["/keys"], server.calls["/.well-known/openid-configuration"]) == (1, 1), "both are kept"


HOUR_AGO = int(time.time()) - 3600
FORGED = {
    "of another client": {"aud": "somebody-else"},
    "of another client, for ours as well": {"aud": ["somebody-else", fake.CLIENT], "azp": "somebody-else"},
    "of two clients, which does not say for whom": {"aud": ["somebody-else", fake.CLIENT]},
    "without an audience": {"aud": None},
    "expired": {"exp": HOUR_AGO, "iat": HOUR_AGO - 300},
    "that never expires": {"exp": None},
    "of the future": {"iat": HOUR_AGO + 7200, "exp": HOUR_AGO + 7500},
    "not valid yet": {"nbf": HOUR_AGO + 7200},
    "of another issuer": {"iss": "https://evil.example"},
    "of an issuer with a slash more": {"iss": "{issuer}/"},
    "without an issuer": {"iss": None},
    "of nobody": {"sub": None},
    "of a number": {"sub": 7},
    "with an expiry that is no number": {"exp": "soon"},
    "with an expiry that is true": {"exp": True},
    "with an expiry that is nothing": {"exp": float("nan")},
    "with an expiry without end": {"exp": float("inf")},
    "of an audience with others that are no texts": {"aud": [1, fake.CLIENT]},
    "of a nameless person": {"sub": ""},
    "with a name of megabytes": {"preferred_username": "m" * 3_000_000},
    "with roles without end": {"roles": ["x"] * 300_000 + ["admin"]},
}


@pytest.mark.parametrize("what", FORGED)
def test_tokens_that_are_not_for_us_now_are_not_trusted(provider: Provider, server: fake.Provider, what: str) -> None:
    server.claims = {
        name: value.format(issuer=server.issuer) if isinstance(value, str) else value
        for name, value in FORGED[what].items()  # type: ignore[attr-defined]
    }
    with pytest.raises(Untrusted):
        sign_in(provider, server)
    with pytest.raises(Untrusted):
        provider.of_access_token(server.token())


@pytest.mark.parametrize("nonce", ["another", None])
def test_id_token_of_another_sign_in_is_not_trusted(provider: Provider, server: fake.Provider, nonce: Any) -> None:
    server.claims = {"nonce": nonce}
    with pytest.raises(Untrusted):
        sign_in(provider, server)


def test_signatures_that_anybody_can_make_are_not_trusted(provider: Provider, server: fake.Provider) -> None:
    assert not {"none", "HS256", "HS384", "HS512"} & set(ALGORITHMS)
    public = json.dumps(server.key.as_dict(private=False)).encode()
    known = (
        public,
        server.key.as_pem(private=False),
        fake.SECRET.encode(),
    )  # to an attacker, or to a holder of the secret
    for alg, secret in (("none", b""), ("None", b""), ("HS256", b""), *(("HS256", each) for each in known)):
        server.alg, server.shared_secret = alg, secret
        with pytest.raises(Untrusted):
            provider.of_access_token(server.token())
    server.shared_secret, server.forged_key = None, fake.new_key("first")  # another key under the name of the right one
    with pytest.raises(Untrusted):
        provider.of_access_token(server.token())
    server.forged_key = None
    good = server.token()
    head, body, signature = good.split(".")
    for text in (f"{head}.{body}.", f"{head}.{body}", "..", "a.b.c", good[:-4] + "AAAA", f"{head}.{signature}.{body}"):
        with pytest.raises(Untrusted):
            provider.of_access_token(text)
    assert provider.of_access_token(good).role == "operator"


OTHER_TOKENS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {  # header, claims
    "an ID token by its nonce": ({}, {"nonce": "n"}),
    "an ID token by its access token's hash": ({}, {"at_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"}),
    "an ID token by its code's hash": ({}, {"c_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"}),
    "an ID token by its state's hash": ({}, {"s_hash": "MTIzNDU2Nzg5MDEyMzQ1Ng"}),
    "a logout token": ({}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}),
    "a logout token by its header": ({"typ": "logout+jwt"}, {}),
    "a security event": ({"typ": "application/secevent+jwt"}, {}),
    "a proof of possession": ({"typ": "dpop+jwt"}, {}),
    "a token of no type": ({"typ": ""}, {}),
    **{f"Keycloak's {typ}": ({}, {"typ": typ}) for typ in ("ID", "Refresh", "Offline", "Logout")},
    "a type that is no text": ({}, {"typ": ["Bearer"]}),
}


@pytest.mark.parametrize("what", OTHER_TOKENS)
def test_only_an_access_token_lets_a_program_in(provider: Provider, server: fake.Provider, what: str) -> None:
    server.header, claims = OTHER_TOKENS[what]
    with pytest.raises(Untrusted, match="this is not an access token"):
        provider.of_access_token(server.token(**claims))


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": "application/AT+JWT"}])
@pytest.mark.parametrize("claims", [{}, {"typ": "Bearer"}])
def test_access_token_of_any_provider_is_known(
    provider: Provider, server: fake.Provider, header: dict[str, str], claims: dict[str, str]
) -> None:
    server.header = header
    assert provider.of_access_token(server.token(**claims)).name == "mara"


@pytest.mark.parametrize(
    "header",
    [
        *({"kid": 7}, {"kid": None}, {"kid": ["first"]}, {"kid": {}}, {"kid": "k" * 200_000}, {"typ": 7}),
        *({"crit": ["x"]}, {"crit": 7}, {"jwk": 7}, {"b64": False, "crit": ["b64"]}, {"zip": "DEF"}),
    ],
)
def test_header_of_odd_types_is_not_trusted(provider: Provider, server: fake.Provider, header: dict[str, Any]) -> None:
    server.shared_secret, server.alg, server.header = b"not the key", "RS256", header
    with pytest.raises(Untrusted):
        provider.of_access_token(server.token())


@pytest.mark.parametrize(("seconds", "is_trusted"), [(LEEWAY_SECONDS - 5, True), (LEEWAY_SECONDS + 5, False)])
def test_clocks_may_differ_by_a_minute(
    provider: Provider, server: fake.Provider, clock: Clock, seconds: int, is_trusted: bool
) -> None:
    for ahead in (300 + seconds, -seconds):
        clock.ahead = ahead
        if is_trusted:
            assert provider.of_access_token(server.token())
        else:
            with pytest.raises(Untrusted):
                provider.of_access_token(server.token())


def test_code_without_its_verifier_and_a_used_code_are_refused(provider: Provider, server: fake.Provider) -> None:
    with pytest.raises(Untrusted):
        sign_in(provider, server, verifier="w" * 43)
    back = server.authorize(provider.sign_in_url("state", "n", "v" * 43))
    code = back.partition("code=")[2].partition("&")[0]
    assert provider.exchange(code, "v" * 43, "n").name == "mara"
    with pytest.raises(Untrusted):
        provider.exchange(code, "v" * 43, "n")


def test_rotated_key_is_found_and_invented_ones_are_looked_for_seldom(
    provider: Provider, server: fake.Provider, clock: Clock
) -> None:
    assert provider.of_access_token(server.token())
    old = server.token()
    server.rotate("second")
    clock.ahead += AGAIN_SECONDS + 1
    assert provider.of_access_token(server.token()).name == "mara"
    with pytest.raises(Untrusted):
        provider.of_access_token(old)
    looked = server.calls["/keys"]
    for number in range(50):
        server.header = {"kid": f"invented-{number}"}
        with pytest.raises(Untrusted):
            provider.of_access_token(server.token())
    assert server.calls["/keys"] <= looked + 1
    server.header, server.claims = {}, {"exp": int(time.time() + 2 * KEPT_SECONDS)}
    clock.ahead += KEPT_SECONDS
    assert provider.of_access_token(server.token())
    assert server.calls["/.well-known/openid-configuration"] == 2, "its document is read again after an hour"


def test_neighbour_with_a_known_key_does_not_wait_for_a_provider_that_hangs(
    provider: Provider, server: fake.Provider, clock: Clock
) -> None:
    """Strangers send tokens of invented keys, each of which asks for the provider's keys; it does not answer."""
    known = server.token()
    assert provider.of_access_token(known).name == "mara"
    clock.ahead += AGAIN_SECONDS
    server.is_asked.clear()
    server.answers.clear()
    server.header = {"kid": "invented"}
    invented = server.token()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(provider.of_access_token, invented)
        try:
            assert server.is_asked.wait(20)
            for _ in range(50):
                with pytest.raises(ServiceUnavailable):
                    provider.of_access_token(invented)
            assert provider.of_access_token(known).name == "mara"
            assert not first.done(), "all others were answered while the first one waits"
        finally:
            server.answers.set()
        assert isinstance(first.exception(), Untrusted)


def test_keys_are_asked_for_seldom_while_the_provider_fails(
    provider: Provider, server: fake.Provider, clock: Clock
) -> None:
    known = server.token()
    assert provider.of_access_token(known).name == "mara"
    clock.ahead += AGAIN_SECONDS
    server.is_away, server.header = True, {"kid": "invented"}
    invented, before = server.token(), server.calls["/keys"]
    for _ in range(50):
        with pytest.raises(ServiceUnavailable):
            provider.of_access_token(invented)
    assert server.calls["/keys"] == before + 1
    clock.ahead += AGAIN_SECONDS
    with pytest.raises(ServiceUnavailable):
        provider.of_access_token(invented)
    assert server.calls["/keys"] == before + 2
    assert provider.of_access_token(known).name == "mara"


def test_provider_that_is_away_for_half_an_hour_is_not_noticed(
    provider: Provider, server: fake.Provider, clock: Clock
) -> None:
    server.claims = {"exp": int(time.time() + 2 * KEPT_SECONDS)}
    token = server.token()
    assert provider.of_access_token(token)
    server.is_away = True
    for age in (REFRESH_SECONDS, KEPT_SECONDS - 60):
        clock.ahead = age
        assert provider.of_access_token(token).name == "mara"
    clock.ahead = KEPT_SECONDS + 1
    with pytest.raises(ServiceUnavailable):
        provider.of_access_token(token)


@pytest.mark.parametrize("name", ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [None, 7, [], "", "http://keys.example/", "https://", "https://[", "ftp://x.example"])
def test_provider_that_names_no_safe_address_is_not_used(
    provider: Provider, server: fake.Provider, name: str, value: Any
) -> None:
    server.changes = {name: value}
    with pytest.raises(ServiceUnavailable):
        provider.of_access_token(server.token())
    with pytest.raises(ServiceUnavailable):
        provider.sign_in_url("state", "nonce", "v" * 43)


def test_provider_of_another_issuer_is_not_used(provider: Provider, server: fake.Provider) -> None:
    server.changes = {"issuer": f"{server.issuer}/other"}
    with pytest.raises(ServiceUnavailable, match="another issuer"):
        provider.of_access_token(server.token())


ODD: list[Any] = [None, 7, "", "text", {}, [], [None], [7], True]


@pytest.mark.parametrize("value", ODD)
def test_optional_part_of_the_document_that_is_odd_counts_as_missing(server: fake.Provider, value: Any) -> None:
    optional = ("end_session_endpoint", "token_endpoint_auth_methods_supported", "scopes_supported")
    server.changes = dict.fromkeys(optional, value)
    server.takes_basic = not isinstance(value, list)
    made = Provider(of(server))
    try:
        assert sign_in(made, server).name == "mara"
        assert made.sign_out_url("id", "http://localhost/") is None
    finally:
        made.close()


@pytest.mark.parametrize("secret", ["a:b+c d%2F&=é", "p+lus", "100%", fake.SECRET])
@pytest.mark.parametrize("methods", [None, ["client_secret_post"], ["client_secret_post", "client_secret_basic"]])
def test_secret_of_any_characters_is_the_clients(server: fake.Provider, secret: str, methods: Any) -> None:
    server.secret, server.takes_basic = secret, methods != ["client_secret_post"]
    server.changes = {"token_endpoint_auth_methods_supported": methods}
    made = Provider(Oidc(server.issuer, fake.CLIENT, secret, REDIRECT))
    try:
        assert sign_in(made, server).name == "mara"
    finally:
        made.close()


@pytest.mark.parametrize("keys", [None, 7, "text", {}])
def test_keys_that_are_no_list_leave_those_before(
    provider: Provider, server: fake.Provider, clock: Clock, keys: Any
) -> None:
    token = server.token()
    assert provider.of_access_token(token)
    clock.ahead += AGAIN_SECONDS
    server.keys = lambda: {"keys": keys}  # type: ignore[method-assign]
    server.header = {"kid": "invented"}
    with pytest.raises(ServiceUnavailable):
        provider.of_access_token(server.token())
    assert provider.of_access_token(token).name == "mara"


@pytest.mark.parametrize("key", [*ODD, {"kty": ["RSA"]}, {"kty": "RSA", "n": 7}, {"kty": "RSA", "use": None}])
def test_key_that_is_odd_is_left_out(provider: Provider, server: fake.Provider, key: Any) -> None:
    published = server.keys()
    server.keys = lambda: {"keys": [key, *published["keys"]]}  # type: ignore[method-assign]
    assert provider.of_access_token(server.token()).name == "mara"


def test_provider_that_is_away_is_a_503_with_a_sentence(
    provider: Provider, server: fake.Provider, clock: Clock
) -> None:
    server.is_away = True
    with pytest.raises(ServiceUnavailable, match="the sign-in provider does not answer now"):
        provider.sign_in_url("state", "nonce", "v" * 43)
    config = Config(mongo_uri="mongodb://127.0.0.1:1/x", oidc=of(server))
    nowhere: Database[dict[str, Any]] = MongoClient(config.mongo_uri, connect=False).get_default_database()
    gate = Client(Gate(Response("yes"), config, Access(config, SingleSignOn(of(server), provider, Sessions(nowhere)))))
    answer = gate.get("/api/v1/alerts", headers={"Authorization": f"Bearer {server.token()}"})
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    server.is_away = False
    clock.ahead += AGAIN_SECONDS
    assert gate.get("/api/v1/alerts", headers={"Authorization": f"Bearer {server.token()}"}).status_code == 200
    server.claims = {"roles": ["cook"]}
    assert gate.get("/api/v1/alerts", headers={"Authorization": f"Bearer {server.token()}"}).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        *(("/", "/"), ("/reports?before=2026-11-24", "/reports?before=2026-11-24"), ("/drones/a%2Fb", "/drones/a%2Fb")),
        *((None, "/"), ("", "/"), ("https://evil.example", "/"), ("//evil.example", "/"), ("/\\evil.example", "/")),
        *(("\\/evil.example", "/"), ("/\t/evil.example", "/"), ("/a\nb", "/"), ("javascript:alert(1)", "/")),
        *((" //evil.example", "/"), ("/é", "/"), ("/" + "a" * cookie.MAX_NEXT, "/"), ("evil", "/")),
        ("/" + "a" * (cookie.MAX_NEXT - 1), "/" + "a" * (cookie.MAX_NEXT - 1)),
    ],
)
def test_sign_in_returns_to_this_server_only(wanted: str | None, path: str) -> None:
    assert cookie.local_path(wanted) == path


def test_sign_in_cookie_is_ours_in_time_and_of_this_state() -> None:
    begun = cookie.begin("/health", NOW, session="s1")
    name, value = cookie.name_of(begun.state), cookie.sealed(begun, fake.SECRET)
    assert cookie.opened({name: value}, begun.state, fake.SECRET, NOW) == begun
    other = cookie.begin("/", NOW)
    assert other.state != begun.state
    for wrong in (
        *(({}, begun.state, fake.SECRET, NOW), ({name: value}, None, fake.SECRET, NOW)),
        *(({name: value}, "", fake.SECRET, NOW), ({name: value}, "other", fake.SECRET, NOW)),
        ({cookie.name_of(other.state): value}, other.state, fake.SECRET, NOW),
        *(({name: value}, begun.state, "another secret", NOW), ({name: value[:-1]}, begun.state, fake.SECRET, NOW)),
        *(({name: value}, begun.state, fake.SECRET, NOW + cookie.LASTS), ({name: "a.b"}, begun.state, "s", NOW)),
    ):
        assert cookie.opened(*wrong) is None
    late = NOW + cookie.LASTS - timedelta(seconds=1)
    assert cookie.opened({name: value}, begun.state, fake.SECRET, late) == begun
    longest = cookie.begin("/" + "a" * (cookie.MAX_NEXT - 1), NOW, session="s" * 32)
    assert len(cookie.sealed(longest, fake.SECRET)) < 4000, "a browser drops a larger cookie"


def jar(number: int, wanted: str = "/", now: datetime = NOW) -> dict[str, str]:
    """The cookies of so many sign-ins, each a second after the one before."""
    begun = [cookie.begin(wanted, now + timedelta(seconds=second)) for second in range(number)]
    return {cookie.name_of(each.state): cookie.sealed(each, fake.SECRET) for each in begun}


def test_so_many_sign_ins_are_under_way_in_one_browser() -> None:
    kept = jar(cookie.MOST)
    (name, value) = jar(1).popitem()
    other = {"peacewatch-session": "s", "somebody's": "x"}
    names = list(kept)
    assert cookie.surplus({**dict(list(kept.items())[1:]), **other}, name, value, fake.SECRET, NOW) == []
    assert cookie.surplus({**kept, **other}, name, value, fake.SECRET, NOW) == names[:1], "the oldest makes room"


def test_sign_ins_under_way_fit_a_proxys_line() -> None:
    kept = jar(cookie.MOST - 1, "/" + "".join(chr(33 + (7 * number) % 58) for number in range(cookie.MAX_NEXT - 1)))
    (name, value) = jar(1).popitem()
    deleted = set(cookie.surplus(kept, name, value, fake.SECRET, NOW))
    left = {each: text for each, text in kept.items() if each not in deleted} | {name: value}
    assert sum(len(each) + len(text) for each, text in left.items()) <= cookie.MOST_CHARACTERS
    assert len(left) >= 2
    newest_first = list(reversed(kept))
    assert set(newest_first[: len(left) - 1]) == set(left) - {name}


def test_sign_in_cookies_that_are_over_or_not_ours_are_deleted_first() -> None:
    over, ours = jar(2, now=NOW - cookie.LASTS - timedelta(seconds=2)), jar(2)
    forged = {f"{cookie.PREFIX}{number}": "x" * 3000 for number in range(3)}
    (name, value) = jar(1).popitem()
    assert set(cookie.surplus(over | ours | forged, name, value, fake.SECRET, NOW)) == {*over, *forged}


@pytest.mark.parametrize(
    ("claims", "settings_of", "role"),
    [
        ({"roles": ["operator", "viewer"]}, {}, "operator"),
        ({"roles": ["cook"]}, {}, None),
        ({"roles": "viewer"}, {}, "viewer"),
        ({"roles": "cook admin"}, {}, "admin"),
        ({}, {}, None),
        *(({"roles": wrong}, {}, None) for wrong in ({}, 7, None, [7, None], {"viewer": True})),
        ({"realm_access": {"roles": ["admin"]}}, {"roles_claim": "realm_access.roles"}, "admin"),
        ({"realm_access": "admin"}, {"roles_claim": "realm_access.roles"}, None),
        ({"https://x.example/roles": ["viewer"]}, {"roles_claim": "https://x.example/roles"}, "viewer"),
        (
            {"groups": ["duty"]},
            {"roles_claim": "groups", "roles": parse_roles("duty=operator, staff=viewer")},
            "operator",
        ),
        ({"roles": "duty officers"}, {"roles": parse_roles("duty officers=operator, duty=viewer")}, "operator"),
        *(
            (claims, {"roles_claim": "access.my.client.roles"}, "viewer")
            for claims in (
                {"access": {"my.client": {"roles": ["viewer"]}}},
                {"access": {"my": {"client.roles": ["viewer"]}}},
                {"access": {"my": {"client": None}, "my.client": {"roles": ["viewer"]}}},
                {"access.my": {"client": {"roles": ["viewer"]}}, "access": "nothing"},
            )
        ),
        ({"access": {"my.client": ["viewer"]}}, {"roles_claim": "access.my.client.roles"}, None),
        ({"groups": ["operator"]}, {"roles_claim": "groups", "roles": parse_roles("duty=operator")}, None),
    ],
)
def test_role_is_the_highest_that_the_claims_give(claims: Any, settings_of: Any, role: str | None) -> None:
    assert role_of(Oidc("https://i.example", "c", "s", REDIRECT, **settings_of), claims) == role


@pytest.mark.parametrize(("characters", "is_sent"), [(LONGEST_HINT, True), (LONGEST_HINT + 1, False)])
def test_id_token_too_long_for_an_address_is_left_out_of_it(provider: Provider, characters: int, is_sent: bool) -> None:
    address = provider.sign_out_url("x" * characters, "http://localhost/")
    assert address is not None
    assert ("id_token_hint=" in address) == is_sent
    assert "client_id=" in address


def test_name_is_one_line_and_of_the_account() -> None:
    oidc = Oidc("https://i.example", "c", "s", REDIRECT)
    assert name_of(oidc, {"sub": "u-1", "preferred_username": "mara\u202e\nlind"}) == "mara lind"
    assert name_of(oidc, {"sub": "u-1", "preferred_username": " "}) == "u-1"
    assert len(name_of(oidc, {"sub": "u-1", "preferred_username": "x" * 500})) == 80
    assert name_of(oidc, {"sub": "u-1", "preferred_username": 7}) == "u-1"


@pytest.mark.parametrize("text", ["duty", "duty=cook", "=viewer", ",", "duty=operator,x"])
def test_roles_of_the_settings_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"role"):
        parse_roles(text)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"OIDC_ISSUER": "http://idp.example"}, "PEACEWATCH_OIDC_ISSUER: must begin with https://"),
        ({"OIDC_ISSUER": "https://idp.example"}, "PEACEWATCH_OIDC_CLIENT_SECRET: "),
        (
            {"OIDC_ISSUER": "https://idp.example", "OIDC_CLIENT_SECRET": "x", "OIDC_ROLES": "a=b"},
            "PEACEWATCH_OIDC_ROLES: ",
        ),
    ],
)
def test_settings_that_are_wrong_are_named(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(BadSettings, match=reason):
        _oidc(settings.load({}, **{name.lower(): value for name, value in environ.items()}))
