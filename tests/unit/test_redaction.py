"""What is a secret by its form does not show, nor does a secret that was loaded, whatever its form."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import redaction, s3
from infra.redaction import REMEMBERED, hide, redact
from infra.secrets import text_of
from infra.settings import SECRETS, load
from serving.tokens import TokenFile

WEBHOOK = "https://discord.com/api/webhooks/123/very-secret_token"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_loaded", redaction.Loaded())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (WEBHOOK, "https://discord.com/api/webhooks/123/***"),
        (f"{WEBHOOK}?wait=true", "https://discord.com/api/webhooks/123/***?wait=true"),
        (f"{WEBHOOK}/messages/9", "https://discord.com/api/webhooks/123/***/messages/9"),
        ("http://x/api/v10/webhooks/1/tok: refused", "http://x/api/v10/webhooks/1/*** refused"),
        ("mongodb://me:password-of-me@db/p?x=1", "mongodb://me:***@db/p?x=1"),
        ("mongodb+srv://me:password%40@db/p", "mongodb+srv://me:***@db/p"),
        ("two: amqp://a:pass@c and ftp://d:pass@f", "two: amqp://a:***@c and ftp://d:***@f"),
        # a password may hold what ends one elsewhere
        ("mongodb://me:pass@w/o@rd@db/p?x=1", "mongodb://me:***@db/p?x=1"),
        ("postgresql://me:secret/34@db/airflow", "postgresql://me:***@db/airflow"),
        ("https://me:secret/cr@t@host/page", "https://me:***@host/page"),
        ("http://me:secret8080@host/page", "http://me:***@host/page"),
        # webhooks of any host
        ("https://chat.example/hooks/abcdef", "https://chat.example/hooks/***"),
        ("https://chat.example/webhook/a/b?c=d failed", "https://chat.example/webhook/*** failed"),
        ("https://hooks.example.com/services/T0/B0/xyz failed", "https://hooks.example.com/*** failed"),
        ("https://DISCORD.com/API/WEBHOOKS/12/tok", "https://DISCORD.com/API/WEBHOOKS/12/***"),
        # query parameters, headers, keys
        ("GET /x?token=abc&page=2", "GET /x?token=***&page=2"),
        ("GET /x?page=2&X-Amz-Signature=abc", "GET /x?page=2&X-Amz-Signature=***"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=***"),
        ("""{"password": "hunter 2", "user": "me"}""", """{"password": "***", "user": "me"}"""),
        ("Authorization: Basic bWU6aHVudGVyMg==", "Authorization: Basic ***"),
        ("authorization: Bearer abcdefghijkl", "authorization: Bearer ***"),
        ("sent Bearer eyJhbGciOi.J9-_~x", "sent Bearer ***"),
        ("key AKIAIOSFODNN7EXAMPLE is unknown", "key AKIA*** is unknown"),
        # no secrets
        ("mongodb://a:27017,b:27017/peacewatch?replicaSet=p", "mongodb://a:27017,b:27017/peacewatch?replicaSet=p"),
        ("s3://bucket/lake and tokens: two", "s3://bucket/lake and tokens: two"),
        ("the bearer of news", "the bearer of news"),
        ("nothing to hide at 127.0.0.1:9092", "nothing to hide at 127.0.0.1:9092"),
        ("http://127.0.0.1:18000/drones@home", "http://127.0.0.1:18000/drones@home"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("secret", "line", "shown"),
    [
        ("wJalrXUtnFEMI/K7MDENG", "the key wJalrXUtnFEMI/K7MDENG is wrong", "the key *** is wrong"),
        ("mongodb://me:pass%40word@db/p", "authentication with pass@word failed", "authentication with *** failed"),
        ("https://chat.example/in/abcdef123", "POST /in/abcdef123: 404", "POST /in/***: 404"),
        ("mongodb://db:27017/peacewatch", "mongodb://db:27017/peacewatch", "mongodb://db:27017/peacewatch"),
        ("short", "a short word", "a short word"),
    ],
    ids=["key", "password", "webhook", "no password", "too short"],
)
def test_a_loaded_secret_is_blotted_out_anywhere(secret: str, line: str, shown: str) -> None:
    hide(secret)
    assert redact(line) == shown


def test_settings_hide_what_they_load() -> None:
    load({}, discord_webhook_url="https://chat.example/in/qwertzuiop", api_tokens="0123456789abcdef:viewer")
    assert redact("qwertzuiop and 0123456789abcdef") == "*** and ***"


TOKENS = [f"{letter * 32}" for letter in "abcd"]


@pytest.mark.parametrize("separator", [",", ", ", "\n", ",\n", "\r\n"])
def test_each_of_several_tokens_is_hidden(separator: str) -> None:
    load({}, api_tokens=separator.join(f"{token}:viewer" for token in TOKENS))
    assert redact(" ".join(TOKENS)) == "*** *** *** ***"


@pytest.mark.parametrize("name", [name for name in SECRETS if not name.endswith(("_url", "uri", "tokens", "database"))])
def test_replaced_secret_is_hidden_from_its_first_use(tmp_path: Path, name: str) -> None:
    file, variable = tmp_path / "secret", f"PEACEWATCH_{name.upper()}_FILE"
    for secret in ("first-" * 8, "second-" * 8):
        file.write_text(secret)
        text_of(file, variable)
    assert redact(f"{'second-' * 8} after {'first-' * 8}") == "*** after ***"


def test_replaced_tokens_are_hidden(tmp_path: Path) -> None:
    now, file = [0.0], tmp_path / "tokens"
    file.write_text(f"{TOKENS[0]}:viewer")
    tokens = TokenFile(file, lambda: now[0])
    file.write_text(f"{TOKENS[1]}:viewer\n{TOKENS[2]}:admin")
    now[0] = 5.0
    assert len(tokens) == 2
    assert redact(" ".join(TOKENS)) == f"*** *** *** {TOKENS[3]}"


@pytest.mark.parametrize("from_files", [True, False])
def test_keys_of_s3_are_hidden_but_not_their_names(tmp_path: Path, from_files: bool) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "peacewatch", "AWS_SECRET_ACCESS_KEY": "k/e+y" * 8, "AWS_SESSION_TOKEN": "t/n" * 9}
    for name in [*environ] if from_files else []:
        (tmp_path / name).write_text(environ.pop(name))
        environ[f"{name}_FILE"] = str(tmp_path / name)
    s3.keys_from_files(environ)
    load(environ)
    assert redact(f"peacewatch {'k/e+y' * 8} {'t/n' * 9}") == "peacewatch *** ***"


def test_list_of_replaced_secrets_is_bounded() -> None:
    hide("of the beginning")
    for number in range(5 * REMEMBERED):
        hide(f"token-{number:04}", source="PEACEWATCH_KAFKA_TOKEN_FILE")
    hide(f"token-{5 * REMEMBERED - 1:04}", source="PEACEWATCH_KAFKA_TOKEN_FILE")  # not replaced: nothing is forgotten
    shown = [number for number in range(5 * REMEMBERED) if redact(f"token-{number:04}") != "***"]
    assert shown == list(range(4 * REMEMBERED))
    assert redact("of the beginning") == "***"


def test_threads_may_load_secrets_while_others_write_lines() -> None:
    def load_many(source: int) -> None:
        for number in range(300):
            hide(f"secret-{source}-{number}", source=f"{source}-{number % 40}")

    threads = [threading.Thread(target=load_many, args=(source,)) for source in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        redact("a line")
    for thread in threads:
        thread.join()
    assert redact("secret-3-299") == "***"


@pytest.mark.parametrize("part", ["a.", "a://b:", "a@", "token", "/hooks/", "Bearer "])
def test_a_strangers_megabyte_is_no_burden(part: str) -> None:
    """Quadratic time would take hours, and pytest's own limit ends it."""
    redact(part * (1_000_000 // len(part)))


PIECES = [*"abs?&=:/@\"' ", "token", "SECRET", "ſecret", "toKen", "sıgnature", "credentİal", "api_key", "apiKEY", "pwd"]
PIECES += ["https://", "amqp://", "hooks.", "/webhooks/", "/hook/", "12/", "Bearer ", "authorızation", "AKIA", "K" * 12]


@given(text=st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_hints_skip_no_pattern_that_would_match(text: str) -> None:
    every = text
    for rule in redaction.RULES:
        every = rule.pattern.sub(rule.blot, every)
    assert redact(text) == every
