"""What is a secret by its form does not show, nor does a secret that was loaded, whatever its form."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import redaction
from infra.redaction import hide, redact
from infra.settings import load

WEBHOOK = "https://discord.com/api/webhooks/123/very-secret_token"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before = set(redaction._loaded)
    redaction._loaded.clear()
    yield
    redaction._loaded.clear()
    redaction._loaded.update(before)


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


@pytest.mark.parametrize("part", ["a.", "a://b:", "a@", "token", "/hooks/", "Bearer "])
def test_a_strangers_megabyte_is_no_burden(part: str) -> None:
    """Quadratic time would take hours, and pytest's own limit ends it."""
    redact(part * (1_000_000 // len(part)))


PIECES = [*"abs?&=:/@\"' ", "token", "SECRET", "ſecret", "toKen", "sıgnature", "credentİal", "api_key", "apiKEY", "pwd"]
PIECES += ["https://", "amqp://", "hooks.", "/webhooks/", "/hook/", "12/", "Bearer ", "authorızation", "AKIA", "K" * 12]


@given(text=st.lists(st.sampled_from(PIECES), max_size=20).map("".join))
def test_no_hint_keeps_a_pattern_from_its_text(text: str) -> None:
    every = text
    for rule in redaction.RULES:
        every = rule.pattern.sub(rule.blot, every)
    assert redact(text) == every
